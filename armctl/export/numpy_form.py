"""A program as a Python function that needs NumPy alone: one line for one operation."""

from typing import Any

import numpy as np

from armctl.export.program import BINARY, Op, Operand, Program, Value

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">"}
INFIX |= {"ge": ">=", "and": "&", "or": "|", "pow": "**"}
FORMS = {"neg": "-{0}", "not": "~{0}", "rsqrt": "1 / np.sqrt({0})", "logistic": "1 / (1 + np.exp(-{0}))"}
FORMS |= {name: f"({{0}} {sign} {{1}})" for name, sign in INFIX.items()}
FORMS |= {"max": "np.maximum({0}, {1})", "min": "np.minimum({0}, {1})", "select_n": "np.where({0}, {2}, {1})"}
FORMS |= {name: f"np.{name}({{0}})" for name in ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "sqrt", "sign")}
FORMS |= {"abs": "abs({0})", "matmul": "{0} @ {1}"}
REDUCED = {"sum": "sum", "max": "max", "min": "min", "and": "all", "or": "any"}
HEAD = '''"""One control step, written by armctl from the controller's own equations: do not edit."""

import numpy as np

np.seterr(all="ignore")  # as JAX does: what is not chosen may overflow
'''


def write_numpy(program: Program) -> tuple[str, dict[str, np.ndarray]]:
    """The text of a module with the function `step`, and the constants that it finds in a dictionary C."""
    return _Writer(program).text()


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = {value.number: name for name, value in zip(program.names, program.inputs, strict=True)}
        self.constants: dict[Any, tuple[str, np.ndarray]] = {}
        self.made = {op.output.number: op for op in program.ops}
        self.user = program.only_users()
        self.inlined = {op.output.number for op in program.ops if self._is_part(op)}

    def text(self) -> tuple[str, dict[str, np.ndarray]]:
        """Module and constants."""
        lines = [
            f"    {self._name(op.output)} = {self._formula(op)}"
            for op in self.program.ops
            if op.output.number not in self.inlined
        ]
        out = ", ".join(self._name(x) for x in self.program.outputs)
        fixed = [f"{name} = C[{name!r}]" for name, _ in self.constants.values()]
        head = f"\n\ndef step({', '.join(self.program.names)}):\n"
        text = "\n".join([HEAD, *fixed]) + head + "\n".join([*lines, f"    return {out},\n"])
        return text, dict(self.constants.values())

    def _is_part(self, op: Op) -> bool:
        """Whether an operation is written within the only one that uses it: x[3] is a cut and a change of shape."""
        user = self.user.get(op.output.number)
        if op.name == "slice":
            return user is not None and user.name == "reshape" and _dropped(op, user) is not None
        return op.name == "reshape" and op.inputs[0].shape == () and user is not None and user.name == "concatenate"

    def _name(self, x: Operand) -> str:
        if isinstance(x, Value):
            return self.names.get(x.number, f"v{x.number}")
        key = (x.shape, x.dtype.str, x.tobytes())
        return self.constants.setdefault(key, (f"c{len(self.constants)}", x))[0]

    def _number(self, x: Operand) -> str:
        """A constant beside a value of the same type needs no type of its own."""
        if isinstance(x, np.ndarray) and x.shape == () and x.dtype.kind == "f" and np.isfinite(x):
            return repr(float(x)) if x >= 0 else f"({float(x)!r})"
        return self._name(x)

    def _formula(self, op: Op) -> str:
        name = op.name
        if name in FORMS:
            return FORMS[name].format(*map(self._number if name in BINARY else self._name, op.inputs))
        if name.startswith("reduce_"):
            return f"{self._name(op.inputs[0])}.{REDUCED[name.removeprefix('reduce_')]}(axis={op.params['axes']})"
        result: str = getattr(self, f"_{name}")(op, op.inputs[0], op.output.shape)
        return result

    def _convert_element_type(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        return f"np.asarray({self._name(x)}).astype(np.{op.output.dtype.name})"

    def _reshape(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        if isinstance(x, Value) and x.number in self.inlined:
            cut = self.made[x.number]
            places = _dropped(cut, op)
            return f"{self._name(cut.inputs[0])}[{', '.join(places or ())}]"
        return f"np.reshape({self._name(x)}, {shape})" if x.shape == () else f"{self._name(x)}.reshape({shape})"

    def _broadcast(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        return f"np.broadcast_to({self._name(x)}, {shape})"

    def _transpose(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        return f"{self._name(x)}.transpose({op.params['permutation']})"

    def _slice(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        return f"{self._name(x)}[{', '.join(_ranges(op))}]"

    def _take(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        return f"{self._name(x)}.reshape(-1)[{self._name(np.asarray(op.params['places'], np.int64))}]"

    def _rev(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        turned = op.params["dimensions"]
        return f"{self._name(x)}[{', '.join('::-1' if k in turned else ':' for k in range(len(shape)))}]"

    def _uncut(self, x: Operand) -> Operand:
        """The number that was made a row of one."""
        return self.made[x.number].inputs[0] if isinstance(x, Value) and x.number in self.inlined else x

    def _concatenate(self, op: Op, x: Operand, shape: tuple[int, ...]) -> str:
        parts = [self._uncut(y) for y in op.inputs]
        if all(part.shape == () for part in parts):
            return f"np.array([{', '.join(map(self._name, parts))}], np.{op.output.dtype.name}).reshape({shape})"
        names = (
            f"np.reshape({self._name(part)}, {y.shape})" if part is not y else self._name(y)
            for part, y in zip(parts, op.inputs, strict=True)
        )
        return f"np.concatenate(({', '.join(names)},), axis={op.params['dimension']})"


def _ranges(cut: Op) -> list[str]:
    parts = zip(cut.params["start"], cut.params["limit"], cut.params["strides"], strict=True)
    return [f"{a}:{b}" + (f":{s}" if s != 1 else "") for a, b, s in parts]


def _dropped(cut: Op, shaped: Op) -> list[str] | None:
    """Indices that cut and drop axes of length 1 at once; None where the new shape is another one."""
    if not cut.output.shape or [n for n in cut.output.shape if n != 1] != list(shaped.output.shape):
        return None
    ranges = zip(cut.output.shape, cut.params["start"], _ranges(cut), strict=True)
    return [str(start) if size == 1 else span for size, start, span in ranges]
