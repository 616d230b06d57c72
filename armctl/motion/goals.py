"""Goals of reaching: where they lie and how they are drawn, for PyBullet and twin alike."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from armctl import geometry, rigid
from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.motion.collision import floor_distances, safe_margin
from armctl.motion.free import is_free, shapes_apart
from armctl.motion.ik import POSITION_TOLERANCE, path_ik
from armctl.motion.sampling import random_configuration
from armctl.scene.body import Scene
from armctl.scene.named import stance
from armctl.typing import Array

WORKSPACE, EVERYWHERE = "workspace", "everywhere"
Region = str | tuple[ArrayLike, ArrayLike] | Sequence[ArrayLike]
"""Where goals lie: "workspace", "everywhere", or two opposite corners (3,) m of a box in the base frame."""
BLOCK, FEW, ROUNDS = 512, 64, 60
"""Configurations looked at together, for each that is missing if these are few, and how often before there is none."""
RARE = 1e-3
"""Share of all configurations below which a workspace in front counts as none, and goals lie everywhere."""
AHEAD, NEAR, LOW, HIGH = 0.25, 0.85, 0.02, 0.65
"""The workspace in parts of the reach: at least so far ahead, at most so far from the first joint, between heights."""


class _Work(NamedTuple):
    """Where an arm works."""

    origin: Array  # (3,) m, of the first joint
    front: Array  # (3,) horizontal unit vector
    tool: Array  # (3,) the way the tip's z axis points at home
    reach: float  # m, from the origin

    def holds(self, T: Array) -> Array:
        """Whether tip poses T (N, 4, 4) are in front, low, not stretched, with the tool more or less as at home."""
        way, height = T[:, :3, 3] - self.origin, T[:, 2, 3]
        ahead = way @ self.front > AHEAD * self.reach
        near = np.linalg.norm(way, axis=-1) < NEAR * self.reach
        return ahead & near & (height > LOW * self.reach) & (height < HIGH * self.reach) & (T[:, :3, 2] @ self.tool > 0)


def check_region(region: Region) -> str | tuple[np.ndarray, np.ndarray]:
    """The region's name, or the lower and the upper corner (3,) m of a box. Raises UsageError for anything else."""
    if isinstance(region, str):
        if region not in (WORKSPACE, EVERYWHERE):
            raise UsageError(
                f"Unknown region {region!r}; choose {WORKSPACE!r}, {EVERYWHERE!r} or two corners of a box."
            )
        return region
    try:
        corners = np.asarray(region, float)
    except (TypeError, ValueError):
        corners = np.empty(0)
    if corners.shape != (2, 3) or not np.isfinite(corners).all():
        raise UsageError(f"region is {region!r}; give two corners of a box, ((x, y, z), (x, y, z)) in m, or a name.")
    return corners.min(axis=0), corners.max(axis=0)


def check_goal(chain: Chain, goal: ArrayLike, position_only: bool) -> np.ndarray:
    """A goal as a pose (7,) m + xyzw; three numbers are enough where only the position counts.

    Raises UsageError for other numbers, a quaternion far from unit length and what is beyond the stretched arm.
    """
    try:
        pose = np.asarray(goal, float)
    except (TypeError, ValueError):
        pose = np.empty(0)
    if position_only and pose.shape == (3,):
        pose = np.append(pose, [0.0, 0.0, 0.0, 1.0])
    if pose.shape != (7,) or not np.isfinite(pose).all():
        more = ", or x, y, z" if position_only else " (x, y, z alone with position_only=True)"
        raise UsageError(f"goal is {goal!r}; give x, y, z in m and a quaternion xyzw, seven finite numbers{more}.")
    size = float(np.linalg.norm(pose[3:]))
    if abs(size - 1) > 1e-2:
        raise UsageError(f"The quaternion of the goal has length {size:.3g}; give a unit quaternion xyzw.")
    far, reach = float(np.linalg.norm(pose[:3] - chain.T_parent_joint[0, :3, 3])), _stretched(chain)
    if far > reach:
        raise UsageError(f"The goal is {far:.3g} m from the first joint of {chain.name}; it reaches {reach:.3g} m.")
    return np.append(pose[:3], pose[3:] / size)


def check_reached(chain: Chain, region: Region, scene: Scene | None = None) -> None:
    """Raises UsageError for what is no region, and for a box or a scene in which the arm finds no goal."""
    if not isinstance(check_region(region), str) or scene is not None:
        draw_goals(chain, np.random.default_rng(0), 1, region, scene)


def _stretched(chain: Chain) -> float:
    """What no point of the tip's way is farther than from the first joint, m."""
    sliding = [kind == "prismatic" for kind in chain.joint_types]
    travel = np.maximum(np.abs(chain.lower), np.abs(chain.upper))[sliding].sum()
    offsets = [*chain.T_parent_joint[1:, :3, 3], chain.T_last_tip[:3, 3]]
    return float(np.linalg.norm(offsets, axis=-1).sum() + travel)


def draw_goals(
    chain: Chain, rng: np.random.Generator, count: int, region: Region = WORKSPACE, scene: Scene | None = None
) -> np.ndarray:
    """Tip poses (count, 7) m + xyzw of `draw_postures`."""
    return geometry.matrix_to_pose(rigid.forward_kinematics(chain, draw_postures(chain, rng, count, region, scene)))


def draw_postures(
    chain: Chain, rng: np.random.Generator, count: int, region: Region = WORKSPACE, scene: Scene | None = None
) -> np.ndarray:
    """Configurations (count, n) rad, free of collisions with the arm, the floor and a scene, whose tip is in a region.

    In the workspace and everywhere joints are uniform where the region allows them; in a box positions are.
    Raises UsageError for a box or a scene in which the arm finds none.
    """
    region = check_region(region)
    if not isinstance(region, str):
        return _in_box(chain, rng, count, *region, scene)
    work = _workspace(chain) if region == WORKSPACE else None
    if work is None:
        return random_configuration(chain, rng, count, scene=scene)
    return _in_workspace(chain, rng, count, work, scene)


@lru_cache(maxsize=32)
def _workspace(chain: Chain) -> _Work | None:
    """Where an arm works; None where that is hardly anywhere."""
    q = np.random.default_rng(0).uniform(*joint_box(chain), (8 * BLOCK, chain.n))
    T, home = rigid.forward_kinematics(chain, q), rigid.forward_kinematics(chain, chain.home)
    origin, front, reach = stance(chain)
    work = _Work(origin, front, home[:3, 2], reach)
    good = q[work.holds(T)]
    return work if len(_free(chain, good, len(good))) >= RARE * len(q) else None


def _in_workspace(chain: Chain, rng: np.random.Generator, count: int, work: _Work, scene: Scene | None) -> np.ndarray:
    box, found, idle = joint_box(chain), np.empty((0, chain.n)), 0
    while (missing := count - len(found)) > 0:  # ends: at least RARE of all configurations are good
        there = np.empty((0, chain.n))
        while len(there) < 2 * missing:
            q = rng.uniform(*box, (min(BLOCK, FEW * missing), chain.n))
            there = np.concatenate([there, q[work.holds(rigid.forward_kinematics(chain, q))]])
        found = np.concatenate([found, _free(chain, there, missing, scene)])
        idle = idle + 1 if len(found) == count - missing else 0
        if idle == ROUNDS:
            break
    else:
        return found
    where = f" of scene {scene.name!r}" if scene is not None else ""
    raise UsageError(f"{chain.name} finds hardly a goal in its workspace free of collisions{where}; make room.")


def _in_box(
    chain: Chain, rng: np.random.Generator, count: int, low: np.ndarray, high: np.ndarray, scene: Scene | None
) -> np.ndarray:
    """Of random configurations those nearest to the box, each pulled to a random point in it."""
    box, found = joint_box(chain), np.empty((0, chain.n))
    for _ in range(ROUNDS):
        q = rng.uniform(*box, (4 * BLOCK, chain.n))
        tip = rigid.forward_kinematics(chain, q)[:, :3, 3]
        away = np.linalg.norm(tip - np.clip(tip, low, high), axis=-1)
        q = q[np.argsort(away)[: max(16, 2 * count)]]
        target = np.tile(np.eye(4), (len(q), 1, 1, 1))
        target[:, 0, :3, 3] = rng.uniform(low, high, (len(q), 3))
        q = path_ik(chain, target, q, iterations=4, free_orientation=True).q[:, 0]
        tip = rigid.forward_kinematics(chain, q)[:, :3, 3]
        # in the box, if not at the point: a planar arm does not get to most of them
        inside = ((tip > low - POSITION_TOLERANCE) & (tip < high + POSITION_TOLERANCE)).all(axis=-1)
        inside &= (((q >= box[0]) & (q <= box[1])) | ~np.isfinite(chain.lower)).all(axis=-1)
        found = np.concatenate([found, _free(chain, q[inside], count - len(found), scene)])
        if len(found) == count:
            return found
    raise UsageError(
        f"{chain.name} reaches no goal free of collisions in region {_said(low)} to {_said(high)}; move it."
    )


def _free(chain: Chain, q: np.ndarray, count: int, scene: Scene | None = None) -> np.ndarray:
    """The first `count` of configurations q (N, n) that are clear of the arm, the floor and a scene.

    As `is_free` says or, where spheres meet, by the shapes themselves. Spheres are generous: those around the base and
    the first links of an xArm 6 meet wherever it leans to the front.
    """
    found, block = q[:0], max(4, 2 * count)  # each costs as much as a control step
    for start in range(0, len(q), block):
        found = np.concatenate([found, _all_free(chain, q[start : start + block], count - len(found), scene)])
        if len(found) >= count:
            break
    return found[:count]


def _all_free(chain: Chain, q: np.ndarray, count: int, scene: Scene | None) -> np.ndarray:
    free = is_free(chain, q, scene)
    if free[:count].all():
        return q[free]
    doubtful = ~free & (floor_distances(chain, q).min(axis=-1, initial=np.inf) > safe_margin(chain))
    for k in np.flatnonzero(doubtful):
        if np.sum(free[:k]) >= count:
            break
        free[k] = shapes_apart(chain, q[k : k + 1], scene)[0]
    return q[free]


def _said(corner: np.ndarray) -> str:
    return f"({', '.join(f'{x:g}' for x in corner)})"
