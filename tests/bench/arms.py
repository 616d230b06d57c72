"""Small controllers and references for the bench's tests."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.motion.reference import Reference
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")


class Follow(nnx.Module):
    """Velocity command: feed-forward plus a gain on the joint error; fails after ``poison`` steps."""

    control = "velocity"
    preview = 2

    def __init__(self, gain, poison=np.inf):
        self.gain = nnx.Param(jnp.float32(gain))
        self.poison = poison

    def init_carry(self, batch_shape):
        return jnp.zeros(batch_shape)

    def __call__(self, carry, m, w):
        command = w.qd[..., 1, :] + self.gain[...] * (w.q[..., 0, :] - m.q)
        bad = carry[..., None] > self.poison
        return carry + 1, jnp.where(bad, jnp.nan, command)


def reach(name, amplitude, samples=61, dt=0.01):
    """A rest-to-rest joint motion of the planar arm."""
    s = np.linspace(0, 1, samples)[:, None]
    start = np.array([0.4, 0.7, -0.5])
    return Reference.from_joints(
        CHAIN, dt, start + amplitude * (10 * s**3 - 15 * s**4 + 6 * s**5), name=name, meta={"family": "reach"}
    )
