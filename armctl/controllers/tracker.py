"""The differential network: a classical prior plus a bounded learned correction, trained through the twin.

Structure first: with no tracking error and no prediction residual the correction is exactly zero, because those signals
pass only through odd, bias-free layers, which the context (posture, motion, what comes next) gates. The prediction residual
(the torque that the nominal model cannot account for since the last command) is what identifies an unknown payload.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.base import gain
from armctl.controllers.errors import tip_state
from armctl.controllers.operational_space import OperationalSpace
from armctl.dynamics import inverse_dynamics
from armctl.plant.servo import matvec

Array = Any
HISTORY = 3


class TrackerCarry(NamedTuple):
    """Memory of the tracker."""

    q: Array  # (..., n) rad, previous measurement
    qd: Array  # (..., n) rad/s
    command: Array  # (..., n) N m, previous command
    residual: Array  # (..., HISTORY, n) fractions of effort, newest first
    integral: Array  # (..., 6) leaky integral of the pose error, m s and rad s
    fresh: Array  # (...) 1 before the first step, then 0


class StructuredTracker(OperationalSpace):
    """Operational-space prior + residual feed-through + bounded gated network (2 x 128)."""

    information = "nominal model, measured joint state, reference window, own past commands"
    BOUND = 0.5  # of the effort limit
    WIDTH = 128

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0):
        super().__init__(arm, control_dt, preview, seed)
        rngs = nnx.Rngs(seed)
        n = arm.n
        signals, context = 6 * 4 + HISTORY * n, 3 * n + preview * n
        self.signal1 = nnx.Linear(signals, self.WIDTH, use_bias=False, rngs=rngs)
        self.signal2 = nnx.Linear(self.WIDTH, self.WIDTH, use_bias=False, rngs=rngs)
        self.context1 = nnx.Linear(context, self.WIDTH, rngs=rngs)
        self.context2 = nnx.Linear(self.WIDTH, self.WIDTH, rngs=rngs)
        small = nnx.initializers.normal(1e-3)
        self.out = nnx.Linear(self.WIDTH, n, use_bias=False, kernel_init=small, rngs=rngs)
        self.through = nnx.Param(jnp.zeros((HISTORY, n)))
        self.log_ki = gain(100.0)

    def init_carry(self, batch=()):
        """No residual, no integral, nothing measured yet."""
        n = self.arm.n
        zero = jnp.zeros((*batch, n))
        return TrackerCarry(zero, zero, zero, jnp.zeros((*batch, HISTORY, n)), jnp.zeros((*batch, 6)), jnp.ones(batch))

    def __call__(self, carry: TrackerCarry, m, w):
        """tau = prior + effort * BOUND * tanh(feed-through of residuals + network(context, signals))."""
        tip = tip_state(self.arm, m, w)
        residual = self._residuals(carry, m)
        integral = jnp.clip(carry.integral + self.control_dt * tip.error, -0.05, 0.05)
        prior = self.torque(m, w, tip, jnp.exp(self.log_ki[...]) * integral)
        signals = jnp.concatenate(
            [
                jnp.tanh(tip.error / 0.02),
                jnp.tanh(tip.error / 0.002),
                jnp.tanh(tip.twist_error / 0.05),
                10 * residual.reshape((*residual.shape[:-2], -1)),
                jnp.tanh(integral / 0.001),
            ],
            axis=-1,
        )
        correction = jnp.sum(self.through[...] * residual, axis=-2) + self._network(m, w, signals)
        bound = self.BOUND * self.arm.effort
        command = self.clip(prior + bound * jnp.tanh(correction / self.BOUND))
        return TrackerCarry(m.q, m.qd, command, residual, integral, jnp.zeros_like(carry.fresh)), command

    def _residuals(self, carry: TrackerCarry, m):
        """History of torque the nominal model cannot account for, with the newest in front. -> (..., HISTORY, n)."""
        qdd = (m.qd - carry.qd) / self.control_dt
        # evaluated half-way through the step, where the mean acceleration belongs
        expected = inverse_dynamics(self.arm, 0.5 * (carry.q + m.q), 0.5 * (carry.qd + m.qd), qdd)
        newest = (expected - carry.command) / self.arm.effort * (1 - carry.fresh[..., None])
        return jnp.concatenate([newest[..., None, :], carry.residual[..., :-1, :]], axis=-2)

    def _network(self, m, w, signals):
        """Correction as a fraction of effort; zero where the signals are zero. -> (..., n)."""
        ahead = (w.qd[..., 1:, :] - w.qd[..., :-1, :]) / self.control_dt / self.arm.acceleration
        ahead = ahead.reshape((*ahead.shape[:-2], -1))
        context = jnp.concatenate([jnp.sin(m.q), jnp.cos(m.q), m.qd / self.arm.velocity, ahead], axis=-1)
        gate1 = jax.nn.silu(self.context1(context))
        gate2 = jax.nn.sigmoid(self.context2(gate1))
        x = jnp.tanh(self.signal1(signals))
        return self.out(jnp.tanh(self.signal2(x * gate1)) * gate2)
