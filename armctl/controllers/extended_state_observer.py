"""Linear active disturbance rejection (Han 2009; Gao 2003): each joint is a double integrator and an unknown.

Inverse dynamics of the nominal arm makes joint i, whatever its load, qdd_i = u_i + f_i. Its observer has three states,
z = (q, qd, f), in continuous time z' = A z + B u + L (q - z1) with all poles at -w: L = (3 w, 3 w^2, w^3).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller, Gain, gain
from armctl.controllers.preview import ahead, held, lead_gain, lead_steps
from armctl.dynamics import forward_dynamics, gravity, inverse_dynamics
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class ObserverState(NamedTuple):
    """Memory of the observer."""

    q: Array  # (..., n) rad, previous measurement
    qd: Array  # (..., n) rad/s
    z: Array  # (..., 3, n) estimates of q, qd and of f in rad/s^2
    last: Array  # (..., n) N m, previous command
    before: Array  # (..., n) N m, the one before it
    fresh: Array  # (...) 1 before the first step, then 0


class ExtendedStateObserver(Controller):
    """u = qdd_ref + kp (q_ref - z1) + kd (qd_ref - z2) - f, tau = ID(q, qd, u), gains joint by joint."""

    name = "extended_state_observer"
    title = "Extended state observer"
    family = "classical"
    information = "nominal model, measured joint state, reference window, own past commands"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_kp, self.log_kd = gain(400.0, (arm.n,)), gain(40.0, (arm.n,))
        self.log_bandwidth = gain(100.0, (arm.n,))  # rad/s; the poles of a bandwidth of 1 / dt are at 1 / e
        self.delay = Gain(jnp.zeros(()))  # logit of the control steps, up to one, by which commands act late
        self.lead = lead_gain(preview)

    def init_carry(self, batch: tuple[int, ...] = ()) -> ObserverState:
        """Nothing measured yet."""
        zero = jnp.zeros((*batch, self.arm.n))
        return ObserverState(zero, zero, jnp.zeros((*batch, 3, self.arm.n)), zero, zero, jnp.ones(batch))

    def __call__(self, carry: ObserverState, m: Measurement, w: Window) -> tuple[ObserverState, Array]:
        """Observe, then command what makes the joints double integrators without a disturbance."""
        carry = self._begin(carry, m)
        u = self.acted(carry, m)
        z = jnp.where(carry.fresh[..., None, None] > 0, carry.z, self.observe(carry.z, u, m.q))
        z1, z2, f = (z[..., i, :] for i in range(3))
        u = held(ahead(w, lead_steps(self.lead, self.preview)).qd, self.control_dt)
        u += jnp.exp(self.log_kp[...]) * (w.q[..., 0, :] - z1) + jnp.exp(self.log_kd[...]) * (w.qd[..., 0, :] - z2)
        tau = inverse_dynamics(self.arm, m.q, m.qd, u - f)
        tau = jnp.clip(tau, -self.arm.effort, self.arm.effort)
        return ObserverState(m.q, m.qd, z, tau, carry.last, jnp.zeros_like(carry.fresh)), tau

    def observe(self, z: Array, u: Array, q: Array) -> Array:
        """Estimates (..., 3, n) after a control step with acceleration u (..., n) at whose end q (..., n) is measured.

        z: (..., 3, n) those before it. Exact for a u and an f that are held (zero-order hold), with the three poles of
        the error at exp(-w dt): stable whatever the bandwidth (Miklosovic, Radke, Gao 2006).
        """
        dt, (z1, z2, f) = self.control_dt, (z[..., i, :] for i in range(3))
        # predicted over the step, as a double integrator moves
        z1, z2 = z1 + dt * z2 + 0.5 * dt**2 * (u + f), z2 + dt * (u + f)
        # corrected by what the measurement says beyond it
        pole = jnp.exp(-jnp.exp(self.log_bandwidth[...]) * dt)
        new = q - z1
        z1 = z1 + (1 - pole**3) * new
        z2 = z2 + 1.5 * (1 - pole) ** 2 * (1 + pole) / dt * new
        f = f + (1 - pole) ** 3 / dt**2 * new
        return jnp.stack([z1, z2, f], axis=-2)

    def acted(self, carry: ObserverState, m: Measurement) -> Array:
        """Acceleration (..., n) that the nominal arm would have had over the last step, rad/s^2.

        From the command that acted, clipped and late as it was, not from the one that was wanted; half-way through the
        step, where the mean acceleration belongs.
        """
        delay = jax.nn.sigmoid(self.delay[...])
        tau = (1 - delay) * carry.last + delay * carry.before
        return forward_dynamics(self.arm, 0.5 * (carry.q + m.q), 0.5 * (carry.qd + m.qd), tau)

    def _begin(self, carry: ObserverState, m: Measurement) -> ObserverState:
        """Before the first step: the measured state, no disturbance, the arm held against gravity where it stands."""
        fresh, hold = carry.fresh[..., None] > 0, gravity(self.arm, m.q)
        z = jnp.stack([m.q, m.qd, jnp.zeros_like(m.q)], axis=-2)
        pick = {"q": m.q, "qd": m.qd, "last": hold, "before": hold}
        pick = {name: jnp.where(fresh, x, getattr(carry, name)) for name, x in pick.items()}
        return carry._replace(z=jnp.where(fresh[..., None], z, carry.z), **pick)
