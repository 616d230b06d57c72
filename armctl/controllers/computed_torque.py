"""Computed torque: exact linearisation of the nominal arm in joint space (Luh, Walker, Paul 1980)."""

import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller, gain
from armctl.dynamics import inverse_dynamics


def held_acceleration(w, control_dt):
    """Reference acceleration averaged over the control step, which a held command should realise. -> (..., n)."""
    return (w.qd[..., 1, :] - w.qd[..., 0, :]) / control_dt


class ComputedTorque(Controller):
    """tau = ID(q, qd, qdd_ref + Kd (qd_ref - qd) + Kp (q_ref - q)), gains joint by joint."""

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0):
        super().__init__(arm, control_dt, preview, seed)
        self.log_kp = gain(400.0, (arm.n,))
        self.log_kd = gain(40.0, (arm.n,))

    def __call__(self, carry, m, w):
        """Inverse dynamics of the reference acceleration plus a PD correction."""
        feedback = jnp.exp(self.log_kp[...]) * (w.q[..., 0, :] - m.q) + jnp.exp(self.log_kd[...]) * (
            w.qd[..., 0, :] - m.qd
        )
        qdd = held_acceleration(w, self.control_dt) + feedback
        tau = inverse_dynamics(self.arm, m.q, m.qd, qdd)
        return carry, jnp.clip(tau, -self.arm.effort, self.arm.effort)
