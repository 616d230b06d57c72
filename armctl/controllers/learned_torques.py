"""Joint torques that no model has, learned: a small network per joint, whose outputs the filter weighs.

Cogging and commutation, teeth of gears, friction that depends on speed: functions of a joint's position, velocity and
direction. What all arms of a kind share is in the network's weights; how much of it this arm has, the filter finds out.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.typing import Array

HARMONICS = 12
"""Periods per turn that the network sees."""
SPEEDS = (0.02, 0.1, 0.5)
"""Velocities at which it tells slow from fast, rad/s."""


class LearnedTorques(nnx.Module):
    """Features (..., n, K) of a joint state, each joint by weights of its own."""

    def __init__(self, arm: Arm, features: int = 2, seed: int = 0) -> None:
        """arm: nominal; features: K per joint; seed: of the weights."""
        self.features = features
        inputs = 2 * HARMONICS + 2 * len(SPEEDS) + 1
        rngs = nnx.Rngs(seed)
        self.direct = nnx.Param(0.01 * jax.random.normal(rngs(), (arm.n, inputs, features)))
        self.hidden = nnx.Param(0.3 * jax.random.normal(rngs(), (arm.n, inputs, 16)))
        self.out = nnx.Param(0.03 * jax.random.normal(rngs(), (arm.n, 16, features)))

    def __call__(self, q: Array, qd: Array) -> Array:
        """q, qd: (..., n) rad, rad/s -> (..., n, K)."""
        turns = q[..., None] * jnp.arange(1, HARMONICS + 1, dtype=q.dtype)
        speed = qd[..., None] / jnp.asarray(SPEEDS, q.dtype)
        one = jnp.ones_like(q)[..., None]
        x = jnp.concatenate([jnp.sin(turns), jnp.cos(turns), jnp.tanh(speed), speed * jnp.exp(-(speed**2)), one], -1)
        hidden = jnp.tanh(jnp.einsum("...ni,nih->...nh", x, self.hidden[...]))
        return jnp.einsum("...ni,nik->...nk", x, self.direct[...]) + jnp.einsum(
            "...nh,nhk->...nk", hidden, self.out[...]
        )
