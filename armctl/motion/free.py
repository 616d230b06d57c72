"""Which configurations are free of collisions: by covering spheres, and by exact shapes where spheres cannot tell.

Spheres around two links may overlap at home although the links are apart there (a plate over a wrist). Such spheres
would always report a hit; the shapes of their links are compared instead, in PyBullet.
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
    return _exact(chain).apart(q) if len(q) and _doubtful(chain) else np.ones(len(q), bool)


@lru_cache(maxsize=32)
def _doubtful(chain: Chain) -> list[tuple[int, int]]:
    """Pairs of links (-1 = base) that spheres do not judge and that are apart at home but may meet."""
    blind = blind_pairs(chain)
    return [pair for pair in collision_pairs(chain)[0] if pair in blind] if blind else []


class _Exact:
    """The doubtful pairs of an arm in a PyBullet world, which threads use one after the other."""

    def __init__(self, chain: Chain) -> None:
        self._body, self._lock = ArmBody(chain, collisions=True), Lock()
        pairs = _doubtful(chain)  # at home, where the body is, they may be closer than the margin
        self._pairs = [(pair, min(MARGIN, self._body.distance(*pair, REACH) / 2)) for pair in pairs]

    def apart(self, q: np.ndarray) -> np.ndarray:
        """Whether every pair keeps its margin at q (K, n) -> (K,)."""
        with self._lock:
            return np.array([self._apart(row) for row in q.tolist()], bool)

    def _apart(self, q: list[float]) -> bool:
        self._body.place(q)
        return all(self._body.distance(*pair, margin) >= margin for pair, margin in self._pairs)


@lru_cache(maxsize=4)
def _exact(chain: Chain) -> _Exact:
    return _Exact(chain)
