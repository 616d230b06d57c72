"""Operational-space control with a state predictor and a disturbance observer, all of whose gains are tuned.

The prediction residual, the torque that the nominal model cannot account for since the last measurement, is fed through
to the command (a disturbance observer in residual form); it stands for the payload, friction and model errors alike. A
learnt delay of up to one control step says which past command was acting; the state is predicted over it (Smith 1957).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Gain
from armctl.controllers.operational_space import OperationalSpaceIntegral, six
from armctl.controllers.preview import ahead
from armctl.controllers.tip_errors import TipState, tip_state
from armctl.dynamics import forward_dynamics, gravity, inverse_dynamics
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array

HISTORY = 3


class ObserverCarry(NamedTuple):
    """Memory of the observer."""

    q: Array  # (..., n) rad, previous measurement
    qd: Array  # (..., n) rad/s
    last: Array  # (..., n) N m, previous command
    before: Array  # (..., n) N m, the one before it
    residual: Array  # (..., HISTORY, n) fractions of effort, newest first
    integral: Array  # (..., 6) integral of the pose error, m s and rad s
    fresh: Array  # (...) 1 before the first step, then 0


class DisturbanceObserver(OperationalSpaceIntegral):
    """State prediction + operational space with integral + feed-through of the last residuals."""

    name = "disturbance_observer"
    title = "Disturbance observer"
    family = "classical"
    information = "nominal model, measured joint state, reference window, own past commands"
    least_preview = 2  # it reads up to a step ahead of where it predicts itself, and one step on
    BOUND = 0.5  # of the effort limit, on all that is added to operational space

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.through = Gain(jnp.zeros((HISTORY, arm.n)).at[0].set(-0.5))
        self.delay = Gain(jnp.zeros(()))

    def init_carry(self, batch: tuple[int, ...] = ()) -> ObserverCarry:
        """No residual, no integral, nothing measured yet."""
        zero = jnp.zeros((*batch, self.arm.n))
        history = jnp.zeros((*batch, HISTORY, self.arm.n))
        return ObserverCarry(zero, zero, zero, zero, history, jnp.zeros((*batch, 6)), jnp.ones(batch))

    def __call__(self, carry: ObserverCarry, m: Measurement, w: Window) -> tuple[ObserverCarry, Array]:
        """tau = operational space at the predicted state + effort * bounded(feed-through of residuals + correction)."""
        carry = self._begin(carry, m)
        delay = jax.nn.sigmoid(self.delay[...])
        residual = self._residuals(carry, m, delay)
        seen = self._predict(carry, m, residual[..., 0, :], delay)
        future = ahead(w, delay)
        tip = tip_state(self.arm, seen, future)
        integral = jnp.clip(carry.integral + self.control_dt * tip.error, -self.LIMIT, self.LIMIT)
        extra = six(self.log_ki_position, self.log_ki_rotation) * integral
        prior = self.torque(seen, future, future, tip, extra)
        correction = jnp.sum(self.through[...] * residual, axis=-2) + self.correction(seen, w, tip, integral, residual)
        command = self.clip(prior + self.arm.effort * self.BOUND * jnp.tanh(correction / self.BOUND))
        return ObserverCarry(m.q, m.qd, command, carry.last, residual, integral, jnp.zeros_like(carry.fresh)), command

    def correction(self, m: Measurement, w: Window, tip: TipState, integral: Array, residual: Array) -> Array:
        """What a learned controller adds, as a fraction of effort (..., n); nothing here."""
        return 0.0

    def _begin(self, carry: ObserverCarry, m: Measurement) -> ObserverCarry:
        """Before the first step the arm was held against gravity where it stands."""
        fresh = carry.fresh[..., None] > 0
        hold = gravity(self.arm, m.q)
        pick = {"q": m.q, "qd": m.qd, "last": hold, "before": hold}
        return carry._replace(**{name: jnp.where(fresh, x, getattr(carry, name)) for name, x in pick.items()})

    def _residuals(self, carry: ObserverCarry, m: Measurement, delay: Array) -> Array:
        """History of torque the nominal model cannot account for, newest first. -> (..., HISTORY, n) of effort."""
        qdd = (m.qd - carry.qd) / self.control_dt
        # evaluated half-way through the step, where the mean acceleration belongs
        needed = inverse_dynamics(self.arm, 0.5 * (carry.q + m.q), 0.5 * (carry.qd + m.qd), qdd)
        acting = (1 - delay) * carry.last + delay * carry.before
        newest = (needed - acting) / self.arm.effort * (1 - carry.fresh[..., None])
        return jnp.concatenate([newest[..., None, :], carry.residual[..., :-1, :]], axis=-2)

    def _predict(self, carry: ObserverCarry, m: Measurement, residual: Array, delay: Array) -> Measurement:
        """State when the command to be given takes effect: the last command and the newest residual act until then."""
        qdd = forward_dynamics(self.arm, m.q, m.qd, carry.last + self.arm.effort * residual)
        span = delay * self.control_dt
        return Measurement(m.q + span * m.qd + 0.5 * span**2 * qdd, m.qd + span * qdd)
