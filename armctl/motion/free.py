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
from armctl.envs.bullet.self_collision import REACH, collision_pairs
from armctl.motion.collision import MARGIN, clearance, safe_margin
from armctl.spheres import blind_pairs
from armctl.typing import Array


def is_free(chain: Chain, q: Float[np.ndarray, "*batch n"]) -> Bool[Array, "*batch"]:
    """Whether the arm keeps off itself and the floor with a margin. q: (..., n) rad -> (...)."""
    free = np.array(clearance(chain, q) > safe_margin(chain))
    free[free] = blind_apart(chain, q[free])
    return free


def blind_apart(chain: Chain, q: Float[np.ndarray, "K n"]) -> Bool[np.ndarray, "K"]:
    """Whether the pairs of links that spheres cannot judge keep apart, with a margin. q: (K, n) rad -> (K,)."""
    return _exact(chain, _doubtful(chain)).apart(q) if len(q) and _doubtful(chain) else np.ones(len(q), bool)


def shapes_apart(chain: Chain, q: Float[np.ndarray, "K n"]) -> Bool[np.ndarray, "K"]:
    """Whether all links that may meet keep apart, with a margin, by their shapes alone. q: (K, n) rad -> (K,)."""
    return _exact(chain, tuple(collision_pairs(chain)[0])).apart(q)


@lru_cache(maxsize=32)
def _doubtful(chain: Chain) -> tuple[tuple[int, int], ...]:
    """Pairs of links (-1 = base) that spheres do not judge and that are apart at home but may meet."""
    blind = blind_pairs(chain)
    return tuple(pair for pair in collision_pairs(chain)[0] if pair in blind) if blind else ()


class _Exact:
    """Pairs of links of an arm in a PyBullet world, which threads use one after the other."""

    def __init__(self, chain: Chain, pairs: tuple[tuple[int, int], ...]) -> None:
        self._body, self._lock = ArmBody(chain, collisions=True), Lock()
        # at home, where the body is, they may be closer than the margin
        self._pairs = [(pair, min(MARGIN, self._body.distance(*pair, REACH) / 2)) for pair in pairs]

    def apart(self, q: np.ndarray) -> np.ndarray:
        """Whether every pair keeps its margin at q (K, n) -> (K,)."""
        with self._lock:
            return np.array([self._apart(row) for row in q.tolist()], bool)

    def _apart(self, q: list[float]) -> bool:
        self._body.place(q)
        return all(self._body.distance(*pair, margin) >= margin for pair, margin in self._pairs)


@lru_cache(maxsize=8)
def _exact(chain: Chain, pairs: tuple[tuple[int, int], ...]) -> _Exact:
    return _Exact(chain, pairs)
