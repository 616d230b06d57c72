"""One library that run.py times: which functions it offers, and what differs in what they compute.

Every function takes arrays q, qd, u (batch, n); u is the torque of forward and the acceleration of inverse dynamics.
A function with VJP also gives the gradients of (cotangent . acceleration), the cotangent being the acceleration itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax

from armctl import rigid

FK, JAC, ID, MASS = "forward kinematics", "jacobian", "inverse dynamics", "mass matrix"
FD, VJP = "forward dynamics", "forward dynamics + VJP"
FUNCTIONS = (FK, JAC, ID, MASS, FD, VJP)
GRAVITY = -rigid.GRAVITY[2]
"""m/s^2, downwards."""


@dataclass
class Peer:
    """One library: functions by name, how they are called, what differs in what they compute."""

    name: str
    functions: dict[str, Callable]
    jax: bool = False
    """Whether the functions are to be compiled by jax.jit."""
    batches: tuple[int, ...] | None = None
    """The batches that are tried, where not all are: those of a peer that compiles for minutes."""
    cpu_options: dict[str, Any] = field(default_factory=dict)
    """Options of the compiler on a CPU, where its own choice serves this peer badly."""
    notes: dict[str, str] = field(default_factory=dict)
    """Function -> what this peer's row computes where it is not just that."""
    comparable: dict[str, Callable] = field(default_factory=dict)
    """Function -> makes of its result, q, qd and u what the others return; not part of the time."""


def with_vjp(forward: Callable) -> Callable:
    """(q, qd, u) -> acceleration and the three gradients."""

    def call(q, qd, u):
        value, pull = jax.vjp(forward, q, qd, u)
        return value, *pull(value)

    return call
