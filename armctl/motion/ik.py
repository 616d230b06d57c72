"""Inverse kinematics by damped least squares, batched over targets and restarts.

The damping follows the squared error (Sugihara, Solvability-unconcerned inverse kinematics, T-RO 2011), so steps are
bold near a solution and safe near a singularity; joints that rest on a limit and would be pushed through it sit out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from armctl import geometry, rigid
from armctl.chain import Chain, joint_box
from armctl.motion.free import is_free
from armctl.scene.body import Scene

POSITION_TOLERANCE = 1e-3  # m
ANGLE_TOLERANCE = np.deg2rad(0.1)
LENGTH = 0.3  # m; makes an orientation error of 1 rad count as much as this distance
MAX_STEP = 0.4  # rad per iteration
DAMPING = 1e-9  # added to half the squared error


class IKResult(NamedTuple):
    """q (..., n) rad; success (...) bool; position_error (...) m; angle_error (...) rad."""

    q: np.ndarray
    success: np.ndarray
    position_error: np.ndarray
    angle_error: np.ndarray


def _pose_and_jacobian(chain: Chain, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    poses = rigid.link_poses(chain, q)
    T = poses[..., -1, :, :] @ chain.T_last_tip
    return T, rigid.point_jacobian(chain, poses, T[..., :3, 3])


def _errors(T: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position error (..., 3) m and rotation vector (..., 3) rad from T to target, both (..., 4, 4)."""
    return target[..., :3, 3] - T[..., :3, 3], geometry.rotation_error_vector(target[..., :3, :3], T[..., :3, :3])


def _step(chain: Chain, q: np.ndarray, target: np.ndarray, free_orientation: bool) -> np.ndarray:
    """One damped step q (..., n) towards target (..., 4, 4) inside the limits."""
    lower, upper = chain.lower, chain.upper
    T, J = _pose_and_jacobian(chain, q)
    move, turn = _errors(T, target)
    weight = 0.0 if free_orientation else LENGTH
    error = np.concat([move, weight * turn], axis=-1)[..., None]
    J = np.concat([J[..., :3, :], weight * J[..., 3:, :]], axis=-2)
    pull = (J.swapaxes(-1, -2) @ error)[..., 0]
    blocked = ((q <= lower) & (pull < 0)) | ((q >= upper) & (pull > 0))
    J = np.where(blocked[..., None, :], np.zeros_like(J), J)
    damping = np.sum(error * error, axis=(-2, -1))[..., None, None] / 2 + DAMPING
    gram = J @ J.swapaxes(-1, -2) + damping * np.eye(6)
    delta = (J.swapaxes(-1, -2) @ np.linalg.solve(gram, error))[..., 0]
    size = np.max(np.abs(delta), axis=-1, keepdims=True)
    return np.clip(q + delta * np.minimum(MAX_STEP / (size + 1e-12), np.ones_like(size)), lower, upper)


def _iterate(
    chain: Chain, q: np.ndarray, target: np.ndarray, iterations: int, free_orientation: bool = False
) -> np.ndarray:
    for _ in range(iterations):
        q = _step(chain, q, target, free_orientation)
    return q


def _residual(chain: Chain, q: np.ndarray, target: np.ndarray, free_orientation: bool = False) -> IKResult:
    move, turn = _errors(_pose_and_jacobian(chain, q)[0], target)
    position, angle = np.sqrt(np.sum(move**2, axis=-1)), np.sqrt(np.sum(turn**2, axis=-1))
    success = (position <= POSITION_TOLERANCE) & (free_orientation | (angle <= ANGLE_TOLERANCE))
    return IKResult(q, success, position, angle)


def all_solutions(
    chain: Chain, target: np.ndarray, *, restarts: int = 16, iterations: int = 60, seed: int = 0,
    free_orientation: bool = False, scene: Scene | None = None,
) -> IKResult:  # fmt: skip
    """One result per target and restart: from home, then from starts uniform within the limits (+-pi if continuous).

    target: T_world_tip (..., 4, 4); free_orientation: reach its position only; scene: what touches it is no success,
    see `is_free`.
    -> IKResult of (..., restarts) and q (..., restarts, n).
    """
    lower, upper = joint_box(chain, 0.0)
    random = np.random.default_rng(seed).uniform(lower, upper, (restarts - 1, chain.n))
    starts = np.concatenate([chain.home[None], random])
    q = np.broadcast_to(starts, (*target.shape[:-2], *starts.shape))
    wide = target[..., None, :, :]
    found = _residual(chain, _iterate(chain, q, wide, iterations, free_orientation), wide, free_orientation)
    return found if scene is None else found._replace(success=found.success & is_free(chain, found.q, scene))


def path_ik(
    chain: Chain, targets: np.ndarray, start: ArrayLike, *, iterations: int = 6, free_orientation: bool = False
) -> IKResult:
    """Continuous joint paths that follow tip poses: each waypoint is solved from the one before (float64, NumPy).

    targets: (..., K, 4, 4). start: (..., n) rad, near the first waypoint. free_orientation: follow the positions only.
    -> IKResult of (..., K) and q (..., K, n).
    """
    q, path = np.asarray(start, float), []
    for k in range(targets.shape[-3]):
        target = targets[..., k, :, :]
        q = _iterate(chain, q, target, iterations * (4 if k == 0 else 1), free_orientation)
        path.append(q)
    return _residual(chain, np.stack(path, axis=-2), targets, free_orientation)
