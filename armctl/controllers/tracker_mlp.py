"""The textbook baseline: a plain dense network from everything that is seen to the command."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.base import Controller
from armctl.dynamics import gravity
from armctl.kinematics import forward_kinematics
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class MLPTracker(Controller):
    """Dense network (2 x 256) from measured state and previewed poses to torque around gravity compensation."""

    name = "tracker_mlp"
    title = "Learned MLP"
    family = "learned"
    WIDTH = 256

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        rngs = nnx.Rngs(seed)
        inputs = 3 * arm.n + 2 * arm.n + (preview + 1) * 15
        self.hidden1 = nnx.Linear(inputs, self.WIDTH, rngs=rngs)
        self.hidden2 = nnx.Linear(self.WIDTH, self.WIDTH, rngs=rngs)
        self.out = nnx.Linear(self.WIDTH, arm.n, kernel_init=nnx.initializers.normal(1e-3), rngs=rngs)

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """tau = gravity(q) + effort * tanh(network(q, qd, joint errors, previewed pose errors and twists))."""
        T = forward_kinematics(self.arm, m.q)
        batch = m.q.shape[:-1]
        position = (w.p - T[..., None, :3, 3]) / 0.05
        rotation = (w.R - T[..., None, :3, :3]).reshape((*batch, self.preview + 1, 9)) / 0.1
        targets = jnp.concatenate([position, rotation, w.twist[..., :3]], axis=-1).reshape((*batch, -1))
        joints = [jnp.sin(m.q), jnp.cos(m.q), m.qd / self.arm.velocity]
        errors = [(w.q[..., 0, :] - m.q) / 0.05, (w.qd[..., 0, :] - m.qd) / 0.2]
        x = jnp.concatenate([*joints, *errors, targets], axis=-1)
        x = jax.nn.silu(self.hidden2(jax.nn.silu(self.hidden1(x))))
        tau = gravity(self.arm, m.q) + self.arm.effort * jnp.tanh(self.out(x))
        return carry, jnp.clip(tau, -self.arm.effort, self.arm.effort)
