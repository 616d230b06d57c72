"""Inverse kinematics by damped least squares, batched over targets and restarts: NumPy for a Chain, JAX for an Arm.

The damping follows the squared error (Sugihara, Solvability-unconcerned inverse kinematics, T-RO 2011), so steps are
bold near a solution and safe near a singularity; joints that rest on a limit and would be pushed through it sit out.
"""

from typing import Any, NamedTuple

import numpy as np

from armctl import geometry, rigid
from armctl.urdf import Chain

POSITION_TOLERANCE = 1e-3  # m
ANGLE_TOLERANCE = np.deg2rad(0.1)
LENGTH = 0.3  # m; makes an orientation error of 1 rad count as much as this distance
MAX_STEP = 0.4  # rad per iteration


class IKResult(NamedTuple):
    """q (..., n) rad; success (...) bool; position_error (...) m; angle_error (...) rad."""

    q: Any
    success: Any
    position_error: Any
    angle_error: Any


def _pose_and_jacobian(arm, q):
    if isinstance(arm, Chain):
        poses = rigid.link_poses(arm, q)
        T = poses[..., -1, :, :] @ arm.T_last_tip
        return T, rigid._point_jacobian(arm, poses, T[..., :3, 3])
    from armctl import kinematics

    return kinematics.pose_and_jacobian(arm, q)


def _errors(T, target):
    """Position error (..., 3) m and rotation vector (..., 3) rad from T to target, both (..., 4, 4)."""
    return target[..., :3, 3] - T[..., :3, 3], geometry.rotation_error_vector(target[..., :3, :3], T[..., :3, :3])


def _step(arm, q, target, lower, upper, free_orientation):
    """One damped step q (..., n) towards target (..., 4, 4) inside the limits."""
    xp = q.__array_namespace__()
    T, J = _pose_and_jacobian(arm, q)
    move, turn = _errors(T, target)
    weight = 0.0 if free_orientation else LENGTH
    error = xp.concat([move, weight * turn], axis=-1)[..., None]
    J = xp.concat([J[..., :3, :], weight * J[..., 3:, :]], axis=-2)
    pull = (J.swapaxes(-1, -2) @ error)[..., 0]
    blocked = ((q <= lower) & (pull < 0)) | ((q >= upper) & (pull > 0))
    J = xp.where(blocked[..., None, :], xp.zeros_like(J), J)
    floor = 1e-9 if q.dtype == np.float64 else 1e-5
    damping = xp.sum(error * error, axis=(-2, -1))[..., None, None] / 2 + floor
    gram = J @ J.swapaxes(-1, -2) + damping * xp.eye(6, dtype=q.dtype)
    delta = (J.swapaxes(-1, -2) @ xp.linalg.solve(gram, error))[..., 0]
    size = xp.max(xp.abs(delta), axis=-1, keepdims=True)
    return xp.clip(q + delta * xp.minimum(MAX_STEP / (size + 1e-12), xp.ones_like(size)), lower, upper)


def _iterate(arm, q, target, iterations, free_orientation=False):
    xp = q.__array_namespace__()
    lower, upper = (xp.asarray(b, dtype=q.dtype) for b in (arm.lower, arm.upper))
    if isinstance(arm, Chain):
        for _ in range(iterations):
            q = _step(arm, q, target, lower, upper, free_orientation)
        return q
    import jax

    return jax.lax.fori_loop(0, iterations, lambda _, x: _step(arm, x, target, lower, upper, free_orientation), q)


def _residual(arm, q, target, free_orientation=False) -> IKResult:
    xp = q.__array_namespace__()
    move, turn = _errors(_pose_and_jacobian(arm, q)[0], target)
    position, angle = xp.sqrt(xp.sum(move**2, axis=-1)), xp.sqrt(xp.sum(turn**2, axis=-1))
    success = (position <= POSITION_TOLERANCE) & (free_orientation | (angle <= ANGLE_TOLERANCE))
    return IKResult(q, success, position, angle)


def restart_configurations(arm, restarts: int, seed: int = 0) -> np.ndarray:
    """Starts (restarts, n) rad for a search: home, then uniform within the limits (+-pi for a continuous joint)."""
    lower, upper = np.asarray(arm.lower, float), np.asarray(arm.upper, float)
    bounded = np.isfinite(lower) & np.isfinite(upper)
    lower, upper = np.where(bounded, lower, -np.pi), np.where(bounded, upper, np.pi)
    random = np.random.default_rng(seed).uniform(lower, upper, (restarts - 1, len(lower)))
    return np.concatenate([np.asarray(arm.home, float)[None], random])


def all_solutions(arm, target, *, restarts=16, iterations=60, seed=0) -> IKResult:
    """One result per target and restart. target (..., 4, 4) -> IKResult of (..., restarts) and q (..., restarts, n)."""
    xp = target.__array_namespace__()
    starts = xp.asarray(restart_configurations(arm, restarts, seed), dtype=target.dtype)
    q = xp.broadcast_to(starts, (*target.shape[:-2], *starts.shape))
    wide = target[..., None, :, :]
    return _residual(arm, _iterate(arm, q, wide, iterations), wide)


def solve_ik(arm, target, *, restarts=16, iterations=60, seed=0) -> IKResult:
    """Joint configurations within the limits that put the tip at target: of all restarts the solution nearest home.

    arm: Chain (NumPy) or Arm (JAX, traceable). target: T_world_tip (..., 4, 4), NumPy or JAX accordingly.
    Where no restart is within 1 mm and 0.1 degrees, success is False and q is the closest approach.
    """
    found = all_solutions(arm, target, restarts=restarts, iterations=iterations, seed=seed)
    xp = found.q.__array_namespace__()
    far = xp.sum((found.q - xp.asarray(arm.home, dtype=found.q.dtype)) ** 2, axis=-1)
    miss = found.position_error + LENGTH * found.angle_error
    best = xp.argmin(xp.where(found.success, far, 1e6 * (1 + miss)), axis=-1)

    def pick(x):
        return xp.take_along_axis(x, best[..., None], axis=-1)[..., 0]

    q = xp.take_along_axis(found.q, best[..., None, None], axis=-2)[..., 0, :]
    return IKResult(q, *(pick(x) for x in found[1:]))


def path_ik(chain: Chain, targets, start, *, iterations=6, free_orientation=False) -> IKResult:
    """Continuous joint paths that follow tip poses: each waypoint is solved from the one before (float64, NumPy).

    targets: (..., K, 4, 4). start: (..., n) rad, near the first waypoint. free_orientation: follow the positions only.
    Returns IKResult with q (..., K, n) and the rest (..., K).
    """
    q, path = np.asarray(start, float), []
    for k in range(targets.shape[-3]):
        target = targets[..., k, :, :]
        q = _iterate(chain, q, target, iterations * (4 if k == 0 else 1), free_orientation)
        path.append(q)
    return _residual(chain, np.stack(path, axis=-2), targets, free_orientation)
