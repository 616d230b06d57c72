"""Large batches in blocks that fit a core's cache."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.typing import Array

BLOCK = 2048
FEWEST = 8
"""Batch elements per block, and the fewest blocks that pay: a much longer batch leaves the cache and takes twice
the time per element, but cutting also costs, most in a gradient, which stores what it needs of every block."""


def in_blocks(f: Callable[..., Array], arm: Arm, *args: Array) -> Array:
    """f(arm, *args), one block of the batch after the other where that is faster: a long batch on a single CPU device.

    f: (arm, *(..., k)) -> (..., n) or (..., n, n), elementwise in the batch; args: (..., k) with broadcastable batches.
    An arm with batch axes is taken whole, as is a batch over several devices, whose blocks would have to travel.
    """
    batch = jnp.broadcast_shapes(*(x.shape[:-1] for x in args))
    size = 1
    for count in batch:
        size *= count
    if size < FEWEST * BLOCK or arm.mass.ndim > 1 or jax.default_backend() != "cpu" or jax.device_count() > 1:
        return f(arm, *args)
    blocks = -(-size // BLOCK)
    length = -(-size // blocks)
    whole = [x.ndim == 1 for x in args]

    def split(x: Array) -> Array:
        x = jnp.broadcast_to(x, (*batch, x.shape[-1])).reshape(size, -1)
        return jnp.pad(x, ((0, blocks * length - size), (0, 0))).reshape(blocks, length, -1)

    def one(parts: list[Array]) -> Array:
        cut = iter(parts)
        return f(arm, *(x if keep else next(cut) for x, keep in zip(args, whole, strict=True)))

    out = jax.lax.map(one, [split(x) for x, keep in zip(args, whole, strict=True) if not keep])
    return out.reshape(blocks * length, *out.shape[2:])[:size].reshape(*batch, *out.shape[2:])
