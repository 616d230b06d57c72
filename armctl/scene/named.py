"""Scenes by name, laid out in front of an arm and as large as its reach."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.scene.body import Body, Scene
from armctl.typing import Array

WOOD, STEEL, BLUE = (0.66, 0.5, 0.34, 1.0), (0.55, 0.58, 0.62, 1.0), (0.3, 0.42, 0.6, 1.0)
SAMPLES = 4096


class Stance(NamedTuple):
    """Where an arm stands and works."""

    origin: Array  # (3,) m, of the first joint
    front: Array  # (3,) horizontal unit vector towards the tip at home
    reach: float  # m, from the origin; all but the rarest configurations keep within


@lru_cache(maxsize=32)
def stance(chain: Chain) -> Stance:
    """Where an arm stands, which way its tip is at home (x where it is above the base) and how far it reaches."""
    q = np.random.default_rng(0).uniform(*joint_box(chain), (SAMPLES, chain.n))
    tips = rigid.forward_kinematics(chain, q)[:, :3, 3]
    home = rigid.forward_kinematics(chain, chain.home)[:3, 3]
    origin = chain.T_parent_joint[0, :3, 3]
    reach = float(np.quantile(np.linalg.norm(tips - origin, axis=-1), 0.999))
    way = (home - origin) * [1, 1, 0]
    far = float(np.linalg.norm(way))
    return Stance(origin, way / far if far > 0.1 * reach else np.array([1.0, 0.0, 0.0]), reach)


class _Place:
    """Lays bodies in front of an arm: x ahead, y to the left, z up from the floor, all in parts of the reach."""

    def __init__(self, chain: Chain) -> None:
        self._stance = stance(chain)
        self._yaw = float(np.arctan2(self._stance.front[1], self._stance.front[0]))

    def __call__(
        self, name: str, shape: str, size: tuple[float, ...], at: tuple[float, float, float], rgba: tuple[float, ...]
    ) -> Body:
        (x, y), scale = self._stance.front[:2], self._stance.reach
        ahead, left, up = at
        base = self._stance.origin
        position = base[0] + (ahead * x - left * y) * scale, base[1] + (ahead * y + left * x) * scale, up * scale
        turn = (0.0, 0.0, float(np.sin(self._yaw / 2)), float(np.cos(self._yaw / 2)))
        return Body(shape, tuple(round(scale * part, 4) for part in size), _rounded(position), turn, name, rgba)


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def table(place: _Place) -> list[Body]:
    """A table across the front on four legs."""
    legs = [(x, y) for x in (0.4, 0.92) for y in (-0.6, 0.6)]
    return [
        place("top", "box", (0.6, 1.3, 0.04), (0.66, 0.0, 0.17), WOOD),
        *(place(f"leg_{k}", "box", (0.04, 0.04, 0.15), (x, y, 0.075), WOOD) for k, (x, y) in enumerate(legs)),
    ]


def shelf(place: _Place) -> list[Body]:
    """A shelf of three boards between two sides and a back, open towards the arm."""
    heights = (0.12, 0.5, 0.92)
    boards = [place(f"board_{k}", "box", (0.34, 1.2, 0.03), (0.74, 0.0, z), WOOD) for k, z in enumerate(heights)]
    sides = [place(f"side_{k}", "box", (0.34, 0.03, 0.94), (0.74, y, 0.47), WOOD) for k, y in enumerate((-0.6, 0.6))]
    return [*boards, *sides, place("back", "box", (0.03, 1.23, 0.94), (0.92, 0.0, 0.47), WOOD)]


def pillars(place: _Place) -> list[Body]:
    """Six pillars around the arm, a way between each and the next."""
    at = [(x, side * y) for x, y in ((0.55, 0.3), (0.1, 0.6), (-0.45, 0.4)) for side in (-1, 1)]
    return [place(f"pillar_{k}", "cylinder", (0.05, 1.1), (x, y, 0.55), STEEL) for k, (x, y) in enumerate(at)]


def bin_(place: _Place) -> list[Body]:
    """An open box in front, to be reached into from above."""
    walls = {
        "near": ((0.02, 0.64, 0.2), (0.57, 0.0, 0.1)),
        "far": ((0.02, 0.64, 0.2), (0.91, 0.0, 0.1)),
        "right": ((0.32, 0.02, 0.2), (0.74, -0.31, 0.1)),
        "left": ((0.32, 0.02, 0.2), (0.74, 0.31, 0.1)),
        "bottom": ((0.32, 0.6, 0.02), (0.74, 0.0, 0.01)),
    }
    return [place(name, "box", size, at, BLUE) for name, (size, at) in walls.items()]


def wall(place: _Place) -> list[Body]:
    """A wall that parts left from right in front, to be passed over or around."""
    return [place("wall", "box", (0.5, 0.04, 0.5), (0.85, 0.0, 0.25), STEEL)]


NAMED: dict[str, Callable[[_Place], list[Body]]] = {
    "table": table, "shelf": shelf, "pillars": pillars, "bin": bin_, "wall": wall
}  # fmt: skip
"""The scenes that have a name."""


def named_scene(name: str, chain: Chain) -> Scene:
    """The scene of that name, a key of NAMED, in front of an arm."""
    return Scene(name, tuple(NAMED[name](_Place(chain))))
