"""Between robot paths and the vectors the flow learns.

A path is a rest-to-rest B-spline whose first and last control points are tied to start and goal. The flow sees the
inner ones only, as the residual from the minimum-jerk straight line in units of each joint's half range; its condition
is [start, goal, family one-hot, speed, whether it is known, difficulty, whether it is known]. Speed is eta, the share
of the limits that is used; difficulty is a percentile, of which `armctl.generator.difficulty` has more.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.motion.corpus import Corpus
from armctl.motion.sampling import check_eta
from armctl.motion.spline import TIED, control_points, squash, straight_inner
from armctl.typing import Array

EDGE = 0.999  # of a joint's half range: what a decoded control point never exceeds, whatever the rounding
KNEE = 0.97  # of EDGE: inside this a decoded control point is left exactly as it is


class Columns(NamedTuple):
    """Columns of the condition vector that are withheld together."""

    family: slice
    speed: slice
    difficulty: slice


@dataclasses.dataclass(frozen=True)
class PathCoder:
    """Encodes paths of one arm.

    middle, half: centre and half of each joint's range (rad or m); a continuous joint counts as [-pi, pi]. bounded:
    whether each joint has limits. families: of motions, in one-hot order. inner: number of free control points.
    """

    middle: tuple[float, ...]
    half: tuple[float, ...]
    bounded: tuple[bool, ...]
    families: tuple[str, ...]
    inner: int

    @classmethod
    def of(cls, chain: Chain, corpus: Corpus) -> "PathCoder":
        """The coder for the paths of a corpus of this arm."""
        middle, half, bounded = joint_range(chain)
        points = np.shape(corpus.control_points)[1]
        if points <= 2 * TIED:
            raise UsageError(f"The corpus has {points} control points per path; at least {2 * TIED + 1} are needed.")
        names = tuple(str(name) for name in corpus.families)
        return cls(tuple(middle.tolist()), tuple(half.tolist()), tuple(bounded.tolist()), names, points - 2 * TIED)

    def fits(self, chain: Chain) -> bool:
        """Whether an arm has the joints that this coder was made for."""
        middle, half, _ = joint_range(chain)
        return len(middle) == self.n and np.allclose([self.middle, self.half], [middle, half])

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.middle)

    @property
    def count(self) -> int:
        """Number of control points."""
        return self.inner + 2 * TIED

    @property
    def dimension(self) -> int:
        """Length of the vector that describes a path."""
        return self.inner * self.n

    @property
    def condition(self) -> int:
        """Length of the condition vector."""
        return self.columns.difficulty.stop

    @property
    def columns(self) -> Columns:
        """What stands where in the condition vector after start and goal."""
        speed = 2 * self.n + len(self.families)
        return Columns(slice(2 * self.n, speed), slice(speed, speed + 2), slice(speed + 2, speed + 4))

    def normalise(self, q: Array) -> Array:
        """Joint positions (..., n) to [-1, 1] within the limits."""
        return (q - np.asarray(self.middle)) / np.asarray(self.half)

    def denormalise(self, y: Array) -> Array:
        """Inverse of `normalise`."""
        return y * np.asarray(self.half) + np.asarray(self.middle)

    def encode(self, points: np.ndarray) -> np.ndarray:
        """Path vectors (..., D) of control points (..., count, n) in rad."""
        y = self.normalise(np.asarray(points, float))
        residual = y[..., TIED:-TIED, :] - straight_inner(y[..., 0, :], y[..., -1, :], self.count)
        return residual.reshape(*residual.shape[:-2], self.dimension).astype(np.float32)

    def decode(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """Control points (..., count, n) in rad, inside the limits, of path vectors x (..., D)."""
        start, goal = condition[..., : self.n], condition[..., self.n : 2 * self.n]
        edge = np.where(self.bounded, EDGE, np.inf)
        y = control_points(start, goal, squash(self.raw_inner(x, condition), -edge, edge, KNEE))
        return y * jnp.asarray(self.half, x.dtype) + jnp.asarray(self.middle, x.dtype)

    def raw_inner(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """Normalised inner control points (..., inner, n) before they are squashed into the limits."""
        start, goal = condition[..., : self.n], condition[..., self.n : 2 * self.n]
        return straight_inner(start, goal, self.count) + x.reshape(*x.shape[:-1], self.inner, self.n)

    def conditions(
        self,
        start: ArrayLike,
        goal: ArrayLike,
        family: str | np.ndarray | None = None,
        speed: float | np.ndarray | None = None,
        difficulty: float | np.ndarray | None = None,
    ) -> np.ndarray:
        """Condition vectors (..., C).

        start, goal: (..., n) rad. family: a name or integers (...) into `families`; speed: eta in (0, 1], a number or
        (...); difficulty: percentile in [0, 1], a number or (...); None leaves any open. Raises UsageError for an
        unknown family, a speed outside (0, 1] and a single one so small that motions would never end, and a difficulty
        outside [0, 1].
        """
        ends = np.concatenate([self.normalise(np.asarray(start)), self.normalise(np.asarray(goal))], axis=-1)
        shape = ends.shape[:-1]
        one_hot = np.zeros((*shape, len(self.families)))
        if family is not None:
            one_hot[...] = np.eye(len(self.families))[self._indices(family)]
        fast, hard = np.zeros((*shape, 2)), np.zeros((*shape, 2))
        if speed is not None:
            outside = np.extract(~((np.asarray(speed) > 0) & (np.asarray(speed) <= 1)), speed)
            if np.ndim(speed) == 0 or outside.size:  # demonstrations may be slower than what makes sense to ask for
                check_eta(float(outside[0] if outside.size else speed))
            fast[..., 0], fast[..., 1] = speed, 1.0
        if difficulty is not None:
            check_percentile(difficulty)
            hard[..., 0], hard[..., 1] = difficulty, 1.0
        return np.concatenate([ends, one_hot, fast, hard], axis=-1).astype(np.float32)

    def dataset(
        self, corpus: Corpus, split: str, difficulty: np.ndarray | None = None, *, reversal: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Path vectors (N, D) and conditions (N, C) of one split, each path also backwards if `reversal`.

        difficulty: percentile in [0, 1] of every member of the corpus, unknown where None.
        """
        here = corpus.in_split(split)
        part, hard = corpus.take(here), None if difficulty is None else np.asarray(difficulty)[here]
        points, family, eta = part.control_points, part.family, part.eta
        if reversal:
            points = np.concatenate([points, points[:, ::-1]])
            family, eta, hard = np.tile(family, 2), np.tile(eta, 2), None if hard is None else np.tile(hard, 2)
        return self.encode(points), self.conditions(points[:, 0], points[:, -1], family, eta, hard)

    def _indices(self, family: str | np.ndarray) -> int | np.ndarray:
        return self.index(family) if isinstance(family, str) else np.asarray(family, int)

    def index(self, family: str) -> int:
        """Place of a family in `families`. Raises UsageError, listing them, for an unknown one."""
        if family not in self.families:
            raise UsageError(f"Unknown motion family {family!r}; choose one of {', '.join(self.families)}.")
        return self.families.index(family)


def check_percentile(difficulty: float | np.ndarray) -> None:
    """Raise UsageError unless every difficulty lies in [0, 1]."""
    outside = np.extract(~((np.asarray(difficulty) >= 0) & (np.asarray(difficulty) <= 1)), difficulty)
    if outside.size:
        raise UsageError(
            f"difficulty is {outside[0]:g}, outside [0, 1]; it is the percentile of the error that controllers are "
            "expected to make, 1 the hardest. How fast motions are is their speed."
        )


def joint_range(chain: Chain) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre and half of each joint's range (n,), and whether it has limits (n,); without them it is [-pi, pi]."""
    lower, upper = joint_box(chain, 0.0)
    return (upper + lower) / 2, (upper - lower) / 2, np.isfinite(chain.lower) & np.isfinite(chain.upper)
