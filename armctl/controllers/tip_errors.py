"""Tip pose and twist errors as the task-space controllers use them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl.arm import Arm
from armctl.geometry import chordal_error, matvec
from armctl.kinematics import pose_and_jacobian
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array, Scalar


class TipState(NamedTuple):
    """Where the tip is relative to the reference's present sample, world frame, linear then angular."""

    J: Float[Array, "*batch 6 n"]
    Jdot_qd: Float[Array, "*batch 6"]  # acceleration that the joint velocities alone produce
    error: Float[Array, "*batch 6"]  # m, sin-of-angle rad
    twist_error: Float[Array, "*batch 6"]  # m/s, rad/s
    position: Float[Array, "*batch 3"]  # m


def tip_state(arm: Arm, m: Measurement, w: Window) -> TipState:
    """Errors against index 0 of the window. m: (..., n), w: (..., P+1, ...)."""

    def motion(q: Array) -> tuple[Array, Array]:
        T, J = pose_and_jacobian(arm, q)
        return J, T

    J, dJ, T = jax.jvp(motion, (m.q,), (m.qd,), has_aux=True)
    p, R = T[..., :3, 3], T[..., :3, :3]
    error = jnp.concatenate([w.p[..., 0, :] - p, chordal_error(w.R[..., 0, :, :], R)], axis=-1)
    return TipState(J, matvec(dJ, m.qd), error, w.twist[..., 0, :] - matvec(J, m.qd), p)


def damped_inverse(J: Float[Array, "*batch 6 n"], damping: Scalar = 0.1) -> Float[Array, "*batch n 6"]:
    """Damped pseudo-inverse J' (J J' + damping^2 I)^-1. (..., 6, n) -> (..., n, 6) (Wampler 1986)."""
    Jt = J.swapaxes(-1, -2)
    A = J @ Jt + damping**2 * jnp.eye(J.shape[-2], dtype=J.dtype)
    return Jt @ jnp.linalg.inv(A)
