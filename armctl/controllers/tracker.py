"""The differential network: a classical prior plus a bounded learned correction, trained through the twin.

Structure first: with no tracking error and no prediction residual the correction is exactly zero, because those signals
pass only through odd, bias-free layers, which the context (posture, motion, what comes next) gates. The prediction
residual (the torque that the nominal model cannot account for since the last measurement) is what identifies an unknown
payload. A learnt delay of up to one control step says which past command was acting; the state is predicted over it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.base import Gain
from armctl.controllers.errors import TipState, tip_state
from armctl.controllers.operational_space import OperationalSpaceIntegral, six
from armctl.controllers.preview import ahead
from armctl.dynamics import forward_dynamics, gravity, inverse_dynamics
from armctl.plant.observe import Measurement

Array = Any
HISTORY = 3


class TrackerCarry(NamedTuple):
    """Memory of the tracker."""

    q: Array  # (..., n) rad, previous measurement
    qd: Array  # (..., n) rad/s
    last: Array  # (..., n) N m, previous command
    before: Array  # (..., n) N m, the one before it
    residual: Array  # (..., HISTORY, n) fractions of effort, newest first
    integral: Array  # (..., 6) integral of the pose error, m s and rad s
    fresh: Array  # (...) 1 before the first step, then 0


class StructuredTracker(OperationalSpaceIntegral):
    """State prediction + operational-space prior + residual feed-through + bounded gated network (2 x 128)."""

    information = "nominal model, measured joint state, reference window, own past commands"
    least_preview = 2  # it reads up to a step ahead of where it predicts itself, and one step on
    BOUND = 0.5  # of the effort limit
    WIDTH = 128

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0):
        super().__init__(arm, control_dt, preview, seed)
        rngs, n = nnx.Rngs(seed), arm.n
        signals, context = 6 * 4 + HISTORY * n, 3 * n + preview * n
        self.signal1 = nnx.Linear(signals, self.WIDTH, use_bias=False, rngs=rngs)
        self.signal2 = nnx.Linear(self.WIDTH, self.WIDTH, use_bias=False, rngs=rngs)
        self.context1 = nnx.Linear(context, self.WIDTH, rngs=rngs)
        self.context2 = nnx.Linear(self.WIDTH, self.WIDTH, rngs=rngs)
        small = nnx.initializers.normal(1e-3)
        self.out = nnx.Linear(self.WIDTH, n, use_bias=False, kernel_init=small, rngs=rngs)
        self.through = Gain(jnp.zeros((HISTORY, n)).at[0].set(-0.5))
        self.delay = Gain(jnp.zeros(()))

    def init_carry(self, batch=()):
        """No residual, no integral, nothing measured yet."""
        zero = jnp.zeros((*batch, self.arm.n))
        history = jnp.zeros((*batch, HISTORY, self.arm.n))
        return TrackerCarry(zero, zero, zero, zero, history, jnp.zeros((*batch, 6)), jnp.ones(batch))

    def __call__(self, carry: TrackerCarry, m, w):
        """tau = prior + effort * BOUND * tanh(feed-through of residuals + network(context, signals))."""
        carry = self._begin(carry, m)
        delay = jax.nn.sigmoid(self.delay[...])
        residual = self._residuals(carry, m, delay)
        seen = self._predict(carry, m, residual[..., 0, :], delay)
        future = ahead(w, delay)
        tip = tip_state(self.arm, seen, future)
        integral = jnp.clip(carry.integral + self.control_dt * tip.error, -self.LIMIT, self.LIMIT)
        extra = six(self.log_ki_position, self.log_ki_rotation) * integral
        prior = self.torque(seen, future, future, tip, extra)
        correction = jnp.sum(self.through[...] * residual, axis=-2) + self._network(seen, w, tip, integral, residual)
        command = self.clip(prior + self.arm.effort * self.BOUND * jnp.tanh(correction / self.BOUND))
        return TrackerCarry(m.q, m.qd, command, carry.last, residual, integral, jnp.zeros_like(carry.fresh)), command

    def _begin(self, carry: TrackerCarry, m: Measurement) -> TrackerCarry:
        """Before the first step the arm was held against gravity where it stands."""
        fresh = carry.fresh[..., None] > 0
        hold = gravity(self.arm, m.q)
        pick = {"q": m.q, "qd": m.qd, "last": hold, "before": hold}
        return carry._replace(**{name: jnp.where(fresh, x, getattr(carry, name)) for name, x in pick.items()})

    def _residuals(self, carry: TrackerCarry, m: Measurement, delay):
        """History of torque the nominal model cannot account for, newest first. -> (..., HISTORY, n) of effort."""
        qdd = (m.qd - carry.qd) / self.control_dt
        # evaluated half-way through the step, where the mean acceleration belongs
        needed = inverse_dynamics(self.arm, 0.5 * (carry.q + m.q), 0.5 * (carry.qd + m.qd), qdd)
        acting = (1 - delay) * carry.last + delay * carry.before
        newest = (needed - acting) / self.arm.effort * (1 - carry.fresh[..., None])
        return jnp.concatenate([newest[..., None, :], carry.residual[..., :-1, :]], axis=-2)

    def _predict(self, carry: TrackerCarry, m: Measurement, residual, delay) -> Measurement:
        """State when the command to be given takes effect: the last command and the newest residual act until then."""
        qdd = forward_dynamics(self.arm, m.q, m.qd, carry.last + self.arm.effort * residual)
        span = delay * self.control_dt
        return Measurement(m.q + span * m.qd + 0.5 * span**2 * qdd, m.qd + span * qdd)

    def _network(self, m: Measurement, w, tip: TipState, integral, residual):
        """Correction as a fraction of effort; zero where error, integral and residual are. -> (..., n)."""
        arm = self.arm
        flat = residual.reshape((*residual.shape[:-2], -1))
        errors = [jnp.tanh(tip.error / 0.02), jnp.tanh(tip.error / 0.001), jnp.tanh(tip.twist_error / 0.05)]
        signals = jnp.concatenate([*errors, 10 * flat, jnp.tanh(integral / 0.001)], axis=-1)
        coming = (w.qd[..., 1:, :] - w.qd[..., :-1, :]) / self.control_dt / arm.acceleration
        coming = coming.reshape((*coming.shape[:-2], -1))
        context = jnp.concatenate([jnp.sin(m.q), jnp.cos(m.q), m.qd / arm.velocity, coming], axis=-1)
        gate1 = jax.nn.silu(self.context1(context))
        gate2 = jax.nn.sigmoid(self.context2(gate1))
        x = jnp.tanh(self.signal1(signals)) * gate1
        return self.out(jnp.tanh(self.signal2(x)) * gate2)
