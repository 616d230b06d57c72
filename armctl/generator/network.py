"""The velocity field of the flow: a residual MLP modulated (FiLM) by time and condition."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

FREQUENCIES = 16
Params = nnx.State[Any, Any]
"""Parameters of a VelocityField."""


class FilmBlock(nnx.Module):
    """One residual block whose normalised activations are scaled and shifted by the condition (Perez et al. 2018).

    width: features of the residual stream. embedding: features of the condition's. rngs: initialisation streams.
    """

    def __init__(self, width: int, embedding: int, *, rngs: nnx.Rngs) -> None:
        zeros = nnx.initializers.zeros_init()
        self.norm = nnx.LayerNorm(width, use_bias=False, use_scale=False, rngs=rngs)
        self.film = nnx.Linear(embedding, 2 * width, kernel_init=zeros, rngs=rngs)
        self.dense = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, h: jax.Array, embedded: jax.Array) -> jax.Array:
        """h (..., width) plus the modulated branch; embedded: (..., embedding)."""
        scale, shift = jnp.split(self.film(embedded), 2, axis=-1)
        return h + self.dense(nnx.silu(self.norm(h) * (1 + scale) + shift))


class VelocityField(nnx.Module):
    """v(x, t, condition): the velocity of the probability flow at time t in [0, 1].

    data, condition: dimensions of x and of the condition vector. width: features of the residual stream. embedding:
    features of time and condition. blocks: residual ones. rngs: initialisation streams.
    """

    def __init__(self, data: int, condition: int, *, width: int, embedding: int, blocks: int, rngs: nnx.Rngs) -> None:
        self.embed_in = nnx.Linear(2 * FREQUENCIES + condition, 2 * embedding, rngs=rngs)
        self.embed_out = nnx.Linear(2 * embedding, embedding, rngs=rngs)
        self.enter = nnx.Linear(data, width, rngs=rngs)
        self.blocks = nnx.List([FilmBlock(width, embedding, rngs=rngs) for _ in range(blocks)])
        self.leave = nnx.Linear(width, data, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    def __call__(self, x: jax.Array, t: jax.Array, condition: jax.Array) -> jax.Array:
        """The velocity (..., data) at x (..., data), t (...), condition (..., condition)."""
        embedded = jnp.concatenate([time_features(t), condition], axis=-1)
        embedded = nnx.silu(self.embed_out(nnx.silu(self.embed_in(embedded))))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, embedded)
        return self.leave(nnx.silu(h))


def time_features(t: jax.Array) -> jax.Array:
    """Fourier features (..., 2 * FREQUENCIES) of time t (...) in [0, 1], periods from 4 down to 1/8."""
    angles = t[..., None] * jnp.pi * jnp.geomspace(0.5, 16.0, FREQUENCIES)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def initialise(data: int, condition: int, width: int, embedding: int, blocks: int, seed: int) -> Params:
    """Fresh parameters of a VelocityField of these sizes."""
    field = VelocityField(data, condition, width=width, embedding=embedding, blocks=blocks, rngs=nnx.Rngs(seed))
    return nnx.split(field)[1]


@functools.lru_cache(maxsize=32)
def graph(data: int, condition: int, width: int, embedding: int, blocks: int) -> nnx.GraphDef[VelocityField]:
    """The static half of a VelocityField of these sizes, built without allocating its parameters."""

    def build() -> VelocityField:
        return VelocityField(data, condition, width=width, embedding=embedding, blocks=blocks, rngs=nnx.Rngs(0))

    return nnx.split(nnx.eval_shape(build))[0]
