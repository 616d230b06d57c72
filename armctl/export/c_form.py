"""A program as one function in C99: no memory is allocated, nothing but the C library's mathematics is needed.

A value is known by how its element at some indices is written down, so that cutting, turning and spreading arrays costs
nothing; arithmetic that is used once is written where it is used. What remains are short loops over arrays on the
stack, which compilers unroll and vectorise.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from armctl.export.program import ELEMENTWISE, Op, Operand, Program, Value

Element = Callable[[Sequence[str]], str]
HEAD = """/* One control step, written by armctl from the controller's own equations: do not edit.

   armctl_step(in, out) reads the arrays `in` and writes the arrays `out`, all contiguous, rows last, none overlapping:
   in:  {inputs}
   out: {outputs}
   The first `out` are the next step's carry. Types are `{real}` where nothing else is said. */
#include <math.h>
#include <stdint.h>

#if defined __x86_64__ && defined __GLIBC__ && defined ARMCTL_SIMD  /* glibc has these for whole vectors, in libmvec */
#pragma omp declare simd notinbranch
extern {real} {sin}({real});
#pragma omp declare simd notinbranch
extern {real} {cos}({real});
#pragma omp declare simd notinbranch
extern {real} {exp}({real});
#if __GLIBC_PREREQ(2, 35)
#pragma omp declare simd notinbranch
extern {real} {tanh}({real});
#endif
#endif

typedef {real} real;

static inline real larger(real a, real b) {{ return a > b || a != a ? a : b; }}
static inline real smaller(real a, real b) {{ return a < b || a != a ? a : b; }}
static inline real sign_of(real a) {{ return (real)((a > 0) - (a < 0)); }}

void armctl_step(const void *const *in, void *const *out) {{
"""
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">"}
INFIX |= {"ge": ">=", "and": "&", "or": "|"}
CALLED = {"max": "larger", "min": "smaller", "sign": "sign_of", "pow": "pow", "abs": "fabs"}
CALLED |= {name: name for name in ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "sqrt")}
SHORT = 8
"""Columns below which a product is computed along its rows: as many as vector registers hold."""
OWN = ("larger", "smaller", "sign_of")
"""Functions that HEAD defines; the others are the C library's, whose names end in f in single precision."""


def write_c(program: Program) -> str:
    """The text of a C99 file with the function armctl_step."""
    return _Writer(program).text()


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.single = next(x for x in program.inputs if x.dtype.kind == "f").dtype == np.float32
        self.lines: list[str] = []
        self.constants: dict[tuple[str, bytes], str] = {}
        self.element: dict[int, Element] = {}
        self.buffer: dict[int, str] = {}
        """Names of the arrays that hold a value whole and in order."""
        self.user = program.only_users()

    def text(self) -> str:
        """The whole file."""
        program = self.program
        for k, (name, value) in enumerate(zip(program.names, program.inputs, strict=True)):
            self.lines.append(f"const {self._type(value)} *restrict {name} = in[{k}];")
            self._held(value, name)
        for op in program.ops:
            self._op(op)
        for k, (name, out) in enumerate(zip(self._out_names(), program.outputs, strict=True)):
            self.lines.append(f"{self._type(out)} *restrict next_{name} = out[{k}];")
            self._copy(out, f"next_{name}")
        head = HEAD.format(
            inputs=", ".join(f"{n} {list(v.shape)}" for n, v in zip(program.names, program.inputs, strict=True)),
            outputs=", ".join(f"{n} {list(v.shape)}" for n, v in zip(self._out_names(), program.outputs, strict=True)),
            real="float" if self.single else "double",
            **{name: f"{name}f" if self.single else name for name in ("sin", "cos", "exp", "tanh")},
        )
        fixed = [f"static const {line}" for line in self.constants.values()]
        return head + "".join(f"    {line}\n" for line in [*fixed, *self.lines]) + "}\n"

    def _out_names(self) -> list[str]:
        return [*self.program.names[: len(self.program.carry)], "command"]

    def _type(self, x: Operand) -> str:
        return {"f": "real", "b": "uint8_t", "u": "uint32_t"}.get(x.dtype.kind, "int32_t")

    def _number(self, x: Any) -> str:
        if x.dtype.kind != "f":
            return str(int(x))
        if not np.isfinite(x):
            return "NAN" if np.isnan(x) else "INFINITY" if x > 0 else "(-INFINITY)"
        text = f"{x}" + ("f" if self.single else "")
        return f"({text})" if x < 0 else text

    def _held(self, value: Value, name: str) -> None:
        self.buffer[value.number] = name
        self.element[value.number] = lambda i: f"{name}[{_flat(i, value.shape)}]"

    def _at(self, x: Operand) -> Element:
        """How an element of an operand is written."""
        if isinstance(x, Value):
            return self.element[x.number]

        def fixed(i: Sequence[str]) -> str:
            if all(k.isdigit() for k in i) or x.size == 1:
                return self._number(x[tuple(map(int, i))] if x.size > 1 else x.flat[0])
            return f"{self._constant(x)}[{_flat(i, x.shape)}]"

        return fixed

    def _constant(self, x: np.ndarray) -> str:
        key, name = (x.dtype.str, x.tobytes()), f"c{len(self.constants)}"
        numbers = ", ".join(map(self._number, x.ravel()))
        declaration = self.constants.setdefault(key, f"{self._type(x)} {name}[{x.size}] = {{{numbers}}};")
        return declaration.split()[1].split("[")[0]

    def _loop(self, shape: Sequence[int], body: Callable[[list[str]], str]) -> None:
        """Statements for every element of a shape; axes of length 1 need no loop."""
        indices = [f"i{k}" if size > 1 else "0" for k, size in enumerate(shape)]
        loops = [f"for (int i{k} = 0; i{k} < {size}; i{k}++)" for k, size in enumerate(shape) if size != 1]
        self.lines.append(" ".join([*loops, body(indices)]))

    def _copy(self, x: Operand, name: str) -> None:
        """Fill an array with an operand."""
        self._loop(x.shape, lambda i: f"{name}[{_flat(i, x.shape)}] = {self._at(x)(i)};")

    def _store(self, value: Value, element: Element) -> None:
        """Compute a value once, into a variable or an array."""
        name = f"v{value.number}"
        if math.prod(value.shape) == 1:
            self.lines.append(f"const {self._type(value)} {name} = {element(['0'] * len(value.shape))};")
            self.element[value.number] = lambda i: name
            return
        self.lines.append(f"{self._type(value)} {name}[{math.prod(value.shape)}];")
        self._loop(value.shape, lambda i: f"{name}[{_flat(i, value.shape)}] = {element(i)};")
        self._held(value, name)

    def _whole(self, x: Operand) -> str:
        """The name of an array that holds an operand in order, made where there is none."""
        if isinstance(x, np.ndarray):
            return self._constant(x)
        if x.number not in self.buffer:
            name = f"w{x.number}"
            self.lines.append(f"{self._type(x)} {name}[{math.prod(x.shape)}];")
            self._copy(x, name)
            self._held(x, name)
        return self.buffer[x.number]

    def _op(self, op: Op) -> None:
        if op.name in ELEMENTWISE:
            element, index = self._arithmetic(op), op.output.number
            user = self.user.get(index)
            if user is not None and user.name in ELEMENTWISE and user.output.shape == op.output.shape:
                self.element[index] = element
            else:
                self._store(op.output, element)
        elif op.name.startswith("reduce_"):
            self._reduce(op)
        else:
            getattr(self, f"_{op.name}")(op, op.inputs[0], self._at(op.inputs[0]))

    def _arithmetic(self, op: Op) -> Element:
        parts = [self._spread(x, op.output.shape) for x in op.inputs]
        return lambda i: self._formula(op, [part(i) for part in parts])

    def _spread(self, x: Operand, shape: Sequence[int]) -> Element:
        """An element of an operand that is broadcast to a shape."""
        at, skip = self._at(x), len(shape) - len(x.shape)
        return lambda i: at(["0" if size == 1 else k for k, size in zip(i[skip:], x.shape, strict=True)])

    def _formula(self, op: Op, x: list[str]) -> str:
        name = op.name
        if name in INFIX:
            return f"({x[0]} {INFIX[name]} {x[1]})"
        if name in CALLED:
            called = CALLED[name]
            return f"{called}{'f' if self.single and called not in OWN else ''}({', '.join(x)})"
        if name == "select_n":
            return f"({x[0]} ? {x[2]} : {x[1]})"
        if name == "convert_element_type":
            return f"({x[0]} != 0)" if op.output.dtype.kind == "b" else f"(({self._type(op.output)}){x[0]})"
        root, exp = ("sqrtf", "expf") if self.single else ("sqrt", "exp")
        forms = {"neg": "(-{0})", "not": "(!{0})", "rsqrt": f"(1 / {root}({{0}}))"}
        return forms.get(name, f"(1 / (1 + {exp}(-{{0}})))").format(*x)  # the last is the logistic function

    def _reshape(self, op: Op, x: Operand, at: Element) -> None:
        old, new, index = x.shape, op.output.shape, op.output.number
        if [n for n in old if n != 1] == [n for n in new if n != 1]:
            kept = [k for k, n in enumerate(new) if n != 1]

            def moved(i: Sequence[str]) -> str:
                rest = iter([i[k] for k in kept])
                return at(["0" if n == 1 else next(rest) for n in old])

            self.element[index] = moved
            if isinstance(x, Value) and x.number in self.buffer:
                self.buffer[index] = self.buffer[x.number]
        else:
            self._held(op.output, self._whole(x))

    def _broadcast(self, op: Op, x: Operand, at: Element) -> None:
        self.element[op.output.number] = self._spread(x, op.output.shape)

    def _transpose(self, op: Op, x: Operand, at: Element) -> None:
        place = np.argsort(op.params["permutation"]).tolist()
        self.element[op.output.number] = lambda i: at([i[k] for k in place])

    def _slice(self, op: Op, x: Operand, at: Element) -> None:
        start, strides = op.params["start"], op.params["strides"]
        self.element[op.output.number] = lambda i: at([_line(*part) for part in zip(i, strides, start, strict=True)])

    def _rev(self, op: Op, x: Operand, at: Element) -> None:
        turned = op.params["dimensions"]
        self.element[op.output.number] = lambda i: at(
            [_line(k, -1, n - 1) if axis in turned else k for axis, (k, n) in enumerate(zip(i, x.shape, strict=True))]
        )

    def _take(self, op: Op, x: Operand, at: Element) -> None:
        source, places = self._whole(x), np.asarray(op.params["places"], np.int32)
        self._store(op.output, lambda i: f"{source}[{self._at(places)(i)}]")

    def _concatenate(self, op: Op, x: Operand, at: Element) -> None:
        axis, first, out = op.params["dimension"], 0, op.output
        name = f"v{out.number}"
        self.lines.append(f"{self._type(out)} {name}[{math.prod(out.shape)}];")
        for piece in op.inputs:
            part = self._at(piece)

            def assign(i: list[str], part: Element = part, first: int = first) -> str:
                there = [_line(k, 1, first) if d == axis else k for d, k in enumerate(i)]
                return f"{name}[{_flat(there, out.shape)}] = {part(i)};"

            self._loop(piece.shape, assign)
            first += piece.shape[axis]
        self._held(out, name)

    def _matmul(self, op: Op, x: Operand, at: Element) -> None:
        (_, rows, inner), (batch, _, columns) = op.inputs[0].shape, op.inputs[1].shape
        if batch == 1 and 1 < columns < SHORT <= rows:
            return self._turned(op, rows, inner, columns)
        a, b = map(self._whole, op.inputs)
        name, type_ = f"v{op.output.number}", self._type(op.output)
        self.lines.append(f"{type_} {name}[{batch * rows * columns}];")
        self.lines.append(
            f"for (int i = 0; i < {batch * rows}; i++) {{ {type_} sum[{columns}] = {{0}}; "
            f"const {type_} *restrict b = {b} + i / {rows} * {inner * columns}; "
            f"for (int k = 0; k < {inner}; k++) for (int j = 0; j < {columns}; j++) "
            f"sum[j] += {a}[i * {inner} + k] * b[k * {columns} + j]; "
            f"for (int j = 0; j < {columns}; j++) {name}[i * {columns} + j] = sum[j]; }}"
        )
        self._held(op.output, name)

    def _turned(self, op: Op, rows: int, inner: int, columns: int) -> None:
        """A product with few columns as the transposed one, whose innermost loop is the long one."""
        a, b = map(self._at, op.inputs)
        name, type_ = f"v{op.output.number}", self._type(op.output)
        self.lines.append(f"{type_} t{op.output.number}[{inner * rows}], {name}[{columns * rows}];")
        self._loop((inner, rows), lambda i: f"t{op.output.number}[{_flat(i, (inner, rows))}] = {a(['0', i[1], i[0]])};")
        k = "k" if inner > 1 else "0"
        self.lines.append(
            f"for (int j = 0; j < {columns}; j++) {{ {type_} sum[{rows}] = {{0}}; "
            f"for (int k = 0; k < {inner}; k++) {{ const {type_} x = {b(['0', k, 'j'])}; "
            f"for (int i = 0; i < {rows}; i++) sum[i] += t{op.output.number}[k * {rows} + i] * x; }} "
            f"for (int i = 0; i < {rows}; i++) {name}[j * {rows} + i] = sum[i]; }}"
        )
        self.element[op.output.number] = lambda i: f"{name}[{_flat((i[2], i[1]), (columns, rows))}]"

    def _reduce(self, op: Op) -> None:
        (x,), axes, out = op.inputs, op.params["axes"], op.output
        kind, at, name = op.name.removeprefix("reduce_"), self._at(x), f"v{op.output.number}"
        combined = {"max": "larger({}, {})", "min": "smaller({}, {})", "and": "{} & {}", "or": "{} | {}"}
        first = {"max": "(-INFINITY)", "min": "INFINITY", "and": "1"}.get(kind, "0")
        inner = " ".join(f"for (int r{k} = 0; r{k} < {x.shape[k]}; r{k}++)" for k in axes)

        def body(i: Sequence[str]) -> str:
            rest = iter(i)
            element = at([f"r{k}" if k in axes else next(rest) for k in range(len(x.shape))])
            total = combined.get(kind, "{} + {}").format("sum", element)
            return f"{{ {self._type(out)} sum = {first}; {inner} sum = {total}; {name}[{_flat(i, out.shape)}] = sum; }}"

        self.lines.append(f"{self._type(out)} {name}[{math.prod(out.shape)}];")
        self._loop(out.shape, body)
        self._held(out, name)


def _line(k: str, stride: int, start: int) -> str:
    """start + stride k, for an index that may be a number."""
    if k.isdigit():
        return str(start + stride * int(k))
    scaled = k if stride == 1 else f"{stride} * ({k})"
    return scaled if start == 0 else f"({start} + {scaled})"


def _flat(indices: Sequence[str], shape: Sequence[int]) -> str:
    """Place of an element in an array that is stored row by row."""
    fixed, moving, stride = 0, [], 1
    for k, size in zip(reversed(indices), reversed(shape), strict=True):
        if k.isdigit():
            fixed += stride * int(k)
        else:
            moving.append(k if stride == 1 else f"{stride} * {k}" if k.isidentifier() else f"{stride} * ({k})")
        stride *= size
    return " + ".join([*moving[::-1], *([str(fixed)] if fixed or not moving else [])])
