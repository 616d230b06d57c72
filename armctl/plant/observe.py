"""What controllers and policies see, stated once for plant and twin on NumPy or JAX arrays."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt32

from armctl.geometry import rotation_error_vector
from armctl.typing import Array


class Measurement(NamedTuple):
    """Measured joint state, noise included."""

    q: Float[Array, "*batch n"]  # rad
    qd: Float[Array, "*batch n"]  # rad/s


class Window(NamedTuple):
    """The reference from now to `preview` control steps ahead: index 0 is now, index 1 the end of this step."""

    q: Float[Array, "*batch P+1 n"]  # rad
    qd: Float[Array, "*batch P+1 n"]  # rad/s
    qdd: Float[Array, "*batch P+1 n"]  # rad/s^2
    p: Float[Array, "*batch P+1 3"]  # m, world
    R: Float[Array, "*batch P+1 3 3"]  # world
    twist: Float[Array, "*batch P+1 6"]  # m/s, rad/s, world
    accel: Float[Array, "*batch P+1 6"]  # m/s^2, rad/s^2, world


def _hash(x: Array) -> Array:
    """A 32-bit integer hash with low bias (Wellons' lowbias32); uint32 arrays wrap alike in NumPy and JAX."""
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)


def counter_normal(
    seed: UInt32[Array, "*#batch"], step: UInt32[Array, "*#batch"], count: int
) -> Float32[Array, "*batch {count}"]:
    """Standard normal draws that depend only on (seed, step): the same in plant and twin, in any order.

    seed, step: (...,) uint32 -> (..., count) by Box-Muller on hashed counters.
    """
    xp = seed.__array_namespace__()
    lanes = xp.arange(2 * count, dtype=xp.uint32)
    key = _hash(_hash(seed[..., None] + xp.zeros_like(lanes)) + step[..., None])
    bits = _hash(key + _hash(lanes + np.uint32(0x9E3779B9)))
    uniform = (bits >> 8).astype(xp.float32) * xp.float32(2**-24) + xp.float32(2**-25)
    radius = xp.sqrt(-2 * xp.log(uniform[..., :count]))
    return radius * xp.cos(xp.float32(2 * np.pi) * uniform[..., count:])


def counter_uniform(seed: UInt32[Array, "*#batch"], step: UInt32[Array, "*#batch"]) -> Float32[Array, "*batch"]:
    """Uniform draws in (0, 1) that depend only on (seed, step), one for each."""
    xp = seed.__array_namespace__()
    bits = _hash(_hash(seed) + step)
    return (bits >> 8).astype(xp.float32) * xp.float32(2**-24) + xp.float32(2**-25)


def observation_vector(
    m: Measurement,
    p_tip: Float[Array, "*batch 3"],
    R_tip: Float[Array, "*batch 3 3"],
    p_target: Float[Array, "*batch samples 3"],
    R_target: Float[Array, "*batch samples 3 3"],
) -> Float[Array, "*batch width"]:
    """Flat observation of the Gymnasium environments and of the twin's vector environment.

    p_tip: (..., 3), R_tip: (..., 3, 3) of the measured configuration; p_target: (..., P+1, 3),
    R_target: (..., P+1, 3, 3) -> (..., 2n + 9 + 6(P+1)): q, qd, tip position, first two columns of the tip rotation,
    then for now and every previewed target the position error (m) and the rotation-vector error (rad), world frame.
    """
    xp = m.q.__array_namespace__()
    batch = m.q.shape[:-1]
    error_p = p_target - p_tip[..., None, :]
    error_R = rotation_error_vector(R_target, R_tip[..., None, :, :])
    errors = xp.concatenate([error_p, error_R], axis=-1)
    parts = [m.q, m.qd, p_tip, R_tip[..., 0], R_tip[..., 1], errors.reshape((*batch, -1))]
    return xp.concatenate(parts, axis=-1)
