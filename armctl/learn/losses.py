"""The one tracking objective on which every controller, classical or learned, is tuned."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from armctl.arm import Arm
from armctl.kinematics import forward_kinematics
from armctl.settings import check_finite
from armctl.typing import Array, Joint, Scalar


@dataclass(frozen=True)
class Objective:
    """Weights of the tracking loss; its unit is millimetres."""

    metre_per_radian: float = 0.1
    """Length that one radian of orientation error is worth, m."""
    delta_start: float = 1.0
    """Charbonnier width at the first update, mm: quadratic below, linear above."""
    delta_end: float = 0.1
    """Charbonnier width at the last update, mm."""
    effort: float = 0.01
    """Weight of the mean squared command, as a fraction of the effort limit."""
    rate: float = 0.1
    """Weight of the mean squared change of the command between steps, likewise."""
    limits: float = 10.0
    """Weight of joint positions beyond the limits less a margin of 0.05 rad, and of velocities beyond their limits."""
    posture: float = 0.1
    """Weight of the squared deviation from the reference posture, 1/rad^2."""
    even: float = 0.05
    """Pose error of a window, mm, beyond which its weight falls as the error grows: what counts then is by what ratio
    errors change, and easy plants are not given up for hard ones."""
    model: float = 0.1
    """Weight of how badly a controller's own model explains what it measures, mm per nat."""

    def __post_init__(self) -> None:
        check_finite(self)


def charbonnier(square: Float[Array, "*batch"], delta: Scalar) -> Float[Array, "*batch"]:
    """sqrt(e^2 + delta^2) - delta, from e^2: smooth at zero, linear far away."""
    return jnp.sqrt(square + delta**2) - delta


def tracking_errors(
    arm: Arm,
    q: Joint,
    p_target: Float[Array, "*#batch 3"],
    R_target: Float[Array, "*#batch 3 3"],
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Squared tip errors, position (m^2) and chordal (4 sin^2(angle / 2), rad^2).

    q: (..., n), p_target: (..., 3), R_target: (..., 3, 3) -> (...), (...).
    """
    T = forward_kinematics(arm, q)
    position = jnp.sum((T[..., :3, 3] - p_target) ** 2, axis=-1)
    # half the squared Frobenius distance: monotone up to pi, unlike the sine of the error vector
    chord = jnp.sum((T[..., :3, :3] - R_target) ** 2, axis=(-2, -1)) / 2
    return position, chord


def pose_errors(
    objective: Objective, errors: tuple[Float[Array, "*batch"], Float[Array, "*batch"]], delta: Scalar
) -> Float[Array, "*batch"]:
    """Position and orientation error as one, mm, of width delta. errors: squared position (m^2) and chord (rad^2)."""
    position, chord = errors
    return charbonnier(1e6 * position, delta) + charbonnier(1e6 * objective.metre_per_radian**2 * chord, delta)


def evened(objective: Objective, pose: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """even log(1 + pose / even): the pose error itself where it is small, its ratios where it is large. mm -> mm."""
    return objective.even * jnp.log1p(pose / objective.even)


def episode_weights(
    objective: Objective,
    errors: tuple[Float[Array, "H B"], Float[Array, "H B"]],
    alive: Bool[Array, "B"],
    delta: Scalar,
) -> Float[Array, "B"]:
    """Weight of every episode's loss over a window: the slope of `evened` at its mean pose error.

    errors: as `pose_errors`; alive: (B,) bool; delta: mm -> (B,), at most 1.
    """
    pose = jnp.mean(jnp.where(alive, pose_errors(objective, errors, delta), 0.0), axis=0)
    return jax.lax.stop_gradient(1 / (1 + pose / objective.even))


def pose_score(
    objective: Objective, errors: tuple[Float[Array, "H B"], Float[Array, "H B"]], alive: Bool[Array, "B"]
) -> Float[Array, ""]:
    """Pose error of a window at the final Charbonnier width, by which parameters of different updates are compared.

    errors: squared position (m^2) and chord (rad^2), each (H, B); alive: (B,) bool -> mm. A diverged episode counts
    300 mm.
    """
    pose = pose_errors(objective, errors, objective.delta_end)
    return jnp.mean(jnp.where(alive & jnp.isfinite(pose), pose, 300.0))


def step_loss(
    objective: Objective,
    arm: Arm,
    scale: Float[Array, "m"],
    delta: Scalar,
    state: tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]],
    command: Float[Array, "*batch m"],
    previous: Float[Array, "*batch m"],
    target: tuple[Float[Array, "*batch n"], Float[Array, "*batch 3"], Float[Array, "*batch 3 3"]],
) -> tuple[Float[Array, "*batch"], tuple[Float[Array, "*batch"], Float[Array, "*batch"]]]:
    """Loss of one control step.

    scale: (n,) command at full effort; delta: Charbonnier width, mm; state: (q, qd) reached; command, previous:
    (..., n); target: (q, p, R) at the same time -> loss (...) mm, and the squared errors of `tracking_errors`.
    """
    q, qd = state
    q_target, p, R = target
    errors = tracking_errors(arm, q, p, R)
    beyond = jnp.maximum(q - (arm.upper - 0.05), 0) + jnp.maximum((arm.lower + 0.05) - q, 0)
    fast = jnp.maximum(jnp.abs(qd) / arm.velocity - 1, 0)
    extra = objective.effort * jnp.mean((command / scale) ** 2, -1)
    extra += objective.rate * jnp.mean(((command - previous) / scale) ** 2, -1)
    extra += objective.limits * jnp.mean(beyond + fast, -1)
    extra += objective.posture * jnp.mean((q - q_target) ** 2, -1)
    return pose_errors(objective, errors, delta) + extra, errors
