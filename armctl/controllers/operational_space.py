"""Operational-space control in inverse-dynamics form (Khatib 1987), with and without integral action."""

from typing import Any

import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller, Gain, gain
from armctl.controllers.preview import ahead, held, lead_gain, lead_steps
from armctl.controllers.tip_errors import TipState, damped_solve, tip_state
from armctl.dynamics import inverse_dynamics
from armctl.geometry import matvec
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class OperationalSpace(Controller):
    """Tip acceleration from pose and twist error, posture in the null space, torque by inverse dynamics."""

    name = "operational_space"
    title = "Operational space"
    family = "classical"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_kp_position, self.log_kp_rotation = gain(600.0), gain(600.0)
        self.log_kd_position, self.log_kd_rotation = gain(40.0), gain(40.0)
        self.log_posture_kp, self.log_posture_kd = gain(100.0), gain(20.0)
        self.lead = lead_gain(preview)

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """a = a_ref + Kd V_e + Kp e; qdd = J# (a - Jdot qd) + (I - J# J) qdd_posture; tau = ID(q, qd, qdd)."""
        future = ahead(w, lead_steps(self.lead, self.preview))
        return carry, self.clip(self.torque(m, w, future, tip_state(self.arm, m, w), 0.0))

    def torque(self, m: Measurement, w: Window, future: Window, tip: TipState, extra: Array) -> Array:
        """Unclipped torque (..., n) N m.

        w: what index 0 is compared with; future: whose two samples give the feed-forward; tip: errors of m against w;
        extra: (..., 6) tip acceleration to add, m/s^2 and rad/s^2.
        """
        feedback = six(self.log_kp_position, self.log_kp_rotation) * tip.error
        feedback += six(self.log_kd_position, self.log_kd_rotation) * tip.twist_error
        posture = jnp.exp(self.log_posture_kp[...]) * (w.q[..., 0, :] - m.q)
        posture += jnp.exp(self.log_posture_kd[...]) * (w.qd[..., 0, :] - m.qd)
        posture += held(future.qd, self.control_dt)
        acceleration = held(future.twist, self.control_dt) + feedback + extra - tip.Jdot_qd
        qdd = posture + damped_solve(tip.J, acceleration - matvec(tip.J, posture))
        return inverse_dynamics(self.arm, m.q, m.qd, qdd)

    def clip(self, tau: Array) -> Array:
        """Torque within the effort limits."""
        return jnp.clip(tau, -self.arm.effort, self.arm.effort)


class OperationalSpaceIntegral(OperationalSpace):
    """The same with the integral of the pose error, clamped against wind-up."""

    name = "operational_space_integral"
    title = "Operational space + integral"
    family = "classical"
    LIMIT = 0.05  # m s, rad s

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_ki_position, self.log_ki_rotation = gain(3000.0), gain(3000.0)

    def init_carry(self, batch: tuple[int, ...] = ()) -> Any:
        """Integral of the pose error, (..., 6) m s and rad s."""
        return jnp.zeros((*batch, 6))

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """As the base class, plus Ki times the integral."""
        tip = tip_state(self.arm, m, w)
        carry = jnp.clip(carry + self.control_dt * tip.error, -self.LIMIT, self.LIMIT)
        future = ahead(w, lead_steps(self.lead, self.preview))
        extra = six(self.log_ki_position, self.log_ki_rotation) * carry
        return carry, self.clip(self.torque(m, w, future, tip, extra))


def six(position: Gain, rotation: Gain) -> Array:
    """Log gains of position and rotation as a (6,) vector of gains."""
    return jnp.exp(jnp.stack([position[...]] * 3 + [rotation[...]] * 3))
