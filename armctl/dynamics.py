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
from armctl.recursions.regressor import Regressor, regressor
from armctl.rigid import GRAVITY
from armctl.typing import Array, Gravity, Joint


def inverse_dynamics(arm: Arm, q: Joint, qd: Joint, qdd: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Joint torque for a motion, by recursive Newton-Euler (Luh, Walker, Paul 1980).

    q, qd, qdd: (..., n) rad, rad/s, rad/s^2; gravity: (..., 3) m/s^2 -> tau (..., n) N m. Friction is not included.
    """
    q, qd, qdd = (lay.promote(arm, x) for x in (q, qd, qdd))
    return in_blocks(torques, arm, q, qd, qdd, jnp.asarray(gravity, q.dtype))


def torque_regressor(arm: Arm, q: Joint, qd: Joint, qdd: Joint, gravity: Gravity = GRAVITY) -> Regressor:
    """What the torque of a motion is made of: it is linear in inertial parameters (Atkeson, An, Hollerbach 1986).

    q, qd, qdd: (..., n) rad, rad/s, rad/s^2; gravity: (..., 3) m/s^2 -> Regressor of links (..., n, n) N m, whose sum
    over the last axis is inverse dynamics, of a load at the tip (..., n, 10) and of gravity's direction (..., n, 3).
    """
    q, qd, qdd = (lay.promote(arm, x) for x in (q, qd, qdd))
    return regressor(arm, q, qd, qdd, jnp.asarray(gravity, q.dtype))


def gravity(arm: Arm, q: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Torque that holds the arm still against gravity. q: (..., n) rad -> (..., n) N m."""
    zero = jnp.zeros(jnp.shape(q)[-1])
    return inverse_dynamics(arm, q, zero, zero, gravity)


def mass_matrix(arm: Arm, q: Joint) -> Float[Array, "*batch n n"]:
    """Joint-space inertia by composite rigid bodies. q: (..., n) rad -> (..., n, n) kg m^2 (kg where prismatic)."""
    return in_blocks(composite, arm, lay.promote(arm, q))


def forward_dynamics(
    arm: Arm, q: Joint, qd: Joint, tau: Joint, gravity: Gravity = GRAVITY, armature: Joint | None = None
) -> Float[Array, "*batch n"]:
    """Joint acceleration under a torque, by the articulated-body algorithm (Featherstone 1983).

    q, qd, tau: (..., n) rad, rad/s, N m; gravity: (..., 3) m/s^2; armature: (..., n) kg m^2 on the diagonal of the mass
    matrix, such as that of rotors, or dt D where viscous friction D is taken implicitly -> qdd (..., n) rad/s^2.
    Friction is not included.
    The derivative is implicit (Carpentier & Mansard 2018): with l = M^-1 g for a cotangent g, the torque's is l and
    every other input's is -l' d ID(q, qd, qdd); l reuses the articulated inertias of the forward pass.
    """
    q, qd, tau = (lay.promote(arm, x) for x in (q, qd, tau))
    more = () if armature is None else (lay.promote(arm, armature),)
    return in_blocks(_forward_dynamics, arm, q, qd, tau, jnp.asarray(gravity, q.dtype), *more)


@jax.custom_vjp
def _forward_dynamics(
    arm: Arm, q: Array, qd: Array, tau: Array, gravity: Array, armature: Array | None = None
) -> Array:
    return articulated(arm, q, qd, tau, gravity, armature)[0]


def _forward(
    arm: Arm, q: Array, qd: Array, tau: Array, gravity: Array, armature: Array | None = None
) -> tuple[Array, tuple[Any, ...]]:
    qdd, factors = articulated(arm, q, qd, tau, gravity, armature)
    return qdd, (arm, q, qd, tau.shape, qdd, gravity, factors, None if armature is None else armature.shape)


def _backward(residuals: tuple[Any, ...], cotangent: Array) -> tuple[Any, ...]:
    arm, q, qd, tau_shape, qdd, gravity, factors, armature_shape = residuals
    multiplier = solve(arm, factors, cotangent)
    d_arm, d_q, d_qd, d_gravity = power_gradient(arm, q, qd, qdd, -multiplier, gravity)
    d_armature = None if armature_shape is None else _summed(-multiplier * qdd, armature_shape)
    return d_arm, d_q, d_qd, _summed(multiplier, tau_shape), d_gravity, d_armature


def _summed(x: Array, shape: tuple[int, ...]) -> Array:
    """The cotangent of an input of some shape that was broadcast to that of x."""
    extra = x.ndim - len(shape)
    spread = tuple(i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1)
    return jnp.sum(x, tuple(range(extra)) + spread).reshape(shape)


_forward_dynamics.defvjp(_forward, _backward)
