"""Chain: one serial arm as plain NumPy arrays, with the shapes it is made of; knows no file format."""

from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT_SLACK = 0.01
"""How far a measured joint may be beyond its limit, rad or m: sensor error."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One primitive or mesh riding on a link of the chain.

    link: index of the moving link, -1 = base. role: "visual" or "collision".
    kind and size [m]: sphere (r,), box (x, y, z) extents, cylinder and capsule (r, length), mesh (sx, sy, sz) scale.
    T_link_shape (4, 4): pose in the link frame; cylinders and capsules lie along their z. rgba: colour or None.
    filename: absolute path of a mesh, else "".
    """

    link: int
    role: str
    kind: str
    size: tuple[float, ...]
    T_link_shape: np.ndarray
    rgba: tuple[float, ...] | None = None
    filename: str = ""


@dataclass(frozen=True, eq=False)
class Chain:
    """A serial arm of n joints; link i moves with joint i and its frame has z along the joint axis.

    name, source: robot name; absolute path of the file. base, tip: root link; link whose frame is the tip.
    joint_names, joint_types: n each; a type is "revolute", "continuous" or "prismatic".
    T_parent_joint (n, 4, 4): pose of link frame i in link frame i-1 (base for i = 0) at q = 0. T_last_tip (4, 4).
    mass (n,) [kg]; com (n, 3) [m] in the link frame; inertia (n, 3, 3) [kg m2] about the com in link axes.
    damping, friction (n,): [N m s/rad], [N m] ([N s/m], [N] for prismatic joints).
    lower, upper, home (n,) [rad or m]; velocity, acceleration, jerk (n,) [per s, s2, s3]; effort (n,) [N m or N].
    Continuous joints have lower = -inf and upper = +inf. shapes: geometry in link frames. notes: what was lumped,
    frozen, defaulted or repaired, one sentence each. unmeasured: links with collision geometry that could not be
    measured and is left out, so that nothing vouches for motions of this arm. Arrays are read-only.
    """

    name: str
    source: str
    base: str
    tip: str
    joint_names: tuple[str, ...]
    joint_types: tuple[str, ...]
    T_parent_joint: np.ndarray
    T_last_tip: np.ndarray
    mass: np.ndarray
    com: np.ndarray
    inertia: np.ndarray
    damping: np.ndarray
    friction: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    effort: np.ndarray
    home: np.ndarray
    shapes: tuple[Shape, ...]
    notes: tuple[str, ...]
    unmeasured: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Chains are cached and shared, so a caller must not be able to change one in place.
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Chain":
        """Itself: it never changes, and what is known of it is kept by identity."""
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joint_names)


def link_pairs(chain: Chain) -> list[tuple[int, int]]:
    """Pairs of links (-1 = base) whose contact is watched: both have collision shapes and they are not neighbours."""
    shaped = {shape.link for shape in chain.shapes if shape.role == "collision"}
    return [(i, j) for i in range(-1, chain.n) for j in range(i + 2, chain.n) if {i, j} <= shaped]


def joint_box(chain: Chain, margin: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (n,), (n,) rad that keep `margin` of each joint's range from either limit; +-pi for a continuous joint."""
    bounded = np.isfinite(chain.lower) & np.isfinite(chain.upper)
    lower, upper = np.where(bounded, chain.lower, -np.pi), np.where(bounded, chain.upper, np.pi)
    return lower + margin * (upper - lower), upper - margin * (upper - lower)


def unwrapped(chain: Chain, times: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Joint samples q (K, n) rad at times (K,) s without the jumps by a turn of sensors that count from -pi to pi.

    Of joints that can turn all the way; a jump is one of more than half a turn that is faster than the joint, or nearly
    a whole turn. What a joint with limits would leave them by is left as it is.
    """
    turn = 2 * np.pi
    whole = (np.array(chain.joint_types) != "prismatic") & (chain.upper - chain.lower >= turn)
    steps = np.diff(q, axis=0)
    fast = np.abs(steps) > chain.velocity * np.diff(times)[:, None]
    jumps = whole & (np.abs(steps) > np.pi) & (fast | (np.abs(steps) > turn - 1))
    turns = np.where(jumps, np.round(steps / turn), 0.0)
    found = q - turn * np.concatenate([np.zeros((1, q.shape[1])), np.cumsum(turns, axis=0)])
    inside = ((found >= chain.lower - LIMIT_SLACK) & (found <= chain.upper + LIMIT_SLACK)).all(axis=0)
    return np.where(inside, found, q)
