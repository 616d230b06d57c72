"""The families of paths in a motion corpus: each draws spline control points (N, C, n) that start and end at rest.

Joint-space families move between random postures; task-space families draw a figure with the tip by inverse kinematics.
Paths may still touch the arm or the floor, or miss the figure: the corpus keeps the good ones.
"""

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.motion import ik, spline
from armctl.motion.sampling import random_configuration

WAYPOINTS = 32
INNER = spline.CONTROL_POINTS - 2 * spline.TIED
FIT_TOLERANCE = 0.01  # rad, largest distance of a spline from the joint path it was fitted to
BEND = 0.15  # standard deviation of via points off the straight line, as a part of the joint range


def minimum_jerk(s: np.ndarray) -> np.ndarray:
    """Rest-to-rest quintic from 0 to 1. s: (K,) in [0, 1] -> (K,). Source: Flash and Hogan 1985."""
    return s**3 * (10 - 15 * s + 6 * s**2)


def _assemble(chain: Chain, starts: np.ndarray, goals: np.ndarray, inner: np.ndarray) -> np.ndarray:
    lower, upper = joint_box(chain, 0.02)
    bounded = np.isfinite(chain.lower)
    inner = np.where(bounded, np.clip(inner, lower, upper), inner)
    return spline.control_points(starts, goals, inner)


def _contexts(chain: Chain, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and goal (count, n) rad: clear postures, the goal drawn part of the way towards another one."""
    starts, ends = (random_configuration(chain, rng, count) for _ in range(2))
    return starts, starts + rng.uniform(0.3, 1.0, (count, 1)) * (ends - starts)


def point_to_point(chain: Chain, rng: np.random.Generator, count: int) -> np.ndarray:
    """Nearly straight joint-space motions: the minimum-jerk line plus a slight smooth bend."""
    starts, goals = _contexts(chain, rng, count)
    bump = np.sin(np.pi * np.linspace(0, 1, INNER + 2)[1:-1, None]) ** 2
    bend = 0.05 * rng.normal(size=(count, 1, chain.n)) * np.abs(goals - starts)[:, None]
    return _assemble(chain, starts, goals, spline.straight_inner(starts, goals) + bump * bend)


def via_points(chain: Chain, rng: np.random.Generator, count: int) -> np.ndarray:
    """Motions through one or two random postures beside the straight line, the smoothest spline that meets them."""
    starts, goals = _contexts(chain, rng, count)
    lower, upper = joint_box(chain)
    straight = spline.straight_inner(starts, goals)
    vias = rng.integers(1, 3, count)
    inner = np.empty_like(straight)
    for number in (1, 2):
        rows = np.flatnonzero(vias == number)
        s = np.linspace(0, 1, number + 2)[1:-1]
        offset = BEND * (upper - lower) * rng.normal(size=(len(rows), number, chain.n))
        inner[rows] = straight[rows] + _smooth_through(s) @ offset
    return _assemble(chain, starts, goals, inner)


def _smooth_through(s: np.ndarray) -> np.ndarray:
    """Matrix (INNER, V) from offsets at s (V,) to the inner control points of least acceleration that meet them."""
    meet = spline.basis(spline.CONTROL_POINTS, s)[:, spline.TIED : -spline.TIED]
    bend = spline.basis(spline.CONTROL_POINTS, 65, 2)[:, spline.TIED : -spline.TIED]
    weight = np.linalg.inv(bend.T @ bend)
    return weight @ meet.T @ np.linalg.inv(meet @ weight @ meet.T)


def periodic(chain: Chain, rng: np.random.Generator, count: int) -> np.ndarray:
    """One to two and a half joint-space oscillations about a posture, swelling and fading to begin and end at rest."""
    centers = random_configuration(chain, rng, count)
    lower, upper = joint_box(chain)
    s = np.linspace(0, 1, 4 * WAYPOINTS)
    cycles = rng.choice([1.0, 1.5, 2.0, 2.5], (count, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (count, 1, chain.n))
    room = np.minimum(centers - lower, upper - centers)[:, None]
    swing = room * rng.uniform(0.0, 0.7, (count, 1, chain.n))
    envelope = minimum_jerk(np.clip(4 * np.minimum(s, 1 - s), 0, 1))[:, None]
    q = centers[:, None] + envelope * swing * np.sin(2 * np.pi * cycles * s[:, None] + phase)
    return _assemble(chain, centers, centers, spline.fit(q))


def _frames(chain: Chain, rng: np.random.Generator, starts: np.ndarray) -> np.ndarray:
    """Two orthonormal directions (N, 3, 2) in which the tip can move at once from postures (N, n)."""
    J = rigid.jacobian(chain, starts)[:, :3]
    left, size, _ = np.linalg.svd(J)
    able = (size > 1e-3 * size[:, :1])[:, None, :]
    draw = rng.normal(size=(len(starts), 3, 2))
    inside = (left[..., : size.shape[1]] * able) @ left[..., : size.shape[1]].swapaxes(-1, -2) @ draw
    return np.linalg.qr(inside)[0]


def _drawn(chain: Chain, rng: np.random.Generator, count: int, figure: np.ndarray) -> np.ndarray:
    """Paths whose tip follows figure (N, K, 2) m in a random plane, orientation kept; those missed are dropped."""
    starts = random_configuration(chain, rng, count, margin=0.15)
    T = rigid.forward_kinematics(chain, starts)
    targets = np.repeat(T[:, None], WAYPOINTS, axis=1)
    targets[..., :3, 3] += figure @ _frames(chain, rng, starts).swapaxes(-1, -2)
    found = ik.path_ik(chain, targets, starts, iterations=4)
    inner = spline.fit(found.q)
    paths = _assemble(chain, found.q[:, 0], found.q[:, -1], inner)
    miss = np.abs(spline.evaluate(paths, WAYPOINTS, derivatives=0)[0] - found.q).max(axis=(1, 2))
    return paths[found.success.all(axis=1) & (miss < FIT_TOLERANCE)]


def reach(chain: Chain) -> float:
    """Length of the stretched arm, m: the distances between consecutive joints and to the tip, added up."""
    return float(np.linalg.norm([*chain.T_parent_joint[1:, :3, 3], chain.T_last_tip[:3, 3]], axis=-1).sum())


def line(chain: Chain, rng: np.random.Generator, count: int) -> np.ndarray:
    """Straight tip lines of 5 to 40 percent of the reach, orientation kept."""
    length = reach(chain) * rng.uniform(0.05, 0.4, (count, 1, 1))
    along = minimum_jerk(np.linspace(0, 1, WAYPOINTS))[:, None]
    return _drawn(chain, rng, count, length * along * np.array([1.0, 0.0]))


def arc(chain: Chain, rng: np.random.Generator, count: int) -> np.ndarray:
    """Circular tip arcs of 60 degrees to a full circle, radius 3 to 15 percent of the reach, orientation kept."""
    radius = reach(chain) * rng.uniform(0.03, 0.15, (count, 1, 1))
    angle = rng.uniform(np.pi / 3, 2 * np.pi, (count, 1)) * minimum_jerk(np.linspace(0, 1, WAYPOINTS))
    return _drawn(chain, rng, count, radius * np.stack([np.cos(angle) - 1, np.sin(angle)], axis=-1))


def figure_eight(chain: Chain, rng: np.random.Generator, count: int) -> np.ndarray:
    """Figures of eight (Gerono's lemniscate) at the tip, half-width 3 to 15 percent of the reach, orientation kept."""
    width = reach(chain) * rng.uniform(0.03, 0.15, (count, 1, 1))
    angle = 2 * np.pi * minimum_jerk(np.linspace(0, 1, WAYPOINTS))
    return _drawn(chain, rng, count, width * np.stack([np.sin(angle), np.sin(angle) * np.cos(angle)], axis=-1))


FAMILIES = {f.__name__: f for f in (point_to_point, via_points, periodic, line, arc, figure_eight)}
