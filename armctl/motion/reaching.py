"""Motions that bring the tip from rest to a goal: the shortest of those to the goal's inverse-kinematics solutions.

A path is the minimum-jerk line in the joints or, where that touches something, a line bent aside; its timing is the
shortest that velocity, acceleration, jerk and torque allow.
"""

import numpy as np
from numpy.typing import ArrayLike

from armctl import geometry, rigid
from armctl.chain import Chain, joint_box, unwrapped
from armctl.errors import UsageError
from armctl.motion import ik, spline
from armctl.motion.free import is_free
from armctl.motion.goals import draw_postures
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.scene.body import Scene

SHARE = 0.9
"""Of what the limits allow: the rest is for control."""
LOOKED_AT = 41
"""Configurations of a path that are looked at for collisions."""
BENT, BENDS = 0.15, 32
"""Standard deviation of a bend, as a part of each joint's range, and how many are tried for a solution."""
LONG = 4.0
"""Seconds of a reaching episode."""


def plan(
    chain: Chain,
    goal: ArrayLike,
    dt: float,
    *,
    start: ArrayLike | None = None,
    name: str = "reach",
    scene: Scene | None = None,
) -> Reference:
    """The shortest motion found from rest at `start` to rest at a tip pose.

    goal: (7,) m + xyzw; start: (n,) rad, the arm's home when None; dt: s; scene: what to keep off. Its meta has `goal`.
    Raises UsageError where the start is in collision with the scene, where no inverse-kinematics solution was found, or
    no motion to one that is free of collisions.
    """
    pose = np.asarray(goal, float)
    start = chain.home if start is None else np.asarray(start, float)
    if scene is not None and not is_free(chain, start, scene):
        raise UsageError(f"{chain.name} starts in collision, or nearly, with scene {scene.name!r}; start elsewhere.")
    found = ik.all_solutions(chain, geometry.pose_to_matrix(pose), restarts=24, scene=scene)
    ends = found.q[found.success]
    ends = ends[is_free(chain, ends)] if len(ends) and scene is None else ends
    if not len(ends):
        raise UsageError(f"{chain.name} does not reach the goal {_said(pose)} free of collisions; choose another.")
    ends = np.stack([unwrapped(chain, np.arange(2.0), np.stack([start, end]))[1] for end in ends])
    paths = _free(chain, _lines(start, ends), scene)
    if not len(paths):
        paths = _free(chain, _bent(chain, start, ends), scene)
    if not len(paths):
        raise UsageError(f"No motion to the goal {_said(pose)} was found that is free of collisions; choose another.")
    shortest, binding = path_timing(chain, paths)
    best = int(np.argmin(shortest))
    if not np.isfinite(shortest[best]):
        raise UsageError(f"{chain.name} cannot hold itself on the way to the goal {_said(pose)}; choose another.")
    limit = spline.CONSTRAINTS[int(binding[best])]
    meta = {"family": "reach", "goal": pose.tolist()}
    return path_reference(chain, paths[best], float(shortest[best]), SHARE, dt, binding=limit, name=name, meta=meta)


def reach_suite(
    chain: Chain, dt: float = 0.01, count: int = 24, seed: int = 0, scene: Scene | None = None
) -> list[Reference]:
    """Planned motions from home to random goals in the arm's workspace, each held there until 4 s have passed."""
    rng, found = np.random.default_rng(seed), list[Reference]()
    for q in draw_postures(chain, rng, 4 * count, scene=scene):
        goal = geometry.matrix_to_pose(rigid.forward_kinematics(chain, q))
        try:
            motion = plan(chain, goal, dt, name=f"goal_{len(found)}", scene=scene)
        except UsageError:  # of goals drawn at random some lie where no simple motion leads
            continue
        found.append(motion.before_hold(max(0, round(LONG / dt) + 1 - len(motion.q))))
        if len(found) == count:
            break
    return found


def goal_suite(
    chain: Chain, dt: float = 0.01, count: int = 24, seed: int = 0, scene: Scene | None = None
) -> list[Reference]:
    """The goals of `reach_suite` alone, without a way to them: each is the reference from the first sample on.

    The arm starts at home (meta `start`), not on the reference.
    """
    return [_only_goal(chain, motion) for motion in reach_suite(chain, dt, count, seed, scene)]


def _only_goal(chain: Chain, motion: Reference) -> Reference:
    q = np.repeat(motion.q[-1:], len(motion.q), axis=0)
    meta = {"family": "goal", "goal": motion.meta["goal"], "start": motion.q[0].tolist()}
    return Reference.from_joints(chain, motion.dt, q, 0 * q, 0 * q, name=motion.name, meta=meta)


def _lines(start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    starts = np.broadcast_to(start, ends.shape)
    return spline.control_points(starts, ends, spline.straight_inner(starts, ends))


def _bent(chain: Chain, start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Lines with a random smooth bend, some for each end."""
    lower, upper = joint_box(chain)
    ends = np.repeat(ends, BENDS, axis=0)
    starts = np.broadcast_to(start, ends.shape)
    straight = spline.straight_inner(starts, ends)
    bump = np.sin(np.pi * np.linspace(0, 1, straight.shape[-2] + 2)[1:-1, None]) ** 2
    aside = BENT * (upper - lower) * np.random.default_rng(0).normal(size=(len(ends), 1, chain.n))
    inner = straight + bump * aside
    bounded = np.isfinite(chain.lower)
    return spline.control_points(starts, ends, np.where(bounded, np.clip(inner, lower, upper), inner))


def _free(chain: Chain, paths: np.ndarray, scene: Scene | None) -> np.ndarray:
    q = spline.evaluate(paths, LOOKED_AT, derivatives=0)[0]
    return paths[is_free(chain, q, scene).all(axis=-1)]


def _said(pose: np.ndarray) -> str:
    return f"({', '.join(f'{x:.3g}' for x in pose[:3])})"
