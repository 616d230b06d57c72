"""A scene: named bodies of simple shape that do not move."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from armctl.errors import UsageError

SHAPES = {"box": 3, "sphere": 1, "cylinder": 2, "capsule": 2, "plane": 0}
"""How many numbers describe the size of each shape."""
GREY = (0.55, 0.58, 0.62, 1.0)


@dataclass(frozen=True)
class Body:
    """One obstacle.

    shape and size [m]: box (x, y, z) extents, sphere (r,), cylinder and capsule (r, length) along their z, a capsule's
    length without its caps; plane (), the half-space below the body's xy plane. position (3,) [m] and quaternion xyzw
    of its frame in the world, which is the arm's base frame. name: in reports; the scene names those without one.
    rgba: colour. Raises UsageError for what is no such body.
    """

    shape: str
    size: tuple[float, ...] = ()
    position: tuple[float, ...] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    name: str = ""
    rgba: tuple[float, ...] = GREY

    def __post_init__(self) -> None:
        what = f"Body {self.name!r}" if self.name else f"A {self.shape}"
        if self.shape not in SHAPES:
            raise UsageError(f"{what} has the unknown shape {self.shape!r}; choose one of {', '.join(SHAPES)}.")
        fixed = {"size": SHAPES[self.shape], "position": 3, "quaternion": 4, "rgba": 4}
        for field, count in fixed.items():
            object.__setattr__(self, field, _numbers(getattr(self, field), count, f"{what}: {field}"))
        if any(x <= 0 for x in self.size):
            raise UsageError(f"{what}: size is {list(self.size)}; every extent must be above zero, in m.")
        if any(not 0 <= x <= 1 for x in self.rgba):
            raise UsageError(f"{what}: rgba is {list(self.rgba)}; colours lie between 0 and 1.")
        length = float(np.linalg.norm(self.quaternion))
        if abs(length - 1) > 1e-2:
            raise UsageError(f"{what}: quaternion has length {length:.3g}; give a unit quaternion xyzw.")
        if abs(length - 1) > 1e-12:  # a normalised one stays as it is, to the last bit
            object.__setattr__(self, "quaternion", tuple(x / length for x in self.quaternion))


@dataclass(frozen=True)
class Scene:
    """Bodies that stand around an arm and do not move; hashable, and equal to a scene of the same bodies.

    name: in reports. bodies: at least one, each with a name of its own. Raises UsageError for none, or double names.
    """

    name: str
    bodies: tuple[Body, ...]

    def __post_init__(self) -> None:
        bodies = tuple(self.bodies)
        if not bodies:
            raise UsageError(f"Scene {self.name!r} has no bodies; give it some, or leave the scene out for free space.")
        named = tuple(body if body.name else replace(body, name=f"{body.shape}_{k}") for k, body in enumerate(bodies))
        double = [name for name, count in Counter(body.name for body in named).items() if count > 1]
        if double:
            raise UsageError(f"Scene {self.name!r} has two bodies named {double[0]!r}; give each a name of its own.")
        object.__setattr__(self, "bodies", named)


def _numbers(value: Any, count: int, what: str) -> tuple[float, ...]:
    """Exactly `count` finite numbers."""
    listed = list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else None
    try:
        found = tuple(float(x) for x in listed or ())
    except (TypeError, ValueError):
        listed = None
    if listed is None or len(found) != count or not np.isfinite(found).all():
        raise UsageError(f"{what} is {value!r}; give {count} finite numbers.")
    return found
