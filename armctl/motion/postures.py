"""What a motion is asked to start from, lead to or pass: joints or a pose of the tip, and the postures that answer it.

As text, for the command line: "0 -0.5 0 -2 0 1.6 0.8" are joints in rad, "pose 0.4 0.1 0.5" a position of the tip in m
at any orientation, "pose 0.4 0.1 0.5 3.14 0 0" one with roll, pitch and yaw, "pose 0.4 0.1 0.5 1 0 0 0" one with a
quaternion xyzw; "deg" at the end makes angles degrees; "home" is the arm's rest. Commas serve as well as blanks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from armctl import geometry
from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.motion import ik
from armctl.motion.free import is_free
from armctl.scene import Scene

RESTARTS = 32
SAME = 0.1  # rad; solutions that lie closer are one
SLACK = 1e-6  # rad a joint may be asked to lie beyond its limit, for rounding


@dataclass(frozen=True)
class TipPose:
    """A pose of the tip in the world.

    position: (3,) m. quaternion: (4,) xyzw of any length but zero, or None for any orientation.
    """

    position: Sequence[float] | np.ndarray
    quaternion: Sequence[float] | np.ndarray | None = None

    def matrix(self, what: str) -> np.ndarray:
        """T_world_tip (4, 4), not turned where the orientation is free.

        what: what the pose is, for messages. Raises UsageError for numbers that are no pose.
        """
        position = np.asarray(self.position, float)
        turn = np.array([0.0, 0, 0, 1]) if self.quaternion is None else np.asarray(self.quaternion, float)
        if position.shape != (3,) or turn.shape != (4,) or not np.isfinite([*position, *turn]).all() or not turn.any():
            raise UsageError(
                f"{what} has position {self.position} and quaternion {self.quaternion}; give three and four finite "
                "numbers, x y z in m and x y z w."
            )
        return geometry.pose_to_matrix(np.concatenate([position, turn / np.linalg.norm(turn)]))


Asked = ArrayLike | TipPose | str
"""Joints (n,) rad, a pose of the tip, or text that says either."""


def postures(
    asked: Asked, chain: Chain, what: str, *, near: np.ndarray | None = None, scene: Scene | None = None, seed: int = 0
) -> np.ndarray:
    """Postures (K, n) rad, free of collisions, that answer what is asked, the nearest to `near` first.

    what: "start", "goal" or "via", for messages. near: (n,) rad, the arm's home if None. scene: obstacles. seed: of the
    starts of inverse kinematics. Joints have one answer, themselves; a pose as many as are found, each met to 1 mm and
    0.1 degrees. Raises UsageError where none answers, saying by how much or what is touched.
    """
    wanted = _read(asked, chain, what) if isinstance(asked, str) else asked
    if not isinstance(wanted, TipPose):
        return _clear(_within(wanted, chain, what), chain, what, scene)
    T, free = wanted.matrix(what), wanted.quaternion is None
    found = ik.all_solutions(chain, T, restarts=RESTARTS, seed=seed, free_orientation=free)
    if not found.success.any():
        raise UsageError(_short_of(found, chain, what, T, free))
    near = chain.home if near is None else near
    q = _turned_towards(chain, _clear(found.q[found.success], chain, what, scene), near)
    return _distinct(q[np.argsort(np.linalg.norm(q - near, axis=-1), kind="stable")])


def _within(joints: ArrayLike, chain: Chain, what: str) -> np.ndarray:
    """Joints as (1, n) rad, within the limits."""
    try:
        q = np.asarray(joints, float)
    except (TypeError, ValueError):
        q = np.empty(0)
    if q.shape != (chain.n,) or not np.isfinite(q).all():
        raise UsageError(
            f"{what} is {joints!r}; give {chain.n} finite joint values in rad for {chain.name}, or a TipPose."
        )
    over = np.maximum(chain.lower - q, q - chain.upper)
    worst = int(np.argmax(over))
    if over[worst] > SLACK:
        raise UsageError(
            f"{what} has joint {worst + 1} of {chain.name} at {q[worst]:.3f}, outside its limits of "
            f"{chain.lower[worst]:.3f} to {chain.upper[worst]:.3f} rad; choose another."
        )
    return np.clip(q, chain.lower, chain.upper)[None]


def _clear(q: np.ndarray, chain: Chain, what: str, scene: Scene | None) -> np.ndarray:
    clear = is_free(chain, q, scene)
    if not clear.any():
        touched = "itself or the floor" if scene is None else f"itself, the floor or the scene {scene.name!r}"
        every = "" if len(q) == 1 else f" in each of the {len(q)} postures that reach it"
        raise UsageError(f"At the {what} {chain.name} touches or nearly touches {touched}{every}; choose another.")
    return q[clear]


def _short_of(found: ik.IKResult, chain: Chain, what: str, T: np.ndarray, free: bool) -> str:
    """By how much the nearest attempt misses a pose."""
    best = int(np.argmin(found.position_error + (0.0 if free else ik.LENGTH) * found.angle_error))
    place = ", ".join(f"{x:.3f}" for x in T[:3, 3])
    far, turned = found.position_error[best], np.degrees(found.angle_error[best])
    by = f"{1e3 * far:.0f} mm" if free else f"{1e3 * far:.0f} mm and {turned:.1f} degrees"
    return (
        f"The {what} ({place}) is out of reach of {chain.name}: the nearest posture misses it by {by}; choose another."
    )


def _turned_towards(chain: Chain, q: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The same postures with every joint that can turn all the way at the turn that is nearest and within limits."""
    whole = (np.array(chain.joint_types) != "prismatic") & (chain.upper - chain.lower >= 2 * np.pi)
    lower, upper = joint_box(chain, 0.0)
    moved = q - 2 * np.pi * np.round((q - near) / (2 * np.pi))
    fits = ~np.isfinite(chain.lower) | ((moved >= lower) & (moved <= upper))
    return np.where(whole & fits, moved, q)


def _distinct(q: np.ndarray) -> np.ndarray:
    kept: list[np.ndarray] = []
    for row in q:
        if all(np.abs(row - other).max() > SAME for other in kept):
            kept.append(row)
    return np.stack(kept)


def _read(text: str, chain: Chain, what: str) -> np.ndarray | TipPose:
    """Joints (n,) rad or a pose out of text."""
    words = text.replace(",", " ").split()
    degrees = words[-1:] == ["deg"]
    pose = words[:1] == ["pose"]
    try:
        numbers = np.array([float(word) for word in words[pose : len(words) - degrees]])
    except ValueError:
        numbers = np.empty(0)
    if words == ["home"]:
        return np.array(chain.home)
    if pose and len(numbers) in (3, 6, 7) and not (degrees and len(numbers) == 7):
        return _pose(numbers, degrees)
    if not pose and len(numbers) == chain.n:
        turning = np.array(chain.joint_types) != "prismatic"
        return np.where(turning & degrees, np.radians(numbers), numbers)
    raise UsageError(
        f"{what} is '{text}'; give {chain.n} joint values in rad, or 'pose' and x y z in m with nothing, roll "
        "pitch yaw or a quaternion x y z w after it ('deg' at the end for degrees), or 'home'."
    )


def _pose(numbers: np.ndarray, degrees: bool) -> TipPose:
    position, rest = numbers[:3], numbers[3:]
    if len(rest) == 3:
        R = geometry.rpy_matrix(np.radians(rest) if degrees else rest)
        return TipPose(position, geometry.matrix_to_quat(R))
    return TipPose(position, rest if len(rest) else None)
