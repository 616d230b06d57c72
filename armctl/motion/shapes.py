"""Tip figures of any arm around a comfortable posture: circle, square, figure-eight, helix, the ISO 9283 test set."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.motion import ik, sampling, spline
from armctl.motion.collision import clearance
from armctl.motion.families import reach
from armctl.motion.figures import SHAPES
from armctl.motion.free import blind_apart, is_free
from armctl.motion.iso9283 import pose_cycle
from armctl.motion.reference import Reference, interpolant, sample_spline

WAYPOINTS = 241
SEARCH_WAYPOINTS = 51
LIMIT_MARGIN = 0.02  # part of each joint range kept free where place and size are chosen automatically
SIZE = 0.12  # default size as a part of the reach
ISO_CUBES = np.array([1.0, 0.63, 0.4, 0.25, 0.16, 0.1, 0.063])  # m; ISO 9283 names four, small arms need the rest
CENTERS = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])  # parts of the reach that the centre may move from home


def _frame(chain: Chain) -> np.ndarray:
    """Directions (3, 3), as columns, in which figures are drawn: the world's axes, or the plane the tip can move in."""
    left, size, _ = np.linalg.svd(rigid.jacobian(chain, chain.home)[:3])
    able = left[:, : len(size)][:, size > 1e-3 * size[0]]
    if able.shape[1] == 3:
        return np.eye(3)
    plane = np.zeros((3, 3))
    plane[:, : able.shape[1]] = able
    return plane


def _follow(chain: Chain, q_center: np.ndarray, offsets: np.ndarray) -> tuple[ik.IKResult, np.ndarray]:
    """IK along offsets (..., K, 3) m from the tip at q_center (..., n), orientation kept if possible; tip targets."""
    T = rigid.forward_kinematics(chain, q_center)
    targets = np.repeat(T[..., None, :, :], offsets.shape[-2], axis=-3)
    targets[..., :3, 3] += offsets @ _frame(chain).T
    found = ik.path_ik(chain, targets, q_center, iterations=3)
    if not found.success.any() and chain.n < 6:
        found = ik.path_ik(chain, targets, q_center, iterations=3, free_orientation=True)
    return found, targets[..., :3, 3]


def _largest(chain: Chain, name: str, q_center: np.ndarray, sizes: ArrayLike) -> np.ndarray:
    """For postures (M, n) the largest of sizes (descending, m) at which the arm draws the figure; (M,), 0 for none."""
    figure = SHAPES[name].offsets(np.linspace(0, 1, SEARCH_WAYPOINTS))
    sizes = np.asarray(sizes)
    starts = np.broadcast_to(q_center[:, None], (len(q_center), len(sizes), chain.n))
    offsets = np.broadcast_to(sizes[:, None, None] * figure, (*starts.shape[:2], *figure.shape))
    found, _ = _follow(chain, starts, offsets)
    lower, upper = joint_box(chain, LIMIT_MARGIN)
    inside = ((found.q >= lower) & (found.q <= upper)) | np.isinf(chain.lower)
    good = found.success.all(axis=-1) & inside.all(axis=(-2, -1))
    good &= is_free(chain, found.q[..., ::2, :]).all(axis=-1)
    return np.max(np.where(good, sizes, 0.0), axis=-1)


@lru_cache(maxsize=32)
def comfortable(chain: Chain) -> np.ndarray:
    """Posture (n,) rad with the home orientation of the tip around which the largest ISO cube fits, nearest to home."""
    frame = _frame(chain)
    up = frame[:, 2] if frame[:, 2].any() else frame[:, 1]
    grid = np.stack(np.meshgrid(CENTERS, CENTERS), axis=-1).reshape(-1, 2)
    grid = grid[np.argsort(np.sum(grid**2, axis=1), kind="stable")] * reach(chain)
    targets = np.repeat(rigid.forward_kinematics(chain, chain.home)[None, None], len(grid), axis=0)
    targets[:, 0, :3, 3] += grid @ np.stack([frame[:, 0], up])
    found = ik.path_ik(chain, targets, np.repeat(chain.home[None], len(grid), axis=0), iterations=12)
    candidates = np.concatenate([chain.home[None], found.q[found.success[:, 0], 0]])
    size = _largest(chain, "iso_poses", candidates, ISO_CUBES)
    return candidates[np.argmax(size)]


@lru_cache(maxsize=64)
def shape_size(chain: Chain, name: str) -> float:
    """Default size of a shape, m: 12 % of the reach or the largest ISO cube, less where the arm cannot draw that."""
    sizes = ISO_CUBES if SHAPES[name].iso else SIZE * reach(chain) * 0.8 ** np.arange(12)
    size = float(_largest(chain, name, comfortable(chain)[None], sizes)[0])
    if SHAPES[name].iso and name != "iso_poses":
        size = min(size, shape_size(chain, "iso_poses"))
    if size == 0:
        raise UsageError(f"Arm {chain.name} cannot draw '{name}' around its home at any size; choose another home.")
    return size


def make_shape(
    name: str,
    chain: Chain,
    dt: float = 0.01,
    *,
    size: float | None = None,
    eta: float = 0.5,
    duration: float | None = None,
) -> Reference:
    """Reference of a named shape, drawn around the arm's comfortable posture, tip orientation kept.

    name: one of SHAPES. dt: s. size: m, radius or half side (ISO: side of the cube), found automatically if absent.
    eta: speed in (0, 1]. duration: s, in place of eta. meta: family, size, eta, t_min, binding, and for iso_poses
    `dwells`, a list of [pose number 1..5, start s, end s].
    Raises UsageError for an unknown shape, one out of reach (with the point missed), or a duration that is too short.
    """
    if name not in SHAPES:
        raise UsageError(f"Unknown shape '{name}'; choose one of {', '.join(SHAPES)}.")
    if not (dt > 0 and 0 < eta <= 1 and (size is None or size > 0)):
        raise UsageError(f"Shape '{name}' needs positive dt and size and eta in (0, 1], not {dt}, {size} and {eta}.")
    size = shape_size(chain, name) if size is None else float(size)
    s = np.linspace(0, 1, WAYPOINTS)
    found, points = _follow(chain, comfortable(chain), size * SHAPES[name].offsets(s))
    _check(chain, name, size, found, points)
    build = pose_cycle if name == "iso_poses" else _continuous
    motion, facts = build(chain, s, found.q, dt, lambda shortest: _duration(name, shortest, eta, duration))
    meta = {"family": "iso9283" if SHAPES[name].iso else "shape", "size": size, **facts}
    return Reference.from_joints(chain, dt, *motion, name=name, meta=meta)


def _duration(name: str, shortest: float, eta: float, duration: float | None) -> float:
    if duration is not None and duration < shortest:
        raise UsageError(f"Shape '{name}' takes at least {shortest:.2f} s at this size, not {duration:g} s.")
    return shortest / eta if duration is None else float(duration)


def _continuous(
    chain: Chain, s: np.ndarray, q: np.ndarray, dt: float, choose: Callable[[float], float]
) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    """Motion q, qd, qdd along the joint path q (K, n) at s (K,), in one go."""
    path = interpolant(s, q)
    dense, *derivatives = (path.derivative(d)(np.linspace(0, 1, 4 * WAYPOINTS)) for d in range(4))
    torques = sampling.split_torque(chain, dense, *derivatives[:2])
    t_min, binding = spline.minimal_duration(chain, derivatives, *torques)
    steps = int(np.ceil(choose(float(t_min)) / dt - 1e-9))
    T = steps * dt
    q, qd, qdd = sample_spline(path, np.linspace(0, 1, steps + 1))
    facts = {"eta": float(t_min) / T, "t_min": float(t_min), "binding": spline.CONSTRAINTS[int(binding)]}
    return (q, qd / T, qdd / T**2), facts


def _check(chain: Chain, name: str, size: float, found: ik.IKResult, points: np.ndarray) -> None:
    if not found.success.all():
        k = int(np.flatnonzero(~found.success)[0])
        x, y, z = points[k]
        raise UsageError(
            f"Shape '{name}' of size {size:.3f} m leaves the workspace of {chain.name} at "
            f"({x:.3f}, {y:.3f}, {z:.3f}) m by {1e3 * found.position_error[k]:.1f} mm; choose a smaller size."
        )
    if clearance(chain, found.q[::2]).min() <= 0 or not blind_apart(chain, found.q[::2]).all():
        raise UsageError(
            f"Shape '{name}' of size {size:.3f} m makes {chain.name} hit itself or the floor; choose a smaller size."
        )


def shape_suite(chain: Chain, dt: float = 0.01, eta: float = 0.5) -> list[Reference]:
    """Circle, square, figure-eight and helix."""
    return [make_shape(name, chain, dt, eta=eta) for name, figure in SHAPES.items() if not figure.iso]


def iso_suite(chain: Chain, dt: float = 0.01, eta: float = 0.5) -> list[Reference]:
    """The ISO 9283 pose cycle and paths, all in the same cube where the arm can draw them there."""
    return [make_shape(name, chain, dt, eta=eta) for name, figure in SHAPES.items() if figure.iso]
