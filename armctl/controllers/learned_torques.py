"""Joint torques that no model has, learned: two small networks per joint, whose outputs the filter weighs.

Cogging, commutation and the teeth of gears repeat with a joint's position; friction depends on its velocity and
direction. Each has a network of its own: one network of both finds the one in the other, because motions of one kind
are at the same places at the same speeds. What all arms of a kind share is in the weights; how much of it this arm has,
the filter finds out.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.typing import Array

PERIODS = (4, 12)
"""Periods per turn that are looked for, first and last: fewer are what a load does."""
SPEEDS = (0.02, 0.1, 0.5)
"""Velocities at which slow is told from fast, rad/s."""
WIDTH = 16
"""Hidden units of a joint's network."""


class LearnedTorques(nnx.Module):
    """Features (..., n, 2) of a joint state, each joint by weights of its own: of its position, and of its velocity."""

    def __init__(self, arm: Arm, seed: int = 0) -> None:
        """arm: nominal; seed: of the weights."""
        rngs = nnx.Rngs(seed)
        self.cogging = JointNetwork(arm.n, 2 * (PERIODS[1] - PERIODS[0] + 1), rngs)
        self.rubbing = JointNetwork(arm.n, 2 * len(SPEEDS), rngs)

    def __call__(self, q: Array, qd: Array) -> Array:
        """q, qd: (..., n) rad, rad/s -> (..., n, 2)."""
        speed = qd[..., None] / jnp.asarray(SPEEDS, q.dtype)
        slow = jnp.concatenate([jnp.tanh(speed), speed * jnp.exp(-(speed**2))], axis=-1)
        return jnp.stack([self.cogging(harmonics(q)), self.rubbing(slow)], axis=-1)


class JointNetwork(nnx.Module):
    """A number per joint of its inputs: y_i = a_i x_i + b_i tanh(C_i x_i)."""

    def __init__(self, n: int, inputs: int, rngs: nnx.Rngs) -> None:
        """n: joints; inputs: of each."""
        self.direct = nnx.Param(0.01 * jax.random.normal(rngs(), (n, inputs)))
        self.hidden = nnx.Param(0.3 * jax.random.normal(rngs(), (n, inputs, WIDTH)))
        self.out = nnx.Param(0.03 * jax.random.normal(rngs(), (n, WIDTH)))

    def __call__(self, x: Array) -> Array:
        """x: (..., n, inputs) -> (..., n)."""
        hidden = jnp.tanh(jnp.einsum("...ni,nih->...nh", x, self.hidden[...]))
        return jnp.einsum("...ni,ni->...n", x, self.direct[...]) + jnp.einsum("...nh,nh->...n", hidden, self.out[...])


def harmonics(q: Array) -> Array:
    """sin and cos of multiples of joint positions (..., n) rad -> (..., n, C)."""
    turns = q[..., None] * jnp.arange(PERIODS[0], PERIODS[1] + 1, dtype=q.dtype)
    return jnp.concatenate([jnp.sin(turns), jnp.cos(turns)], axis=-1)
