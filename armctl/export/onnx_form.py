"""A program as an ONNX graph, which every runtime of that format runs."""

from importlib.util import find_spec
from typing import Any

import numpy as np

from armctl.errors import UsageError
from armctl.export.program import Op, Operand, Program, Value

INSTALLED = find_spec("onnx") is not None
if INSTALLED:  # where it is not, that is said when the form is asked for
    from onnx import checker, helper, numpy_helper

OPSET, FORMAT = 18, 9
DIRECT = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "pow": "Pow",
    "neg": "Neg",
}
DIRECT |= {
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "logistic": "Sigmoid",
    "sin": "Sin",
    "cos": "Cos",
    "sqrt": "Sqrt",
}
DIRECT |= {"abs": "Abs", "sign": "Sign", "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater"}
DIRECT |= {"ge": "GreaterOrEqual", "and": "And", "or": "Or", "not": "Not", "matmul": "MatMul"}
REDUCED = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


def write_onnx(program: Program) -> bytes:
    """The graph, its constants included, as the bytes of an .onnx file.

    Raises UsageError where the package onnx is not installed or an operation has no counterpart.
    """
    if not INSTALLED:
        raise UsageError("The form onnx needs a package: pip install 'armctl[onnx]'.")
    return _Writer(program).model()


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = {value.number: name for name, value in zip(program.names, program.inputs, strict=True)}
        self.constants: dict[Any, Any] = {}
        self.nodes: list[Any] = []

    def model(self) -> bytes:
        """The whole file."""
        for op in self.program.ops:
            self._op(op)
        outs = [*(f"next_{name}" for name in self.program.names[: len(self.program.carry)]), "command"]
        for name, value in zip(outs, self.program.outputs, strict=True):
            self._node("Identity", [value], name)
        graph = helper.make_graph(
            self.nodes,
            "armctl_step",
            [_info(name, x) for name, x in zip(self.program.names, self.program.inputs, strict=True)],
            [_info(name, x) for name, x in zip(outs, self.program.outputs, strict=True)],
            list(self.constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT)
        checker.check_model(model)
        return bytes(model.SerializeToString())

    def _name(self, x: Operand | str) -> str:
        if isinstance(x, str):
            return x
        if isinstance(x, Value):
            return self.names.get(x.number, f"v{x.number}")
        key = (x.shape, x.dtype.str, x.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(np.array(x, order="C"), f"c{len(self.constants)}")
        return str(self.constants[key].name)

    def _node(self, kind: str, inputs: list[Any], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, [self._name(x) for x in inputs], [output], **attributes))
        return output

    def _op(self, op: Op) -> None:
        if op.name in DIRECT:
            self._node(DIRECT[op.name], list(op.inputs), self._name(op.output))
        elif op.name in REDUCED:
            self._node(
                REDUCED[op.name], [op.inputs[0], _integers(op.params["axes"])], self._name(op.output), keepdims=0
            )
        elif hasattr(self, f"_{op.name}"):
            getattr(self, f"_{op.name}")(op, op.inputs[0], self._name(op.output))
        else:
            raise UsageError(f"The form onnx has no operation '{op.name}'; export the controller as numpy or c.")

    def _ne(self, op: Op, x: Operand, out: str) -> None:
        self._node("Not", [self._node("Equal", list(op.inputs), f"{out}_equal")], out)

    def _rsqrt(self, op: Op, x: Operand, out: str) -> None:
        self._node("Reciprocal", [self._node("Sqrt", [x], f"{out}_root")], out)

    def _expm1(self, op: Op, x: Operand, out: str) -> None:
        self._node("Sub", [self._node("Exp", [x], f"{out}_exp"), np.ones((), x.dtype)], out)

    def _log1p(self, op: Op, x: Operand, out: str) -> None:
        self._node("Log", [self._node("Add", [x, np.ones((), x.dtype)], f"{out}_sum")], out)

    def _select_n(self, op: Op, x: Operand, out: str) -> None:
        which, no, yes = op.inputs
        self._node("Where", [which, yes, no], out)

    def _convert_element_type(self, op: Op, x: Operand, out: str) -> None:
        self._node("Cast", [x], out, to=helper.np_dtype_to_tensor_dtype(op.output.dtype))

    def _reshape(self, op: Op, x: Operand, out: str) -> None:
        self._node("Reshape", [x, _integers(op.output.shape)], out)

    def _broadcast(self, op: Op, x: Operand, out: str) -> None:
        self._node("Expand", [x, _integers(op.output.shape)], out)

    def _transpose(self, op: Op, x: Operand, out: str) -> None:
        self._node("Transpose", [x], out, perm=list(op.params["permutation"]))

    def _slice(self, op: Op, x: Operand, out: str) -> None:
        limits = (op.params["start"], op.params["limit"], range(len(x.shape)), op.params["strides"])
        self._node("Slice", [x, *map(_integers, limits)], out)

    def _rev(self, op: Op, x: Operand, out: str) -> None:
        axes = op.params["dimensions"]
        last = np.iinfo(np.int64).min
        limits = ([x.shape[k] - 1 for k in axes], [last] * len(axes), axes, [-1] * len(axes))
        self._node("Slice", [x, *map(_integers, limits)], out)

    def _take(self, op: Op, x: Operand, out: str) -> None:
        flat = self._node("Reshape", [x, _integers([-1])], f"{out}_flat")
        self._node("Gather", [flat, np.asarray(op.params["places"], np.int64)], out)

    def _concatenate(self, op: Op, x: Operand, out: str) -> None:
        self._node("Concat", list(op.inputs), out, axis=op.params["dimension"])


def _integers(values: Any) -> np.ndarray:
    return np.asarray(list(values), np.int64)


def _info(name: str, x: Operand) -> Any:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), list(x.shape))
