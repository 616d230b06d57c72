"""Exact self-collision check in a few microseconds: links that cannot have met yet are not looked at."""

from collections.abc import Sequence
from functools import lru_cache
from math import dist, inf, isfinite
from operator import mul, sub, truediv
from typing import NamedTuple

import numpy as np

from armctl.chain import Chain, joint_box, link_pairs
from armctl.envs.bullet.approach import BEYOND, levers
from armctl.envs.bullet.body import ArmBody

REACH = 2.0
"""Distances are measured up to here, m: the farther a pair is known to be apart, the later it is measured again."""
CONTACT = 1e-9
"""What is nearer than this touches, m."""
NOISE = 1e-4
"""Bullet's distances are taken to be wrong by so much, m."""
SOON = 0.5
"""Once a pair must be measured, so are all that may have used up so much of their clearance."""
WIDER = 1.2
"""Factor by which the free way of a joint is widened from proof to proof."""
SAMPLES = 400
"""Random configurations; a pair that meets in one of them need not be tried further."""
PROOF, SLACK = 10_000, 1e-3
"""Boxes of configurations looked at to prove that a pair never meets, and by how much it must be clear of it, m."""


class Known(NamedTuple):
    """What is known of the k pairs of links around a configuration `where`, n plain numbers.

    clearance: lower bounds of the k distances there, m; measured: the distances when last measured, m. radius, rates:
    no pair can have met while the joints have moved by less than `radius` in the Euclidean norm, or by less than 1 in
    all together, each times its number in a row of `rates`. touching: the number of a pair that touches, or None.
    """

    where: Sequence[float]
    clearance: list[float]
    measured: list[float]
    radius: float
    rates: list[list[float]]
    touching: int | None


class SelfCollision:
    """Says whether an arm touches itself.

    A pair of links that was at least d apart at configuration q0 and whose levers are a cannot touch while
    sum_j a_j |q_j - q0_j| < d; only when that fails for a pair are distances measured again (conservative advancement).
    The first measurement after a physics step is dear, so those that will be due soon are measured with it; of the
    others the bound is carried on. Left out are pairs of neighbouring links, pairs whose shapes touch at the home
    configuration, and pairs proven never to meet, also somewhat beyond the joint limits.
    """

    def __init__(self, body: ArmBody) -> None:
        """body: loaded with collision shapes; it is moved about by the checks."""
        self._body, home = body, body.chain.home
        self._pairs, self._levers = collision_pairs(body.chain)
        self._lengths = np.maximum(np.linalg.norm(self._levers, axis=1), 1e-12).tolist()
        links = [first for first, _ in self._pairs]  # in order
        self._first = [k for k, link in enumerate(links) if link not in links[:k]]
        nothing = [0.0] * len(links)
        at_home = self._know(home.tolist(), nothing, nothing)
        free = [_free_way(body, *way) for way in zip(self._pairs, self._levers, at_home.clearance, strict=True)]
        self._home = self._know(home.tolist(), free, at_home.measured)
        self.reset()

    def reset(self) -> None:
        """Start from what is known of the home configuration, where most episodes begin."""
        self._learn(self._home)

    def _learn(self, known: Known) -> None:
        self._known, self._center, self._radius = known, known.where, known.radius

    def touches(self, q: Sequence[float]) -> bool:
        """Whether the arm touches itself at q, n plain numbers, rad."""
        if dist(q, self._center) >= self._radius:
            self._look_closer(q)
        return self._known.touching is not None

    def _look_closer(self, q: Sequence[float]) -> None:
        """Find out what is known at q, outside the ball of joint positions within which nothing can have happened."""
        where, clearance, measured, radius, rates, touching = self._known
        q = tuple(q)  # kept, and must not change with the caller's
        moved = list(map(abs, map(sub, q, where)))  # plain numbers: between two physics steps NumPy's calls cost more
        if not isfinite(sum(moved)):  # of an arm that has blown up nothing can be learnt
            return
        used = max([sum(map(mul, row, moved)) for row in rates], default=0.0)
        if used < 1:
            self._center, self._radius = q, (1 - used) * radius
            return
        if touching is not None:  # if it still does, no other pair need be looked at
            self._body.place(q)
            if self._body.distance(*self._pairs[touching], REACH) <= CONTACT:
                return
        self._learn(self._know(q, (clearance - self._levers.dot(moved)).tolist(), measured))

    def _know(self, q: Sequence[float], clearance: list[float], measured: list[float]) -> Known:
        """What is known at q, from lower bounds of the k distances there and the distances last measured, m."""
        self._body.place(q)
        clearance, measured = clearance.copy(), measured.copy()
        for k, (left, last) in enumerate(zip(clearance, measured, strict=True)):
            if left <= max(SOON * last, CONTACT):
                measured[k] = self._body.distance(*self._pairs[k], REACH)
                clearance[k] = max(measured[k] - NOISE, CONTACT)
        radius = min(map(truediv, clearance, self._lengths), default=inf)
        closest = min(measured, default=inf)
        touching = measured.index(closest) if closest <= CONTACT else None
        rates: list[list[float]] = []
        if self._pairs:  # one row for all pairs of the same first link: a little too strict, but fewer sums to make
            rates = np.maximum.reduceat(self._levers / np.array(clearance)[:, None], self._first).tolist()
        return Known(q, clearance, measured, radius, rates, touching)


def apart_at_home(body: ArmBody) -> list[tuple[int, int]]:
    """Watched pairs of links that do not touch at the home configuration, where the body then is."""
    body.place(body.chain.home)
    return [pair for pair in link_pairs(body.chain) if body.distance(*pair, REACH) > 0]


@lru_cache(maxsize=32)
def collision_pairs(chain: Chain) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Pairs of links (-1 = base) that may meet, and their levers (pairs, n)."""
    body = ArmBody(chain, collisions=True)
    pairs = apart_at_home(body)
    lower, upper = joint_box(chain, 0.0)
    box = lower - BEYOND, upper + BEYOND
    met: set[tuple[int, int]] = set()
    for q in np.random.default_rng(0).uniform(*box, (SAMPLES, chain.n)):
        body.place(q)
        met |= {pair for pair in pairs if pair not in met and body.distance(*pair, SLACK) < SLACK}
    pairs = [pair for pair in pairs if pair in met or not _never_meet(body, pair, levers(chain, *pair), box)]
    body.close()
    return pairs, np.array([levers(chain, *pair) for pair in pairs]).reshape(-1, chain.n)


def _never_meet(body: ArmBody, pair: tuple[int, int], lever: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether it is proven, by halving the box of joint positions (n,), (n,) time and again, that two links never meet.

    Within a box the distance is that at its middle at least, less the levers times half its widths.
    """
    boxes = [box]
    for _ in range(PROOF):
        if not boxes:
            return True
        lower, upper = boxes.pop()
        middle, change = (lower + upper) / 2, lever * (upper - lower) / 2
        body.place(middle)
        distance = body.distance(*pair, REACH)
        if distance <= SLACK:
            return False
        if distance <= np.sum(change) + SLACK:
            cut = np.arange(len(lever)) == np.argmax(change)
            boxes += [(lower, np.where(cut, middle, upper)), (np.where(cut, middle, lower), upper)]
    return False


def _free_way(body: ArmBody, pair: tuple[int, int], lever: np.ndarray, clearance: float) -> float:
    """The clearance of a pair at home, m, or more if a single joint moves it and more is proven free.

    Links of a wrist are such pairs: near one another at home and ever after, they would be measured again and again.
    """
    home, turning = body.chain.home, lever > 0
    while np.sum(turning) == 1 and clearance < REACH:
        turn = np.where(turning, WIDER * clearance / np.where(turning, lever, 1.0), 0.0)
        if not _never_meet(body, pair, lever, (home - turn, home + turn)):
            break
        clearance *= WIDER
    return clearance
