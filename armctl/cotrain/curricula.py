"""What makes a motion worth training on: the curricula that compete, as scores or weights of measured motions.

Steering by regret, as by the others, is one number per motion. How numbers become proposals is the same for all.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from armctl.motion.reference import Reference

LADDER = (50.0, 10.0, 5.0, 1.0, 0.5, 0.2, 0.1)
"""Success is an error below so many mm; the first four as in the bench, the others because trackers are that good."""
LEAST = 1e-6  # m; a score is no less, since its logarithm is learned
SPEEDS = (0.0, 0.5, 0.75, 1.0)
"""Edges of the bins of speed."""
EVEN = 0.1
"""Share of the probability that failure bins spread evenly."""


class Measured(NamedTuple):
    """Errors on N motions, each on K plants."""

    motions: Sequence[Reference]
    error: np.ndarray  # (N, K) m, the tracker's
    oracle: np.ndarray  # (N, K) m

    @property
    def regret(self) -> np.ndarray:
        """(N,) m, mean over the plants of what the oracle, on the same plant and motion, does better."""
        return np.mean(self.error - self.oracle, axis=1)


Score = Callable[[Measured], np.ndarray]
"""Higher, (N,) and positive, is to be proposed more."""


def regret(measured: Measured) -> np.ndarray:
    """Regret (N,) m to the oracle."""
    return np.maximum(measured.regret, LEAST)


def hardest(measured: Measured) -> np.ndarray:
    """The error itself (N,) m, whatever an oracle could do."""
    return np.maximum(measured.error.mean(axis=1), LEAST)


def learnability(measured: Measured) -> np.ndarray:
    """Mean over the ladder of p (1 - p), (N,), p the share of plants on which the motion succeeds (2408.15099).

    With K plants p is known in steps of 1 / K only; a hundredth keeps what is always or never solved comparable.
    """
    solved = measured.error[..., None] < 1e-3 * np.array(LADDER)
    p = solved.mean(axis=1)
    return np.mean(p * (1 - p), axis=-1) + 0.01


SCORES: dict[str, Score] = {"regret": regret, "hardest": hardest, "learnability": learnability}
"""Curricula that ask the flow for a percentile of a score."""
CURRICULA = ("regret", "uniform", "corpus", "failure_bins", "learnability", "hardest")


def bins(motions: Sequence[Reference]) -> np.ndarray:
    """Bin (N,) of family and speed that each motion falls into."""
    families = sorted({str(motion.meta["family"]) for motion in motions})
    family = np.array([families.index(str(motion.meta["family"])) for motion in motions])
    speed = np.digitize([motion.meta["eta"] for motion in motions], SPEEDS[1:-1])
    return family * (len(SPEEDS) - 1) + speed


def failure_weights(measured: Measured, motions: Sequence[Reference]) -> np.ndarray:
    """Probabilities (M,) of motions by how often those of their bin failed, a tenth spread evenly over the bins.

    A failure is an error above the median of all that were measured: what the lowest rungs of a fixed ladder would call
    one happens always or never. A bin that was not measured counts as average.
    """
    both = bins([*measured.motions, *motions])
    known, new = both[: len(measured.motions)], both[len(measured.motions) :]
    error = measured.error.mean(axis=1)
    failed = error > np.median(error)
    rate = {b: failed[known == b].mean() if (known == b).any() else failed.mean() for b in np.unique(both)}
    present, counts = np.unique(new, return_counts=True)
    share = np.array([rate[b] for b in present])
    share = share / share.sum() if share.sum() > 0 else np.full(len(present), 1 / len(present))
    share = EVEN / len(present) + (1 - EVEN) * share
    return (share / counts)[np.searchsorted(present, new)]
