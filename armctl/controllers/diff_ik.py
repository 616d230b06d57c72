"""Resolved-rate control with feed-forward (Whitney 1969; damped least squares, Wampler 1986)."""

import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller, gain
from armctl.controllers.errors import damped_inverse, tip_state
from armctl.plant.servo import matvec


class DiffIK(Controller):
    """Joint velocity from the tip's pose error, with the redundancy pulled towards the reference posture."""

    control = "velocity"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0):
        super().__init__(arm, control_dt, preview, seed)
        self.log_position = gain(10.0)
        self.log_rotation = gain(10.0)
        self.log_posture = gain(2.0)
        self.log_lead = gain(0.5)

    def __call__(self, carry, m, w):
        """V = V_ref + K e; qd = J# V + (I - J# J) (qd_ref + k (q_ref - q))."""
        tip = tip_state(self.arm, m, w)
        K = jnp.exp(jnp.stack([self.log_position[...]] * 3 + [self.log_rotation[...]] * 3))
        # The velocity loop lags; the feed-forward reads the reference a learnt fraction of the preview ahead.
        ahead = self.preview * jnp.exp(self.log_lead[...]) / (1 + jnp.exp(self.log_lead[...]))
        weight = jnp.maximum(0.0, 1 - jnp.abs(jnp.arange(self.preview + 1) - ahead))
        twist = jnp.einsum("p,...pi->...i", weight, w.twist) + K * tip.error
        posture = jnp.einsum("p,...pi->...i", weight, w.qd) + jnp.exp(self.log_posture[...]) * (w.q[..., 0, :] - m.q)
        inverse = damped_inverse(tip.J)
        qd = matvec(inverse, twist - matvec(tip.J, posture)) + posture
        return carry, jnp.clip(qd, -self.arm.velocity, self.arm.velocity)
