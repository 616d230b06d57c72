"""Exact self-collision check at a few microseconds a step: pairs of links that cannot have met yet are not looked at."""

import numpy as np

from armctl.envs.arm_body import ArmBody
from armctl.urdf import Chain, spheres

REACH = 0.3
"""Distances are measured up to here, m."""


class SelfCollision:
    """Says whether an arm touches itself.

    A pair of links at clearance d, last measured at configuration q0, cannot touch at q while the levers times
    |q - q0| of the joints between them stay below d; only then is the distance measured again. Pairs of neighbouring
    links, and pairs whose shapes already touch at the home configuration, are left out.
    """

    def __init__(self, body: ArmBody):
        """body: at its home configuration."""
        chain, shaped = body.chain, {s.link for s in body.chain.shapes if s.role == "collision"}
        pairs = [(i, j) for i in range(-1, chain.n) for j in range(i + 2, chain.n) if {i, j} <= shaped]
        self._pairs = [pair for pair in pairs if body.distance(*pair, REACH) > 0]
        self._levers = np.array([_levers(chain, *pair) for pair in self._pairs]).reshape(-1, chain.n)
        self._clearance = np.full(len(self._pairs), -1.0)
        self._where = np.zeros_like(self._levers)

    def __call__(self, body: ArmBody, q: np.ndarray) -> bool:
        """Whether the body, standing at q (n,), touches itself."""
        moved = (self._levers * np.abs(q - self._where)).sum(axis=1)
        hit = False
        for k in np.flatnonzero(moved >= self._clearance).tolist():
            distance = body.distance(*self._pairs[k], REACH)
            hit |= distance <= 0
            self._clearance[k] = distance
            self._where[k] = q
        return hit


def _levers(chain: Chain, base: int, link: int) -> np.ndarray:
    """Upper bounds (n,) on how far any point of `link` moves relative to `base` per unit of each joint, m."""
    owner, center, radius = spheres(chain)
    own = np.array(owner) == link
    reach = float(np.max(np.linalg.norm(center[own], axis=-1) + radius[own]))
    levers = np.zeros(chain.n)
    for joint in range(link, base, -1):
        sliding = chain.joint_types[joint] == "prismatic"
        if sliding:
            reach += float(np.max(np.abs([chain.lower[joint], chain.upper[joint]])))
        levers[joint] = 1.0 if sliding else reach
        reach += float(np.linalg.norm(chain.T_parent_joint[joint, :3, 3]))
    return levers
