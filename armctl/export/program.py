"""A controller's step as a list of array operations without branches or loops, whoever runs them.

About twenty kinds of operation, which every form of an export translates.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

UNARY = ("neg", "exp", "expm1", "log", "log1p", "tanh", "logistic", "sin", "cos", "sqrt", "rsqrt", "abs", "sign", "not")
BINARY = ("add", "sub", "mul", "div", "max", "min", "pow", "eq", "ne", "lt", "le", "gt", "ge", "and", "or")
ELEMENTWISE = frozenset((*UNARY, *BINARY, "select_n", "convert_element_type"))


class Value(NamedTuple):
    """What an operation gives."""

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


Operand = Value | np.ndarray
"""What an operation is given: the result of an earlier one, or a constant."""


class Op(NamedTuple):
    """One array operation, named as JAX names it; elementwise ones broadcast as NumPy does."""

    name: str
    inputs: tuple[Operand, ...]
    output: Value
    params: dict[str, Any]


@dataclass
class Program:
    """(carry, q, qd, window) -> (carry, command) of one arm, flat: leaves in the order of the names."""

    inputs: list[Value] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)
    carry: list[np.ndarray] = field(default_factory=list)
    """Memory at the start of an episode."""

    def only_users(self) -> dict[int, Op]:
        """By the index of what is used exactly once, and by an operation: that operation."""
        found: dict[int, list[Op | None]] = {}
        for op in self.ops:
            for x in op.inputs:
                if isinstance(x, Value):
                    found.setdefault(x.number, []).append(op)
        for x in self.outputs:
            if isinstance(x, Value):
                found.setdefault(x.number, []).append(None)
        return {index: users[0] for index, users in found.items() if len(users) == 1 and users[0] is not None}
