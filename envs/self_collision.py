"""Exact self-collision check in a few microseconds: links that cannot have met yet are not looked at."""

from functools import lru_cache

import numpy as np

from armctl.envs.arm_body import ArmBody
from armctl.motion.sampling import joint_box
from armctl.urdf import Chain, spheres

REACH = 2.0
"""Distances are measured up to here, m: the farther a pair is known to be apart, the later it is measured again."""
CONTACT = 1e-9
"""What is nearer than this touches, m."""
SOON = 0.5
"""Once a pair must be measured, so are all that may have used up so much of their clearance."""
SAMPLES, MARGIN = 400, 0.03
"""A pair that stays farther apart than MARGIN (m) in so many random configurations never meets."""
PROOF, SLACK = 300, 1e-3
"""Boxes of configurations looked at to prove that a pair never meets, and by how much it must be clear of it, m."""


class SelfCollision:
    """Says whether an arm touches itself.

    A pair of links that was at least d apart at configuration q0 and whose levers are a cannot touch while
    sum_j a_j |q_j - q0_j| < d; only when that fails for a pair are distances measured again (conservative advancement).
    The first measurement after a physics step is dear, so those that will be due soon are measured with it; of the
    others the bound is carried on. Left out are pairs of neighbouring links, pairs whose shapes touch at the home
    configuration, and pairs that never meet within the joint limits.
    """

    def __init__(self, body: ArmBody):
        """body: loaded with collision shapes; it is moved about by the checks."""
        self._body, home = body, body.chain.home
        self._pairs, self._levers = collision_pairs(body.chain)
        nothing = [-1.0] * len(self._pairs)
        self._home = self._know(home, nothing, nothing)
        self.reset()

    def reset(self) -> None:
        """Start from what is known of the home configuration, where most episodes begin."""
        self._where, self._clearance, self._measured, self._rates, self._touching = self._home

    def __call__(self, q: np.ndarray) -> bool:
        """Whether the arm touches itself at q (n,) rad."""
        moved = np.abs(q - self._where)
        if max(self._rates.dot(moved).tolist(), default=0.0) >= 1 and not self._still_touches(q):
            known = self._know(q, (np.array(self._clearance) - self._levers.dot(moved)).tolist(), self._measured)
            self._where, self._clearance, self._measured, self._rates, self._touching = known
        return self._touching is not None

    def _still_touches(self, q: np.ndarray) -> bool:
        """Whether the pair that touched, if one did, touches at q (n,) too: then no other need be looked at."""
        if self._touching is None:
            return False
        self._body.place(q)
        return self._body.distance(*self._pairs[self._touching], REACH) <= CONTACT

    def _know(self, q: np.ndarray, clearance: list[float], measured: list[float]) -> tuple:
        """What is known at q (n,), from lower bounds of the k clearances there and the values last measured, m.

        Returns a copy of q, both anew, the share of its clearance each pair may lose per unit of each joint (k, n), and
        the number of a pair that touches, or None.
        """
        self._body.place(q)
        clearance, measured = clearance.copy(), measured.copy()
        for k, (left, last) in enumerate(zip(clearance, measured, strict=True)):
            if left <= SOON * last:
                clearance[k] = measured[k] = self._body.distance(*self._pairs[k], REACH)
        closest = min(clearance, default=REACH)
        rates = self._levers / np.maximum(clearance, CONTACT)[:, None]
        return q.copy(), clearance, measured, rates, clearance.index(closest) if closest <= CONTACT else None


@lru_cache(maxsize=32)
def collision_pairs(chain: Chain) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Pairs of links (-1 = base) that may meet, and their levers (pairs, n)."""
    shaped = {s.link for s in chain.shapes if s.role == "collision"}
    pairs = [(i, j) for i in range(-1, chain.n) for j in range(i + 2, chain.n) if {i, j} <= shaped]
    body = ArmBody(chain, collisions=True)
    pairs = [pair for pair in pairs if body.distance(*pair, REACH) > 0]
    closest = np.full(len(pairs), REACH)
    lower, upper = joint_box(chain, 0.0)
    for q in np.random.default_rng(0).uniform(lower, upper, (SAMPLES, chain.n)):
        body.place(q)
        closest = np.minimum(closest, [body.distance(*pair, REACH) for pair in pairs])
    pairs = [pair for pair, distance in zip(pairs, closest, strict=True) if distance < MARGIN]
    pairs = [pair for pair in pairs if not _never_meet(body, pair, _levers(chain, *pair), (lower, upper))]
    body.close()
    return pairs, np.array([_levers(chain, *pair) for pair in pairs]).reshape(-1, chain.n)


def _never_meet(body: ArmBody, pair: tuple[int, int], levers: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether it is proven, by halving the box of joint positions (n,), (n,) time and again, that two links never meet.

    Within a box the distance is that at its middle at least, less the levers times half its widths.
    """
    boxes = [box]
    for _ in range(PROOF):
        if not boxes:
            return True
        lower, upper = boxes.pop()
        middle, change = (lower + upper) / 2, levers * (upper - lower) / 2
        body.place(middle)
        distance = body.distance(*pair, REACH)
        if distance <= SLACK:
            return False
        if distance <= np.sum(change) + SLACK:
            cut = np.arange(len(levers)) == np.argmax(change)
            boxes += [(lower, np.where(cut, middle, upper)), (np.where(cut, middle, lower), upper)]
    return False


def _levers(chain: Chain, base: int, link: int) -> np.ndarray:
    """Upper bounds (n,) on how much the distance of two links changes per unit of each joint between them, m.

    A joint turns one link about its axis as seen from the other, so that the distance changes by no more than the
    angle times the farthest reach from the axis, of either link: the smaller reach counts.
    """
    owner, center, radius = spheres(chain)
    ends = []
    for own, joints in ((link, range(link, base, -1)), (base, range(base + 1, link + 1))):
        mine = np.array(owner) == own
        points = center[mine] if own == link else _into(chain, base + 1, center[mine])
        ends.append(_reaches(chain, joints, points, radius[mine]))
    return np.minimum(*ends)


def _reaches(chain: Chain, joints: range, center, radius) -> np.ndarray:
    """How far spheres reach from the axis of each of the joints (n,), m, or 1 for a sliding joint, whatever the others.

    joints: one after the other, beginning at the link of the spheres; center (S, 3) m in the frame of the first.
    """
    levers = np.zeros(chain.n)
    for joint in joints:
        if chain.joint_types[joint] == "prismatic":
            levers[joint] = 1.0
            radius = radius + max(abs(chain.lower[joint]), abs(chain.upper[joint]))
        else:  # a sphere that turns about the z axis stays within a larger one centred on that axis
            radius = radius + np.linalg.norm(center[:, :2], axis=-1)
            center = center * [0.0, 0.0, 1.0]
            levers[joint] = np.max(radius)
        if joint != joints[-1]:
            center = _into(chain, joint + 1, center) if joints.step > 0 else _out_of(chain, joint, center)
    return levers


def _into(chain: Chain, joint: int, points) -> np.ndarray:
    """Points (S, 3) of the frame before a joint, in the joint's own at angle 0."""
    T = chain.T_parent_joint[joint]
    return (points - T[:3, 3]) @ T[:3, :3]


def _out_of(chain: Chain, joint: int, points) -> np.ndarray:
    """The inverse of `_into`."""
    T = chain.T_parent_joint[joint]
    return points @ T[:3, :3].T + T[:3, 3]
