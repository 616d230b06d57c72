"""Exact distances of an arm to itself, the floor and a scene along a path, at samples and between them.

Two bodies whose distances at two samples add up to more than they can have approached on the way did not meet between
them. What they can have approached is known: the joints' ways times the levers of the arm (as continuous collision
detection by conservative advancement has it, Mirtich 1996). Where that does not decide, the middle is measured too.
"""

from typing import NamedTuple

import numpy as np

from armctl.envs.bullet.approach import own_levers
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.envs.bullet.scene import apart_from_scene, scene_bodies
from armctl.envs.bullet.self_collision import NOISE, collision_pairs
from armctl.motion.collision import clearance_bounds, scene_bounds
from armctl.scene.body import Scene

NEAR = 0.1  # m; shapes farther apart than this are not measured exactly, and a distance of NEAR counts as a full margin
STEP = 0.02  # m or rad that any joint may move between two samples that are looked at in any case
FINEST = STEP / 16  # m or rad between the densest samples: there what cannot be ruled out counts as contact


class _Pair(NamedTuple):
    """Two things that must stay apart."""

    name: str  # of the constraint
    link: int
    body: int  # in PyBullet
    other: int  # link of that body


class Gaps:
    """What an arm must keep away from, in the world of an ArmBody: other links, a floor at height 0, a scene."""

    def __init__(self, arm: ArmBody, scene: Scene | None = None) -> None:
        """Put floor and scene into the arm's world. Raises UsageError where a body of the scene stands in the arm."""
        self._arm, self._scene, chain = arm, scene, arm.chain
        world = {"physicsClientId": arm.client}
        plane = p.createCollisionShape(p.GEOM_PLANE, planeNormal=[0, 0, 1], **world)
        floor = p.createMultiBody(baseCollisionShapeIndex=plane, **world)
        self._links, link_levers = collision_pairs(chain)
        self._over_floor = [i for i in range(chain.n) if arm.distance_to(floor, i, 1.0) > 0]
        self._bodies: list[tuple[int, int]] = []
        ids: list[int] = []
        if scene is not None:
            ids = scene_bodies(arm.client, scene)
            self._bodies = list(apart_from_scene(arm, scene, ids))
        self._pairs = [_Pair("self_collision", i, arm.id, j) for i, j in self._links]
        self._pairs += [_Pair("floor", i, floor, -1) for i in self._over_floor]
        self._pairs += [_Pair("scene", i, ids[k], -1) for i, k in self._bodies]
        bounds = [*link_levers, *(own_levers(chain, pair.link) for pair in self._pairs[len(self._links) :])]
        self._levers = np.array(bounds).reshape(-1, chain.n).T
        self.names = ("self_collision", "floor", *(() if scene is None else ("scene",)))

    def along(self, q: np.ndarray) -> dict[str, float]:
        """Smallest distance by name, m, at most NEAR, along dense samples q (M, n).

        Where contact between samples cannot be ruled out it is what is left at worst, which is negative.
        """
        travelled = np.concatenate([np.zeros((1, q.shape[1])), np.cumsum(np.abs(np.diff(q, axis=0)), axis=0)])
        marks = _marks(q)
        way = np.diff(travelled[marks], axis=0) @ self._levers  # by how much each pair can have approached, and left
        best, known = self._measured(q[marks], _halves(way))
        for k, i in zip(*np.nonzero(known[:-1] + known[1:] <= way), strict=True):
            name = self._pairs[i].name
            if best[name] > 0:
                ends = int(marks[k]), int(marks[k + 1])
                best[name] = min(best[name], self._between(q, travelled, int(i), ends, (known[k, i], known[k + 1, i])))
        return {name: float(value) for name, value in best.items()}

    def _measured(self, q: np.ndarray, enough: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """The smallest distances by name, and lower bounds (K, P) of all, exact below `enough` (K, P) m, at q (K, n).

        Spheres rule out what is far. What may be nearest is measured first, so that it rules out the others.
        """
        known = np.concatenate(self._bounds(q), axis=1)
        best, left = dict.fromkeys(self.names, NEAR), known.copy()
        for name in self.names:
            own = np.array([i for i, pair in enumerate(self._pairs) if pair.name == name], int)
            while len(own):
                k, column = np.unravel_index(np.argmin(left[:, own]), (len(q), len(own)))
                i = own[column]
                if left[k, i] >= best[name]:
                    break
                best[name] = min(best[name], self._look(q, int(k), int(i), known, max(NEAR, float(enough[k, i]))))
                left[:, i] = np.maximum(left[:, i], known[:, i])
                left[k, i] = np.inf
        for k, i in np.argwhere(known < enough):
            if known[k, i] < enough[k, i] and left[k, i] < np.inf:
                self._look(q, int(k), int(i), known, max(NEAR, float(enough[k, i])))
        return best, known

    def _look(self, q: np.ndarray, k: int, i: int, known: np.ndarray, reach: float) -> float:
        """Measure one pair at one sample, and raise what is known of it at the others; the distance, m."""
        self._arm.place(q[k].tolist())
        gap = self._distance(i, reach)
        known[:, i] = np.maximum(known[:, i], gap - NOISE - np.abs(q - q[k]) @ self._levers[:, i])
        known[k, i] = gap
        return gap

    def _bounds(self, q: np.ndarray) -> list[np.ndarray]:
        bounds = list(clearance_bounds(self._arm.chain, q, self._links, self._over_floor))
        return bounds if self._scene is None else [*bounds, scene_bounds(self._arm.chain, q, self._scene, self._bodies)]

    def _distance(self, i: int, reach: float) -> float:
        """Exact distance of a pair where the arm is, m; `reach` or what is nearest to it if it is more than that."""
        pair, reach = self._pairs[i], max(reach, 0.0)
        if pair.name == "self_collision":
            return self._arm.distance(pair.link, pair.other, reach)
        return self._arm.distance_to(pair.body, pair.link, reach)

    def _between(
        self, q: np.ndarray, travelled: np.ndarray, i: int, ends: tuple[int, int], gaps: tuple[float, float]
    ) -> float:
        """The smallest distance of a pair between two samples where it is gaps m, or a bound where that is negative."""
        (first, last), way = ends, float((travelled[ends[1]] - travelled[ends[0]]) @ self._levers[:, i])
        if min(gaps) <= 0 or sum(gaps) > way:
            return min(gaps)
        if last - first == 1:
            return (sum(gaps) - way) / 2
        middle = (first + last) // 2
        self._arm.place(q[middle])
        gap = self._distance(i, max(NEAR, way))
        before = self._between(q, travelled, i, (first, middle), (gaps[0], gap))
        return before if before <= 0 else min(before, self._between(q, travelled, i, (middle, last), (gap, gaps[1])))


def _marks(q: np.ndarray) -> np.ndarray:
    """Indices (K,) of samples between which some joint moves STEP, the first and the last included."""
    passed = np.floor(np.concatenate([[0.0], np.cumsum(np.abs(np.diff(q, axis=0)).max(axis=1))]) / STEP)
    keep = np.concatenate([[True], np.diff(passed) > 0])
    keep[-1] = True
    return np.flatnonzero(keep)


def _halves(way: np.ndarray) -> np.ndarray:
    """Distances (K, P) m at samples that rule out contact on the ways (K - 1, P) m before and after them."""
    nothing = np.zeros((1, way.shape[1]))
    return np.maximum(np.concatenate([nothing, way]), np.concatenate([way, nothing])) * 0.51
