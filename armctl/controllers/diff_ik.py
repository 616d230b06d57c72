"""Resolved-rate control with feed-forward (Whitney 1969; damped least squares, Wampler 1986)."""

from typing import Any

import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller, gain
from armctl.controllers.preview import ahead, lead_gain, lead_steps
from armctl.controllers.tip_errors import damped_solve, tip_state
from armctl.geometry import matvec
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class DiffIK(Controller):
    """Joint velocity from the tip's pose error, with the redundancy pulled towards the reference posture."""

    name = "diff_ik"
    title = "Differential IK"
    family = "classical"
    control = "velocity"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_position, self.log_rotation = gain(10.0), gain(10.0)
        self.log_posture = gain(2.0)
        self.lead = lead_gain(preview, 1.5)  # the velocity loop lags, so the feed-forward looks ahead

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """V = V_ref + K e; qd = J# V + (I - J# J) (qd_ref + k (q_ref - q))."""
        tip = tip_state(self.arm, m, w)
        K = jnp.exp(jnp.stack([self.log_position[...]] * 3 + [self.log_rotation[...]] * 3))
        future = ahead(w, lead_steps(self.lead, self.preview))
        twist = future.twist[..., 0, :] + K * tip.error
        posture = future.qd[..., 0, :] + jnp.exp(self.log_posture[...]) * (w.q[..., 0, :] - m.q)
        qd = posture + damped_solve(tip.J, twist - matvec(tip.J, posture))
        return carry, jnp.clip(qd, -self.arm.velocity, self.arm.velocity)
