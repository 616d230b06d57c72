"""Rotations and poses for NumPy and JAX arrays alike; every quaternion conversion of the project lives here.

Quaternions are xyzw, unit, with non-negative w on output. Poses are (..., 7): position (m) then quaternion.
Functions use the array namespace of their input, so NumPy stays NumPy and JAX traces.
"""

import math
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from jaxtyping import Float

from armctl.typing import Array


def _stack(xp: ModuleType, parts: Sequence[Array], axis: int = -1) -> Array:
    return xp.stack(xp.broadcast_arrays(*parts), axis=axis)


def quat_to_matrix(quat: Float[Array, "*batch 4"]) -> Float[Array, "*batch 3 3"]:
    """Rotation matrix of a quaternion. quat: (..., 4) xyzw, any non-zero norm -> (..., 3, 3)."""
    xp = quat.__array_namespace__()
    quat = quat / xp.sqrt(xp.sum(quat * quat, axis=-1, keepdims=True))
    x, y, z, w = quat[..., 0], quat[..., 1], quat[..., 2], quat[..., 3]
    rows = [
        _stack(xp, (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w))),
        _stack(xp, (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w))),
        _stack(xp, (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y))),
    ]
    return xp.stack(rows, axis=-2)


def matrix_to_quat(R: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 4"]:
    """Quaternion of a rotation matrix. R: (..., 3, 3) -> (..., 4) xyzw, w >= 0.

    Picks the best conditioned of the four classical formulas (Shepperd 1978), so it is accurate at every angle.
    """
    xp = R.__array_namespace__()
    m = [[R[..., i, j] for j in range(3)] for i in range(3)]
    trace = m[0][0] + m[1][1] + m[2][2]
    four = _stack(xp, [1 + 2 * m[0][0] - trace, 1 + 2 * m[1][1] - trace, 1 + 2 * m[2][2] - trace, 1 + trace])
    off = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]]
    sym = [m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]]
    rows = [
        _stack(xp, (four[..., 0], sym[0], sym[1], off[0])),
        _stack(xp, (sym[0], four[..., 1], sym[2], off[1])),
        _stack(xp, (sym[1], sym[2], four[..., 2], off[2])),
        _stack(xp, (off[0], off[1], off[2], four[..., 3])),
    ]
    best = xp.argmax(four, axis=-1)[..., None]
    quat = rows[0]
    for i in (1, 2, 3):
        quat = xp.where(best == i, rows[i], quat)
    quat = quat / xp.sqrt(xp.sum(quat * quat, axis=-1, keepdims=True))
    return xp.where(quat[..., 3:] < 0, -quat, quat)


def rotation_log(R: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3"]:
    """Rotation vector of a rotation matrix. R: (..., 3, 3) -> (..., 3) rad, norm <= pi.

    Value and gradient are finite at the identity; at exactly pi the axis sign is arbitrary, as it must be.
    """
    quat = matrix_to_quat(R)
    xp = quat.__array_namespace__()
    v, w = quat[..., :3], quat[..., 3:]
    square = xp.sum(v * v, axis=-1, keepdims=True)
    small = square < 1e-10
    s = xp.sqrt(xp.where(small, 1.0, square))
    # 2 atan2(s, w) / s, whose series at s = 0 is 2/w (1 - s^2 / 3w^2)
    scale = xp.where(small, 2 / xp.where(small, w, 1.0), 2 * xp.atan2(s, w) / s)
    return scale * v


def rotation_error_vector(
    R_target: Float[Array, "*#batch 3 3"], R: Float[Array, "*#batch 3 3"]
) -> Float[Array, "*batch 3"]:
    """World-frame rotation vector that turns R into R_target. (..., 3, 3) x 2 -> (..., 3) rad."""
    return rotation_log(R_target @ R.swapaxes(-1, -2))


def chordal_error(R_target: Float[Array, "*#batch 3 3"], R: Float[Array, "*#batch 3 3"]) -> Float[Array, "*batch 3"]:
    """World-frame orientation error, sin(angle) * axis (Luh, Walker, Paul 1980). (..., 3, 3) x 2 -> (..., 3).

    Cheap and smooth everywhere; agrees with rotation_error_vector to third order.
    """
    xp = R.__array_namespace__()
    E = R_target @ R.swapaxes(-1, -2)
    off = (E[..., 2, 1] - E[..., 1, 2], E[..., 0, 2] - E[..., 2, 0], E[..., 1, 0] - E[..., 0, 1])
    return 0.5 * _stack(xp, off)


def orientation_angle(R_a: Float[Array, "*#batch 3 3"], R_b: Float[Array, "*#batch 3 3"]) -> Float[Array, "*batch"]:
    """Geodesic angle between two rotations. (..., 3, 3) x 2 -> (...) rad in [0, pi]."""
    quat = matrix_to_quat(R_a @ R_b.swapaxes(-1, -2))
    xp = quat.__array_namespace__()
    square = xp.sum(quat[..., :3] ** 2, axis=-1)
    zero = square == 0
    s = xp.sqrt(xp.where(zero, 1.0, square))
    return xp.where(zero, 0.0, 2 * xp.atan2(s, quat[..., 3]))


def pose_to_matrix(pose: Float[Array, "*batch 7"]) -> Float[Array, "*batch 4 4"]:
    """Homogeneous transform of a pose. pose: (..., 7) m + xyzw -> (..., 4, 4)."""
    xp = pose.__array_namespace__()
    top = xp.concatenate([quat_to_matrix(pose[..., 3:]), pose[..., :3, None]], axis=-1)
    bottom = xp.broadcast_to(xp.asarray([0.0, 0.0, 0.0, 1.0], dtype=pose.dtype), (*pose.shape[:-1], 1, 4))
    return xp.concatenate([top, bottom], axis=-2)


def matrix_to_pose(T: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 7"]:
    """Pose of a homogeneous transform. T: (..., 4, 4) -> (..., 7) m + xyzw."""
    xp = T.__array_namespace__()
    return xp.concatenate([T[..., :3, 3], matrix_to_quat(T[..., :3, :3])], axis=-1)


def rpy_matrix(rpy: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of URDF's fixed-axis roll, pitch, yaw (3,) [rad]: Rz(yaw) Ry(pitch) Rx(roll)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def matrix_rpy(R: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw (3,) [rad] of a rotation (3, 3), accurate at pitch = +-90 degrees too."""
    yaw = math.atan2(R[1, 0], R[0, 0])
    pitch = math.atan2(-R[2, 0], math.hypot(R[0, 0], R[1, 0]))
    # Undoing the yaw first keeps roll + yaw exact where each alone is ill-defined.
    rest = rpy_matrix(np.array([0.0, 0.0, -yaw])) @ R
    return np.array([math.atan2(-rest[1, 2], rest[1, 1]), pitch, yaw])


def make_pose(R: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Homogeneous transform (4, 4) of a rotation (3, 3) and a translation (3,) [m]."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, p
    return T


def matvec(M: Float[Array, "*#batch n m"], v: Float[Array, "*#batch m"]) -> Float[Array, "*batch n"]:
    """(..., n, m), (..., m) -> (..., n)."""
    return (M @ v[..., None])[..., 0]
