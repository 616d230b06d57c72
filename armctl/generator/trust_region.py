"""Where the inner control points of a path may go: a box around where they are, within the limits of the joints."""

from dataclasses import dataclass

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.paths import joint_range
from armctl.motion import spline
from armctl.motion.reference import Reference

MISFIT = 1e-3  # rad a path may lie off a motion that is to be improved


def path_of(reference: Reference, chain: Chain) -> np.ndarray:
    """Control points (C, n) rad of a motion that is a rest-to-rest spline. Raises UsageError for any other."""
    path, miss = spline.fitted(reference.q, *bounds(chain))
    if miss > MISFIT:
        raise UsageError(
            f"Reference {reference.name!r} is no rest-to-rest spline of {spline.CONTROL_POINTS} control points (missed "
            f"by {miss:.2g} rad); improve motions of a generator or of the corpus."
        )
    return path


def bounds(chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Limits (n,) of each joint, infinite for one that turns without end."""
    middle, half, bounded = joint_range(chain)
    return np.where(bounded, middle - half, -np.inf), np.where(bounded, middle + half, np.inf)


@dataclass(frozen=True, eq=False)
class Region:
    """Where the inner control points of paths may be: a box around each, within the limits.

    points: (B, C, n) the paths. low, high: (B, C - 6, n) the box, rad. radius: (n,) half its width, rad.
    """

    points: np.ndarray
    low: np.ndarray
    high: np.ndarray
    radius: np.ndarray

    @classmethod
    def around(cls, points: np.ndarray, chain: Chain, trust: float) -> "Region":
        """The box of `trust` times half of each joint's range around the inner control points of paths (B, C, n)."""
        radius, inner = trust * joint_range(chain)[1], points[:, spline.TIED : -spline.TIED]
        low, high = bounds(chain)
        return cls(points, np.maximum(inner - radius, low), np.minimum(inner + radius, high), radius)

    @property
    def inner(self) -> np.ndarray:
        """(B, C - 6, n) rad."""
        return self.points[:, spline.TIED : -spline.TIED]

    def moved(self, move: np.ndarray) -> np.ndarray:
        """Paths (B, C, n) whose inner control points have moved by `move` (B, C - 6, n) radii, as far as they may."""
        inner = np.clip(self.inner + move * self.radius, self.low, self.high)
        return spline.control_points(self.points[:, 0], self.points[:, -1], inner)
