"""Which configurations are free of collisions: by covering spheres, and by exact shapes where spheres cannot tell.

Spheres around two links may overlap at home although the links are apart there (a plate over a wrist). Such spheres
would always report a hit; the shapes of their links are compared instead, in PyBullet. Its worlds are kept, for to load
an arm takes longer than to look at hundreds of configurations.
"""

from functools import lru_cache
from threading import Lock

import numpy as np
from jaxtyping import Bool, Float

from armctl.chain import Chain
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.scene import apart_from_scene, scene_bodies
from armctl.envs.bullet.self_collision import REACH, collision_pairs
from armctl.motion.collision import MARGIN, blind_bodies, clearance, safe_margin
from armctl.scene.body import Scene
from armctl.spheres import blind_pairs
from armctl.typing import Array


def is_free(chain: Chain, q: Float[np.ndarray, "*batch n"], scene: Scene | None = None) -> Bool[Array, "*batch"]:
    """Whether the arm keeps off itself, the floor and a scene with a margin. q: (..., n) rad -> (...)."""
    free = np.array(clearance(chain, q, scene) > safe_margin(chain, scene))
    free[free] = blind_apart(chain, q[free], scene)
    return free


def blind_apart(chain: Chain, q: Float[np.ndarray, "K n"], scene: Scene | None = None) -> Bool[np.ndarray, "K"]:
    """Whether what spheres cannot judge keeps apart, with a margin: pairs of links, and links and bodies of a scene.

    q: (K, n) rad -> (K,).
    """
    pairs = _doubtful(chain)
    bodies = () if scene is None else tuple(blind_bodies(chain, scene))
    return _exact(chain, pairs, scene, bodies).apart(q) if len(q) and (pairs or bodies) else np.ones(len(q), bool)


def shapes_apart(chain: Chain, q: Float[np.ndarray, "K n"], scene: Scene | None = None) -> Bool[np.ndarray, "K"]:
    """Whether all links that may meet, and all bodies of a scene, keep apart, with a margin, by their shapes alone.

    q: (K, n) rad -> (K,).
    """
    bodies = () if scene is None else tuple((link, k) for link in range(chain.n) for k in range(len(scene.bodies)))
    return _exact(chain, tuple(collision_pairs(chain)[0]), scene, bodies).apart(q)


def check_scene(chain: Chain, scene: Scene | None) -> None:
    """Raise UsageError where a body of a scene stands in the arm at its home configuration."""
    if scene is not None:
        _exact(chain, (), scene, ())


@lru_cache(maxsize=32)
def _doubtful(chain: Chain) -> tuple[tuple[int, int], ...]:
    """Pairs of links (-1 = base) that spheres do not judge and that are apart at home but may meet."""
    blind = blind_pairs(chain)
    return tuple(pair for pair in collision_pairs(chain)[0] if pair in blind) if blind else ()


class _Exact:
    """Pairs of links of an arm, and of its links and bodies of a scene, in a PyBullet world.

    Threads use it one after the other.
    """

    def __init__(
        self,
        chain: Chain,
        pairs: tuple[tuple[int, int], ...],
        scene: Scene | None,
        bodies: tuple[tuple[int, int], ...],
    ) -> None:
        self._body, self._lock = ArmBody(chain, collisions=True), Lock()
        # at home, where the body is, they may be closer than the margin
        self._pairs = [(pair, min(MARGIN, self._body.distance(*pair, REACH) / 2)) for pair in pairs]
        self._bodies: list[tuple[int, int, float]] = []
        if scene is not None:
            ids = scene_bodies(self._body.client, scene)
            near = {pair: gap for pair, gap in apart_from_scene(self._body, scene, ids).items() if pair in bodies}
            self._bodies = [(ids[k], link, min(MARGIN, gap / 2)) for (link, k), gap in near.items()]

    def apart(self, q: np.ndarray) -> np.ndarray:
        """Whether every pair keeps its margin at q (K, n) -> (K,)."""
        with self._lock:
            return np.array([self._apart(row) for row in q.tolist()], bool)

    def _apart(self, q: list[float]) -> bool:
        self._body.place(q)
        return all(self._body.distance(*pair, margin) >= margin for pair, margin in self._pairs) and all(
            self._body.distance_to(body, link, margin) >= margin for body, link, margin in self._bodies
        )


@lru_cache(maxsize=16)
def _exact(
    chain: Chain, pairs: tuple[tuple[int, int], ...], scene: Scene | None, bodies: tuple[tuple[int, int], ...]
) -> _Exact:
    return _Exact(chain, pairs, scene, bodies)
