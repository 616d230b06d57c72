"""Cartesian impedance control (Hogan 1985): the tip as a spring and a damper that travel along the reference."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from armctl.arm import Arm
from armctl.controllers.base import Controller, Gain, gain
from armctl.controllers.preview import ahead, held, lead_gain, lead_steps
from armctl.controllers.tip_errors import damped_solve, tip_state
from armctl.dynamics import inverse_dynamics, mass_matrix
from armctl.geometry import matvec
from armctl.kinematics import pose_and_jacobian
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array

FREQUENCY = 25.0  # rad/s, of the default spring where the tip is lightest
DAMPING = 0.8  # share of critical
NULL = 0.005  # damping of the null space's projection; what it lets through stiffens the tip


class Impedance(Controller):
    """tau = ID(q, qd, qdd_ref + N a_posture) + J' (K e + D V_e): no inertia is shaped, a push at the tip meets K.

    Stiffness and damping are those of the axes of the reference's tip frame, constant in every configuration, unlike
    the accelerations of operational space, which feel as stiff as the arm is heavy.
    """

    name = "impedance"
    title = "Cartesian impedance"
    family = "classical"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        position, rotation = least_inertia(arm)  # a light wrist bears far less stiffness than a heavy shoulder
        self.log_k_position, self.log_k_rotation = (_log(FREQUENCY**2 * m) for m in (position, rotation))
        self.log_d_position, self.log_d_rotation = (_log(2 * DAMPING * FREQUENCY * m) for m in (position, rotation))
        self.log_posture_kp, self.log_posture_kd = gain(100.0), gain(20.0)
        self.lead = lead_gain(preview)

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """Feed-forward of the reference and of the posture's pull, plus the wrench of spring and damper."""
        tip = tip_state(self.arm, m, w)
        # The joints accelerate as the reference does, and towards its posture as far as the tip does not notice:
        # qdd = qdd_ref + (I - J# J) a with a = kp (q_ref - q) + kd (qd_ref - qd).
        pull = jnp.exp(self.log_posture_kp[...]) * (w.q[..., 0, :] - m.q)
        pull += jnp.exp(self.log_posture_kd[...]) * (w.qd[..., 0, :] - m.qd)
        future = ahead(w, lead_steps(self.lead, self.preview))
        qdd = held(future.qd, self.control_dt) + pull - damped_solve(tip.J, matvec(tip.J, pull), NULL)
        # With that alone M (qdd - qdd_ref) = 0. The wrench F = K e + D V_e, of a spring and a damper that are fixed in
        # the reference's tip frame, makes it M (qdd - qdd_ref) = J' F, and a push F_ext at rest gives e = -K^-1 F_ext.
        R = w.R[..., 0, :, :]
        K = jnp.exp(jnp.stack([self.log_k_position[...], self.log_k_rotation[...]]))
        D = jnp.exp(jnp.stack([self.log_d_position[...], self.log_d_rotation[...]]))
        error, rate = (x.reshape(*x.shape[:-1], 2, 3) @ R for x in (tip.error, tip.twist_error))
        wrench = ((K * error + D * rate) @ R.swapaxes(-1, -2)).reshape(tip.error.shape)
        tau = inverse_dynamics(self.arm, m.q, m.qd, qdd) + matvec(tip.J.swapaxes(-1, -2), wrench)
        return carry, jnp.clip(tau, -self.arm.effort, self.arm.effort)


def least_inertia(arm: Arm, count: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Mass (3,) kg and moment of inertia (3,) kg m^2 that a push along or about each axis of the tip meets at least.

    count: random configurations that are looked at, the same every time.
    """
    low, high = np.maximum(arm.lower, -np.pi), np.minimum(arm.upper, np.pi)
    q = np.random.default_rng(0).uniform(low, high, (count, arm.n))
    T, J = pose_and_jacobian(arm, q)
    J = np.asarray((J.reshape(count, 2, 3, -1).swapaxes(-1, -2) @ T[:, None, :3, :3]).swapaxes(-1, -2), np.float64)
    # e_i' J M^-1 J' e_i is the acceleration along axis i per unit of force on it
    mobility = J @ np.linalg.solve(np.asarray(mass_matrix(arm, q), np.float64)[:, None], J.swapaxes(-1, -2))
    most = np.max(np.diagonal(mobility, axis1=-2, axis2=-1), axis=0)
    position, rotation = 1 / np.where(most > 1e-3, most, 1.0)  # any stiffness does where the tip cannot move
    return position, rotation


def _log(values: np.ndarray) -> Gain:
    """Positive gains of several axes, kept as their logarithms."""
    return Gain(jnp.asarray(np.log(values), jnp.float32))
