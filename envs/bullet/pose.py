"""Pose arithmetic on plain Python numbers, for one arm at a time.

The same formulas as geometry.py; at this size plain floats are an order of magnitude faster than arrays, and they run
at every control step. Quaternions are xyzw and unit.
"""

from collections.abc import Sequence
from math import atan2, sqrt

import numpy as np

IDENTITY = (0.0, 0.0, 0.0, 1.0)
Numbers = Sequence[float] | np.ndarray
"""One value per joint, or a pose (7)."""
Pose = tuple[Sequence[float], Sequence[float]]
"""Position (3) m and quaternion (4)."""


def quat_multiply(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """Rotation b followed by a. a, b: (4) -> (4)."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def quat_rotate(quat: Sequence[float], v: Sequence[float]) -> tuple[float, ...]:
    """Vector v (3) turned by quat (4) -> (3)."""
    x, y, z, w = quat
    vx, vy, vz = v
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return (vx + w * tx + y * tz - z * ty, vy + w * ty + z * tx - x * tz, vz + w * tz + x * ty - y * tx)


def compose(
    p_a: Sequence[float], quat_a: Sequence[float], p_b: Sequence[float], quat_b: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """T_a T_b as position (3) and quaternion (4)."""
    a, b, c = p_a
    x, y, z = quat_rotate(quat_a, p_b)
    return (a + x, b + y, c + z), quat_multiply(quat_a, quat_b)


def inverse(position: Sequence[float], quat: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """T^-1 of a position (3) and a quaternion (4), in the same form."""
    x, y, z, w = quat
    back = (-x, -y, -z, w)
    return tuple(-v for v in quat_rotate(back, position)), back


def rotation_error(quat_target: Sequence[float], quat: Sequence[float]) -> tuple[float, ...]:
    """World-frame rotation vector (3), rad, that turns quat into quat_target; its norm is the angle between them."""
    ax, ay, az, aw = quat_target
    bx, by, bz, bw = quat
    x = ax * bw - aw * bx - ay * bz + az * by  # quat_target times the conjugate of quat
    y = ay * bw - aw * by - az * bx + ax * bz
    z = az * bw - aw * bz - ax * by + ay * bx
    w = aw * bw + ax * bx + ay * by + az * bz
    if w < 0:
        x, y, z, w = -x, -y, -z, -w
    s = sqrt(x * x + y * y + z * z)
    scale = 2 * atan2(s, w) / s if s > 1e-12 else 2.0
    return scale * x, scale * y, scale * z


def same_side(quat: tuple[float, ...], other: Sequence[float]) -> tuple[float, ...]:
    """Of quat (4) and its negative, the same rotation, the one nearer to another quaternion (4)."""
    x, y, z, w = quat
    a, b, c, d = other
    return quat if x * a + y * b + z * c + w * d >= 0 else (-x, -y, -z, -w)


def first_columns(quat: Sequence[float]) -> tuple[float, ...]:
    """First two columns of the rotation matrix of quat (4) -> (6)."""
    x, y, z, w = quat
    return (
        1 - 2 * (y * y + z * z),
        2 * (x * y + z * w),
        2 * (x * z - y * w),
        2 * (x * y - z * w),
        1 - 2 * (x * x + z * z),
        2 * (y * z + x * w),
    )
