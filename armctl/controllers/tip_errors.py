"""Tip pose and twist errors as the task-space controllers use them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl.arm import Arm
from armctl.geometry import chordal_error, matvec
from armctl.kinematics import pose_and_jacobian
from armctl.plant.observe import Measurement, Window
from armctl.recursions.elimination import solve_batch_last
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


def damped_solve(
    J: Float[Array, "*batch 6 n"], v: Float[Array, "*batch 6"], damping: Scalar = 0.1
) -> Float[Array, "*batch n"]:
    """Damped least-squares solution of J x = v, x = J' (J J' + damping^2 I)^-1 v (Wampler 1986).

    J: (..., 6, n); v: (..., 6); damping: in the unit of J -> (..., n).
    """
    rows, v = jnp.moveaxis(J, (-2, -1), (0, 1)), jnp.moveaxis(v, -1, 0)  # batch last, where the solver wants it
    eye = jnp.eye(len(v), dtype=J.dtype).reshape(len(v), len(v), *[1] * (v.ndim - 1))
    y = solve_batch_last(jnp.sum(rows[:, None] * rows[None], axis=2) + damping**2 * eye, v)
    return jnp.moveaxis(jnp.sum(rows * y[:, None], axis=0), 0, -1)
