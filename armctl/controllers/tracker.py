"""The differential network: a classical prior plus a bounded learned correction, trained through the twin.

Structure first: with no tracking error and no prediction residual the correction is exactly zero, because those signals
pass only through odd, bias-free layers, which the context (posture, motion, what comes next) gates. The prior is the
disturbance observer, whose gains are trained along; its residuals are what identifies an unknown payload.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.disturbance_observer import HISTORY, DisturbanceObserver
from armctl.controllers.tip_errors import TipState
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class StructuredTracker(DisturbanceObserver):
    """Disturbance observer + gated network (2 x 128) of errors, integral and residuals."""

    name = "tracker"
    title = "Learned tracker"
    family = "learned"
    WIDTH = 128

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        rngs, n = nnx.Rngs(seed), arm.n
        signals, context = 6 * 4 + HISTORY * n, 3 * n + preview * n
        self.signal1 = nnx.Linear(signals, self.WIDTH, use_bias=False, rngs=rngs)
        self.signal2 = nnx.Linear(self.WIDTH, self.WIDTH, use_bias=False, rngs=rngs)
        self.context1 = nnx.Linear(context, self.WIDTH, rngs=rngs)
        self.context2 = nnx.Linear(self.WIDTH, self.WIDTH, rngs=rngs)
        small = nnx.initializers.normal(1e-3)
        self.out = nnx.Linear(self.WIDTH, n, use_bias=False, kernel_init=small, rngs=rngs)

    def correction(self, m: Measurement, w: Window, tip: TipState, integral: Array, residual: Array) -> Array:
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
