"""From a controller to its program.

JAX traces the step; nothing of a controller's equations is written twice. Calls are inlined, loops over joints are
unrolled and whatever follows from the nominal arm and the parameters alone is computed here, once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.extend.core import ClosedJaxpr, Literal

from armctl.controllers.base import Controller
from armctl.errors import UsageError
from armctl.export.program import ELEMENTWISE, Op, Operand, Program, Value
from armctl.plant.observe import Measurement, Window

REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_and", "reduce_or")
SAME = ("copy", "copy_p", "stop_gradient", "reduce_precision", "optimization_barrier")
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")
"""Parameters of a JAX operation under which a function that it calls may stand."""
LONGEST = 100_000
"""Operations beyond which a step is no longer worth exporting without loops."""
MOVES = ("reshape", "broadcast", "transpose", "slice", "take", "rev", "concatenate", "matmul")


def program(controller: Controller, dtype: Any = np.float32) -> Program:
    """The step of a controller for one arm, in single or double precision (that needs `jax.enable_x64`).

    Raises UsageError for a controller that uses an operation of JAX which is not translated.
    """
    n, samples = controller.arm.n, controller.preview + 1
    tails = {"q": (n,), "qd": (n,), "qdd": (n,), "p": (3,), "R": (3, 3), "twist": (6,), "accel": (6,)}
    joint = np.zeros(n, dtype)
    window = Window(**{name: np.zeros((samples, *tail), dtype) for name, tail in tails.items()})
    graph, state = nnx.split(controller)
    state, carry = jax.tree.map(lambda x: _of_type(x, dtype), (state, controller.init_carry(())))

    def step(carry: Any, m: Measurement, w: Window) -> Any:
        return nnx.merge(graph, state)(carry, m, w)

    traced = jax.make_jaxpr(step)(carry, Measurement(joint, joint), window)
    leaves = [np.asarray(x) for x in jax.tree.leaves(carry)]
    names = [*(f"carry{i}" for i in range(len(leaves))), "q", "qd", *(f"window_{name}" for name in Window._fields)]
    return _Translation(type(controller).__name__).of(traced, names, leaves)


def _of_type(x: Any, dtype: Any) -> Any:
    x = jax.numpy.asarray(x)
    return x.astype(dtype) if jax.numpy.issubdtype(x.dtype, jax.numpy.floating) else x


class _Translation:
    """A program in the making."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.count = 0
        self.ops: list[Op] = []
        self.made: dict[int, Op] = {}
        """By the index of what they give."""
        self.known: dict[Any, Value] = {}
        """Results by what was asked for, so that nothing is computed twice."""

    def of(self, traced: ClosedJaxpr, names: list[str], carry: list[np.ndarray]) -> Program:
        """The program of a traced step."""
        avals: list[Any] = [x.aval for x in traced.jaxpr.invars]
        inputs = [self._value(x.shape, x.dtype) for x in avals]
        outputs = self._walk(traced, inputs)
        return Program(inputs, names, _needed(self.ops, outputs), outputs, carry)

    def _value(self, shape: Sequence[int], dtype: Any) -> Value:
        self.count += 1
        return Value(self.count - 1, tuple(shape), np.dtype(dtype))

    def _walk(self, closed: ClosedJaxpr, given: Sequence[Operand]) -> list[Operand]:
        jaxpr = closed.jaxpr
        env: dict[Any, Operand] = dict(zip(jaxpr.invars, given, strict=True))
        env |= dict(zip(jaxpr.constvars, map(np.asarray, closed.consts), strict=True))
        for eqn in jaxpr.eqns:
            operands = [_read(x, env) for x in eqn.invars]
            env.update(zip(eqn.outvars, self._equation(eqn, operands), strict=True))
        return [_read(x, env) for x in jaxpr.outvars]

    def _equation(self, eqn: Any, given: list[Operand]) -> Sequence[Operand]:
        name, params = eqn.primitive.name, eqn.params
        if name == "scan":
            return self._scan(params, given)
        if name == "cond":
            return self._branches(params["branches"], given[0], given[1:])
        inner = next((params[key] for key in CALLS if hasattr(params.get(key), "eqns")), None)
        if inner is not None and name != "while":
            return self._walk(inner if hasattr(inner, "jaxpr") else ClosedJaxpr(inner, ()), given)
        if name in SAME:
            return given
        if all(isinstance(x, np.ndarray) for x in given):
            found = eqn.primitive.bind(*given, **params)
            return [np.asarray(x) for x in (found if eqn.primitive.multiple_results else [found])]
        rule: Callable[..., Operand | list[Operand]] | None = getattr(self, f"_{name}", None)
        found = (
            rule(given, eqn) if rule else self._emit(name, given, eqn.outvars[0].aval.shape, eqn.outvars[0].aval.dtype)
        )
        return found if isinstance(found, list) else [found]

    def _branches(self, branches: Sequence[ClosedJaxpr], which: Operand, given: list[Operand]) -> list[Operand]:
        """Of a known branch its results; of others those of all, from which is chosen then."""
        if isinstance(which, np.ndarray):
            return self._walk(branches[int(which)], given)
        chosen, *others = (self._walk(branch, given) for branch in branches)
        for k, other in enumerate(others, 1):
            this = self._emit("eq", [which, np.asarray(k, which.dtype)], (), bool)
            pairs = zip(chosen, other, strict=True)
            chosen = [self._emit("select_n", [self._spread(this, x.shape), x, y], x.shape, x.dtype) for x, y in pairs]
        return chosen

    def _scan(self, params: dict[str, Any], given: list[Operand]) -> list[Operand]:
        ends = np.cumsum([params["num_consts"], params["num_carry"]])
        fixed, carry, xs = given[: ends[0]], given[ends[0] : ends[1]], given[ends[1] :]
        steps = range(params["length"])
        rows: list[list[Operand]] = []
        for i in reversed(steps) if params["reverse"] else steps:
            out = self._walk(params["jaxpr"], [*fixed, *carry, *(self._row(x, i) for x in xs)])
            carry = out[: len(carry)]
            rows.append(out[len(carry) :])
        if params["reverse"]:
            rows.reverse()
        columns = zip(*rows, strict=True)
        return [*carry, *(self._concatenated([self._shaped(x, (1, *x.shape)) for x in col], 0) for col in columns)]

    def _row(self, x: Operand, i: int) -> Operand:
        first = (i, *[0] * (len(x.shape) - 1))
        return self._shaped(self._cut(x, first, (i + 1, *x.shape[1:])), x.shape[1:])

    # --- operations -------------------------------------------------------------------------------------------------

    def _emit(self, name: str, given: Sequence[Operand], shape: Sequence[int], dtype: Any, **params: Any) -> Operand:
        """An operation, unless it was asked for before, changes nothing or has nothing to work on."""
        if 0 in shape or (name in ("reduce_sum", "matmul") and 0 in given[0].shape):
            return np.zeros(shape, dtype)
        if name in ELEMENTWISE:
            given = self._lean(given, tuple(shape))
            same = self._unchanged(name, given, tuple(shape), np.dtype(dtype))
            if same is not None:
                return same
        elif name not in REDUCTIONS and name not in MOVES:
            raise UsageError(
                f"{self.who} uses JAX's operation '{name}', which no export translates; write its step without it."
            )
        key = (name, tuple(map(_key, given)), repr(params), tuple(shape), np.dtype(dtype))
        if key not in self.known:
            if len(self.ops) >= LONGEST:
                raise UsageError(
                    f"One step of {self.who} is more than {LONGEST} array operations, too long to be exported; "
                    "choose a controller with fewer or shorter loops."
                )
            self.known[key] = self._value(shape, dtype)
            self.ops.append(Op(name, tuple(given), self.known[key], params))
            self.made[self.known[key].number] = self.ops[-1]
        return self.known[key]

    def _lean(self, given: Sequence[Operand], shape: tuple[int, ...]) -> list[Operand]:
        """The operands of an elementwise operation before they were spread to the shape of its result."""
        lean: list[Operand] = []
        for x in given:
            if isinstance(x, np.ndarray):
                lean.append(np.asarray(x.flat[0]) if x.size and (x == x.flat[0]).all() else x)
            else:
                op = self.made.get(x.number)
                lean.append(op.inputs[0] if op is not None and op.name == "broadcast" else x)
        return lean if np.broadcast_shapes(*(x.shape for x in lean)) == shape else list(given)

    def _unchanged(self, name: str, given: Sequence[Operand], shape: tuple[int, ...], dtype: Any) -> Operand | None:
        """What x + 0, x - 0, 1 x, x / 1 and 0 x are."""
        for k, x in enumerate(given if name in ("add", "mul") else ()):
            if isinstance(x, np.ndarray) and x.shape == () and x == (name == "mul"):
                return self._spread(given[1 - k], shape)
            if isinstance(x, np.ndarray) and x.shape == () and name == "mul" and x == 0:
                return np.zeros(shape, dtype)
        last = given[-1]
        if name in ("sub", "div") and isinstance(last, np.ndarray) and last.shape == () and last == (name == "div"):
            return self._spread(given[0], shape)
        return given[0] if name == "convert_element_type" and given[0].dtype == dtype else None

    def _shaped(self, x: Operand, shape: Sequence[int]) -> Operand:
        shape = tuple(shape)
        if isinstance(x, np.ndarray):
            return x.reshape(shape)
        if x.shape == shape:
            return x
        op = self.made.get(x.number)
        if op is not None and op.name == "reshape":
            return self._shaped(op.inputs[0], shape)
        return self._emit("reshape", [x], shape, x.dtype)

    def _spread(self, x: Operand, shape: Sequence[int]) -> Operand:
        shape = tuple(shape)
        if x.shape == shape:
            return x
        x = self._shaped(x, (*[1] * (len(shape) - len(x.shape)), *x.shape))
        if isinstance(x, np.ndarray):
            return np.broadcast_to(x, shape)
        return x if x.shape == shape else self._emit("broadcast", [x], shape, x.dtype)

    def _cut(self, x: Operand, start: Sequence[int], limit: Sequence[int], strides: Sequence[int] | None = None) -> Any:
        strides = tuple(strides or [1] * len(x.shape))
        if isinstance(x, np.ndarray):
            return np.asarray(x[tuple(map(slice, start, limit, strides))])
        shape = tuple(-(-(b - a) // s) for a, b, s in zip(start, limit, strides, strict=True))
        if shape == x.shape:
            return x
        op = self.made.get(x.number)
        if op is not None and op.name == "concatenate" and strides == (1,) * len(strides):
            axis, first = op.params["dimension"], 0
            for piece in op.inputs:  # what lies in one of the joined pieces is cut out of that
                last = first + piece.shape[axis]
                if first <= start[axis] and limit[axis] <= last:
                    start, limit = list(start), list(limit)
                    start[axis], limit[axis] = start[axis] - first, limit[axis] - first
                    return self._cut(piece, start, limit)
                first = last
        return self._emit("slice", [x], shape, x.dtype, start=tuple(start), limit=tuple(limit), strides=strides)

    def _concatenated(self, pieces: Sequence[Operand], axis: int) -> Operand:
        if len(pieces) == 1:
            return pieces[0]
        if all(isinstance(x, np.ndarray) for x in pieces):
            return np.concatenate(pieces, axis)  # type: ignore[arg-type]
        pieces = [x for x in pieces if x.shape[axis]]
        shape = list(pieces[0].shape)
        shape[axis] = sum(x.shape[axis] for x in pieces)
        return self._emit("concatenate", pieces, shape, pieces[0].dtype, dimension=axis)

    def _reshape(self, given: list[Operand], eqn: Any) -> Operand:
        return self._shaped(given[0], eqn.outvars[0].aval.shape)

    _squeeze = _expand_dims = _reshape

    def _broadcast_in_dim(self, given: list[Operand], eqn: Any) -> Operand:
        shape, axes = eqn.params["shape"], eqn.params["broadcast_dimensions"]
        ones = [1] * len(shape)
        for axis, size in zip(axes, given[0].shape, strict=True):
            ones[axis] = size
        return self._spread(self._shaped(given[0], ones), shape)

    def _transpose(self, given: list[Operand], eqn: Any) -> Operand:
        order, (x,) = tuple(eqn.params["permutation"]), given
        moved = [axis for axis in order if x.shape[axis] != 1]
        if moved == sorted(moved):  # only axes of length 1 change place
            return self._shaped(x, eqn.outvars[0].aval.shape)
        return self._emit("transpose", given, eqn.outvars[0].aval.shape, x.dtype, permutation=order)

    def _slice(self, given: list[Operand], eqn: Any) -> Operand:
        p = eqn.params
        return self._cut(given[0], p["start_indices"], p["limit_indices"], p["strides"])

    def _dynamic_slice(self, given: list[Operand], eqn: Any) -> Operand:
        x, sizes = given[0], eqn.params["slice_sizes"]
        start = [
            min(max(int(i), 0), a - s) for i, a, s in zip(self._fixed(given[1:], eqn), x.shape, sizes, strict=True)
        ]
        return self._cut(x, start, [i + size for i, size in zip(start, sizes, strict=True)])

    def _gather(self, given: list[Operand], eqn: Any) -> Operand:
        (where,) = self._fixed(given[1:], eqn)
        places = np.arange(np.prod(given[0].shape), dtype=np.int32).reshape(given[0].shape)
        found = np.asarray(eqn.primitive.bind(places, where, **{**eqn.params, "fill_value": -1}))
        if found.size and found.min() < 0:
            raise UsageError(f"{self.who} reads outside an array; correct its indices before exporting it.")
        return self._emit("take", given[:1], found.shape, given[0].dtype, places=found.tolist())

    def _split(self, given: list[Operand], eqn: Any) -> list[Operand]:
        (x,), axis, found = given, eqn.params["axis"], []
        ends = np.cumsum(eqn.params["sizes"]).tolist()
        for first, last in zip([0, *ends[:-1]], ends, strict=True):
            start, limit = [0] * len(x.shape), list(x.shape)
            start[axis], limit[axis] = first, last
            found.append(self._cut(x, start, limit))
        return found

    def _concatenate(self, given: list[Operand], eqn: Any) -> Operand:
        return self._concatenated(given, eqn.params["dimension"])

    def _stack(self, given: list[Operand], eqn: Any) -> Operand:
        axis = eqn.params["axis"]
        return self._concatenated([self._shaped(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in given], axis)

    def _add_any(self, given: list[Operand], eqn: Any) -> Operand:
        return self._emit("add", given, given[0].shape, given[0].dtype)

    def _is_finite(self, given: list[Operand], eqn: Any) -> Operand:
        (x,) = given
        size = self._emit("abs", [x], x.shape, x.dtype)
        return self._emit("lt", [size, np.asarray(np.inf, x.dtype)], x.shape, bool)

    def _rev(self, given: list[Operand], eqn: Any) -> Operand:
        (x,), dimensions = given, tuple(eqn.params["dimensions"])
        return self._emit("rev", given, x.shape, x.dtype, dimensions=dimensions)

    def _cumsum(self, given: list[Operand], eqn: Any) -> Operand:
        """Row by row: there are few, and no form needs to know of running sums."""
        (x,), axis = given, eqn.params["axis"]
        rows: list[Operand] = []
        order = range(x.shape[axis])
        for i in reversed(order) if eqn.params["reverse"] else order:
            start, limit = [0] * len(x.shape), list(x.shape)
            start[axis], limit[axis] = i, i + 1
            row = self._cut(x, start, limit)
            rows.append(self._emit("add", [rows[-1], row], row.shape, x.dtype) if rows else row)
        return self._concatenated(rows[::-1] if eqn.params["reverse"] else rows, axis)

    def _dot_general(self, given: list[Operand], eqn: Any) -> Operand:
        """As a batch of matrix products (B, I, K) (B, K, J), the one kind that every form knows."""
        (sum_a, sum_b), (batch_a, batch_b) = eqn.params["dimension_numbers"]
        out = eqn.outvars[0].aval
        a, free_a = self._arranged(given[0], batch_a, sum_a, last=True)
        b, free_b = self._arranged(given[1], batch_b, sum_b, last=False)
        shape = (a.shape[0], free_a, free_b)
        return self._shaped(self._emit("matmul", [a, b], shape, out.dtype), out.shape)

    def _arranged(self, x: Operand, batch: Sequence[int], summed: Sequence[int], last: bool) -> tuple[Operand, int]:
        free = [axis for axis in range(len(x.shape)) if axis not in (*batch, *summed)]
        order = (*batch, *free, *summed) if last else (*batch, *summed, *free)
        sizes = [int(np.prod([x.shape[axis] for axis in group])) for group in (batch, free, summed)]
        shape = tuple(x.shape[axis] for axis in order)
        if isinstance(x, np.ndarray):
            x = x.transpose(order)
        elif order != tuple(range(len(order))):
            x = self._emit("transpose", [x], shape, x.dtype, permutation=order)
        return self._shaped(x, (sizes[0], *(sizes[1:] if last else sizes[:0:-1]))), sizes[1]

    def _integer_pow(self, given: list[Operand], eqn: Any) -> Operand:
        (x,), y = given, eqn.params["y"]
        power = x
        for _ in range(abs(y) - 1):
            power = self._emit("mul", [power, x], x.shape, x.dtype)
        return power if y > 0 else self._emit("div", [np.ones((), x.dtype), power], x.shape, x.dtype)

    def _square(self, given: list[Operand], eqn: Any) -> Operand:
        return self._emit("mul", [given[0], given[0]], given[0].shape, given[0].dtype)

    def _clamp(self, given: list[Operand], eqn: Any) -> Operand:
        low, x, high = given
        return self._emit("min", [self._emit("max", [x, low], x.shape, x.dtype), high], x.shape, x.dtype)

    def _reduce(self, given: list[Operand], eqn: Any) -> Operand:
        out, axes = eqn.outvars[0].aval, tuple(eqn.params["axes"])
        if all(given[0].shape[axis] == 1 for axis in axes):
            return self._shaped(given[0], out.shape)
        return self._emit(eqn.primitive.name, given, out.shape, out.dtype, axes=axes)

    _reduce_sum = _reduce_max = _reduce_min = _reduce_and = _reduce_or = _reduce

    def _fixed(self, indices: Sequence[Operand], eqn: Any) -> list[np.ndarray]:
        """Indices, where they do not depend on what is measured."""
        fixed = [x for x in indices if isinstance(x, np.ndarray)]
        if len(fixed) < len(indices):
            raise UsageError(
                f"{self.who} indexes an array ('{eqn.primitive.name}') by what it measures, which no export can; "
                "write it with jnp.where."
            )
        return fixed


def _read(x: Any, env: dict[Any, Operand]) -> Operand:
    if not isinstance(x, Literal):
        return env[x]
    aval: Any = x.aval
    return np.asarray(x.val, aval.dtype)


def _key(x: Operand) -> Any:
    return (x.shape, x.dtype.str, x.tobytes()) if isinstance(x, np.ndarray) else x.number


def _needed(ops: list[Op], outputs: Sequence[Operand]) -> list[Op]:
    """The operations on which an output depends."""
    wanted = {x.number for x in outputs if isinstance(x, Value)}
    kept = []
    for op in reversed(ops):
        if op.output.number in wanted:
            kept.append(op)
            wanted |= {x.number for x in op.inputs if isinstance(x, Value)}
    return kept[::-1]
