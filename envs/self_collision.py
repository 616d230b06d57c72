"""Exact self-collision check in a few microseconds: pairs of links that cannot have met yet are not looked at."""

from functools import lru_cache

import numpy as np

from armctl.envs.arm_body import ArmBody
from armctl.motion.sampling import joint_box
from armctl.urdf import Chain, spheres

REACH = 2.0
"""Distances are measured up to here, m: the farther a pair is known to be apart, the later it is looked at again."""
SAMPLES, MARGIN = 400, 0.03
"""A pair that stays farther apart than MARGIN (m) in so many random configurations never meets."""


class SelfCollision:
    """Says whether an arm touches itself.

    A pair of links at clearance d, last measured at configuration q0, cannot touch at q while the levers times
    |q - q0| of the joints between them stay below d; only then is the distance measured again (conservative
    advancement). Left out are pairs of neighbouring links, pairs whose shapes touch at the home configuration, and
    pairs that never come near one another in random configurations.
    """

    def __init__(self, body: ArmBody):
        """body: loaded with collision shapes; it is moved about by the checks."""
        self._body = body
        self._pairs, self._levers = collision_pairs(body.chain)
        self._clearance = np.full(len(self._pairs), -1.0)
        self._where = np.zeros_like(self._levers)
        self(body.chain.home)
        self._home = self._clearance.copy()

    def reset(self) -> None:
        """Start from what is known of the home configuration, where most episodes begin."""
        self._clearance[:], self._where[:] = self._home, self._body.chain.home

    def __call__(self, q: np.ndarray) -> bool:
        """Whether the arm touches itself at q (n,) rad."""
        near = (np.vecdot(np.abs(q - self._where), self._levers) >= self._clearance).tolist()
        if True not in near:
            return False
        self._body.place(q)
        hit = False
        for k in (k for k, doubt in enumerate(near) if doubt):
            distance = self._body.distance(*self._pairs[k], REACH)
            hit |= distance <= 0
            self._clearance[k] = distance
            self._where[k] = q
        return hit


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
    body.close()
    pairs = [pair for pair, distance in zip(pairs, closest, strict=True) if distance < MARGIN]
    return pairs, np.array([_levers(chain, *pair) for pair in pairs]).reshape(-1, chain.n)


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
