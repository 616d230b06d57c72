"""Rigid-body dynamics of an Arm in JAX: batched, differentiable, and fast (see recursions/layout.py for how).

Accelerations are classical ones of the link origins, which keeps velocities of the origins out of the recursions.
Physical parameters are leaves, so gradients reach them and scenarios batch.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl.arm import Arm
from armctl.recursions import layout as lay
from armctl.recursions.articulated import articulated, solve
from armctl.recursions.blocks import in_blocks
from armctl.recursions.composite import composite
from armctl.recursions.newton_euler import power_gradient, torques
from armctl.rigid import GRAVITY
from armctl.typing import Array, Gravity, Joint


def inverse_dynamics(arm: Arm, q: Joint, qd: Joint, qdd: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Joint torque for a motion, by recursive Newton-Euler (Luh, Walker, Paul 1980).

    q, qd, qdd: (..., n) rad, rad/s, rad/s^2; gravity: (..., 3) m/s^2 -> tau (..., n) N m. Friction is not included.
    """
    q, qd, qdd = (lay.promote(arm, x) for x in (q, qd, qdd))
    return in_blocks(torques, arm, q, qd, qdd, jnp.asarray(gravity, q.dtype))


def gravity(arm: Arm, q: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Torque that holds the arm still against gravity. q: (..., n) rad -> (..., n) N m."""
    zero = jnp.zeros(jnp.shape(q)[-1])
    return inverse_dynamics(arm, q, zero, zero, gravity)


def mass_matrix(arm: Arm, q: Joint) -> Float[Array, "*batch n n"]:
    """Joint-space inertia by composite rigid bodies. q: (..., n) rad -> (..., n, n) kg m^2 (kg where prismatic)."""
    return in_blocks(composite, arm, lay.promote(arm, q))


def forward_dynamics(arm: Arm, q: Joint, qd: Joint, tau: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Joint acceleration under a torque, by the articulated-body algorithm (Featherstone 1983).

    q, qd, tau: (..., n) rad, rad/s, N m; gravity: (..., 3) m/s^2 -> qdd (..., n) rad/s^2. Friction is not included.
    The derivative is implicit (Carpentier & Mansard 2018): with l = M^-1 g for a cotangent g, the torque's is l and
    every other input's is -l' d ID(q, qd, qdd); l reuses the articulated inertias of the forward pass.
    """
    q, qd, tau = (lay.promote(arm, x) for x in (q, qd, tau))
    return in_blocks(_forward_dynamics, arm, q, qd, tau, jnp.asarray(gravity, q.dtype))


@jax.custom_vjp
def _forward_dynamics(arm: Arm, q: Array, qd: Array, tau: Array, gravity: Array) -> Array:
    return articulated(arm, q, qd, tau, gravity)[0]


def _forward(arm: Arm, q: Array, qd: Array, tau: Array, gravity: Array) -> tuple[Array, tuple[Any, ...]]:
    qdd, factors = articulated(arm, q, qd, tau, gravity)
    return qdd, (arm, q, qd, tau.shape, qdd, gravity, factors)


def _backward(residuals: tuple[Any, ...], cotangent: Array) -> tuple[Any, ...]:
    arm, q, qd, tau_shape, qdd, gravity, factors = residuals
    multiplier = solve(arm, factors, cotangent)
    d_arm, d_q, d_qd, d_gravity = power_gradient(arm, q, qd, qdd, -multiplier, gravity)
    extra = multiplier.ndim - len(tau_shape)
    axes = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(tau_shape) if n == 1 and multiplier.shape[i + extra] != 1
    )
    return d_arm, d_q, d_qd, jnp.sum(multiplier, axes).reshape(tau_shape), d_gravity


_forward_dynamics.defvjp(_forward, _backward)
