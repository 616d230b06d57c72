"""Computed torque: exact linearisation of the nominal arm in joint space (Luh, Walker, Paul 1980)."""

from typing import Any

import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller, gain
from armctl.controllers.preview import ahead, held, lead_gain, lead_steps
from armctl.dynamics import inverse_dynamics
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class ComputedTorque(Controller):
    """tau = ID(q, qd, qdd_ref + Kd (qd_ref - qd) + Kp (q_ref - q)), gains joint by joint."""

    name = "computed_torque"
    title = "Computed torque"
    family = "classical"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_kp, self.log_kd = gain(600.0, (arm.n,)), gain(40.0, (arm.n,))
        self.lead = lead_gain(preview)

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """Inverse dynamics of the reference acceleration plus a PD correction."""
        return carry, self.torque(m, w, jnp.zeros_like(m.q))

    def torque(self, m: Measurement, w: Window, extra: Array) -> Array:
        """Command (..., n) N m with an extra acceleration (..., n) rad/s^2."""
        qdd = extra + held(ahead(w, lead_steps(self.lead, self.preview)).qd, self.control_dt)
        qdd += jnp.exp(self.log_kp[...]) * (w.q[..., 0, :] - m.q)
        qdd += jnp.exp(self.log_kd[...]) * (w.qd[..., 0, :] - m.qd)
        tau = inverse_dynamics(self.arm, m.q, m.qd, qdd)
        return jnp.clip(tau, -self.arm.effort, self.arm.effort)


class ComputedTorqueIntegral(ComputedTorque):
    """The same with the integral of the joint error, clamped against wind-up."""

    name = "computed_torque_integral"
    title = "Computed torque + integral"
    family = "classical"
    LIMIT = 0.05  # rad s

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_ki = gain(3000.0, (arm.n,))

    def init_carry(self, batch: tuple[int, ...] = ()) -> Any:
        """Integral of the joint error, (..., n) rad s."""
        return jnp.zeros((*batch, self.arm.n))

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """As the base class, plus Ki times the integral."""
        carry = jnp.clip(carry + self.control_dt * (w.q[..., 0, :] - m.q), -self.LIMIT, self.LIMIT)
        return carry, self.torque(m, w, jnp.exp(self.log_ki[...]) * carry)
