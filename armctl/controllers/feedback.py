"""Feedback in joint accelerations, with gains that depend on what is believed: the delay, and how much is known.

Where the tip's error is small, the error of the joints is it in other coordinates: with equal gains both decay alike,
and no Jacobian is needed.
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx

from armctl.controllers.base import Gain, gain
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array

UPSET = 0.05
"""Time over which a velocity error counts like a position error in the distance from the reference, s."""


CAUTIOUS = 0.25
"""Rate of the cautious gains, 1/step: half a dozen steps of delay that are not reckoned with leave them stable."""


class Target(NamedTuple):
    """The reference over one control step, (..., n) each."""

    q: Array  # rad
    qd: Array  # rad/s
    qdd: Array  # rad/s^2, mean over the step


def targets(w: Window, control_dt: float) -> Target:
    """The reference over every control step of the window, (..., P, n)."""
    return Target(w.q[..., :-1, :], w.qd[..., :-1, :], (w.qd[..., 1:, :] - w.qd[..., :-1, :]) / control_dt)


def coming(every: Target, start: Array, count: int) -> Target:
    """So many steps of a window's (..., P, n) from the whole step nearest to `start` (...) on; the last one goes on."""
    steps = every.q.shape[-2]
    near = [(jnp.abs(jnp.minimum(start, steps - 1) - k) < 0.5)[..., None, None] for k in range(steps)]

    def chosen(x: Array) -> Array:
        found = x[..., :count, :]
        for k, here in enumerate(near):
            rows = x[..., k : k + count, :]
            found = jnp.where(here, jnp.concatenate([rows, *[x[..., -1:, :]] * (count - rows.shape[-2])], -2), found)
        return found

    return Target(*(chosen(x) for x in every))


def mixed(weights: Array, rows: Array) -> Array:
    """The mean of rows (..., D, n) by weights (..., D) -> (..., n)."""
    return jnp.einsum("...d,...dn->...n", weights, rows[..., : weights.shape[-1], :])


class Feedback(nnx.Module):
    """qdd = kd (qd_ref - qd) + kp (q_ref - q), with a row of gains per delay and cautious ones besides."""

    def __init__(self, n: int, longest: int, control_dt: float) -> None:
        """n: joints; longest: delay, control steps."""
        # both poles of a double integrator, held over a control step, at 1 - r
        r = 0.6 / (1 + 0.5 * jnp.arange(longest + 1, dtype=jnp.float32))
        shape = (2, longest + 1, n)  # upset, and calm
        self.log_kd = Gain(jnp.log(jnp.broadcast_to((2 * r - r**2 / 2)[:, None] / control_dt, shape)))
        self.log_kp = Gain(jnp.log(jnp.broadcast_to(r[:, None] ** 2 / control_dt**2, shape)))
        self.log_early, self.log_near = gain(0.1), gain(2e-3)
        self.control_dt = control_dt

    def velocity(self, target: Target) -> Array:
        """Joint velocity with which the arm stays on the reference, like target.qd.

        Physics steps add velocity before position: over a step of constant acceleration the arm gets a little further
        than a reference of the same velocity.
        """
        return target.qd - jnp.exp(self.log_early[...]) * self.control_dt * target.qdd

    def __call__(self, delays: Array, error: Measurement, sure: Array, caution: Array) -> Array:
        """Acceleration to add (..., n) rad/s^2.

        delays: (..., D + 1) probabilities; error: (..., n) rad and rad/s from the reference; sure, caution: (...) in
        [0, 1].
        """
        # what brings the arm back after a load has fallen into it would, under delay, amplify ripple near the reference
        size = jnp.mean(error.q**2 + (UPSET * error.qd) ** 2, axis=-1) * jnp.exp(-2 * self.log_near[...])
        near = sure / (1 + size)
        weights = jnp.stack([1 - near, near], axis=-1)[..., None] * delays[..., None, :]
        kp, kd = (jnp.exp(jnp.einsum("...sd,sdn->...n", weights, x[...])) for x in (self.log_kp, self.log_kd))
        calm, slow = caution[..., None], CAUTIOUS / self.control_dt
        kd = kd * (1 - calm) + jnp.minimum(kd, slow) * calm
        kp = kp * (1 - calm) + jnp.minimum(kp, slow**2 / 5) * calm
        return -kp * error.q - kd * error.qd
