"""Statistics over paired episodes: robust means, bootstrap intervals, profiles and comparisons.

The interquartile mean with stratified bootstrap intervals follows Agarwal et al. 2021, "Deep RL at the edge of the
statistical precipice". Everything is seeded: the same values give the same interval.
"""

from collections.abc import Callable, Sequence

import numpy as np

SAMPLES, SEED, LEVEL = 2000, 0, 0.95
Statistic = Callable[[np.ndarray], np.ndarray]
Strata = Sequence[str] | np.ndarray


def iqm(values: np.ndarray) -> np.ndarray:
    """The interquartile mean over the last axis, (...), of values (..., N); NaN where N = 0.

    The mean of the middle half; where N is no multiple of four the border values count fractionally.
    """
    count = values.shape[-1]
    if count == 0:
        return np.full(values.shape[:-1], np.nan)
    edges = np.arange(count + 1) / count
    weight = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0, None)
    return np.sort(values, axis=-1) @ (weight / weight.sum())


def cvar(values: np.ndarray, share: float = 0.1) -> np.ndarray:
    """The mean of the worst (largest) `share` of the values over the last axis, (...), of values (..., N)."""
    worst = max(1, int(np.ceil(share * values.shape[-1])))
    return np.sort(values, axis=-1)[..., -worst:].mean(axis=-1)


def resample(strata: Strata, samples: int = SAMPLES, seed: int = SEED) -> np.ndarray:
    """Bootstrap indices (samples, N) that draw with replacement inside each stratum of N labels."""
    labels = np.unique(np.asarray(strata), return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    columns = np.empty((samples, len(labels)), dtype=np.int64)
    for label in range(labels.max(initial=-1) + 1):
        members = np.flatnonzero(labels == label)
        columns[:, members] = members[rng.integers(len(members), size=(samples, len(members)))]
    return columns


def interval(
    values: np.ndarray,
    strata: Strata | None = None,
    statistic: Statistic = iqm,
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, float]:
    """A statistic of the finite values (N,) with its stratified percentile-bootstrap interval.

    strata: N labels; episodes are resampled inside their stratum (default: one stratum). statistic: (..., N) -> (...).
    -> {"iqm" or the statistic's name, "low", "high", "count"} in the unit of the values; NaN where none is finite.
    """
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    labels = np.zeros(len(values)) if strata is None else np.asarray(strata)
    values, labels = values[finite], labels[finite]
    name = statistic.__name__
    if not len(values):
        return {name: np.nan, "low": np.nan, "high": np.nan, "count": 0}
    spread = statistic(values[resample(labels, samples, seed)])
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return {name: float(statistic(values)), "low": float(low), "high": float(high), "count": len(values)}


def performance_profile(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of episodes with value ≤ threshold, (..., K), for values (..., N) and thresholds (K,)."""
    return np.mean(values[..., None, :] <= thresholds[:, None], axis=-1)


def profile_band(
    values: np.ndarray, thresholds: np.ndarray, strata: Strata | None = None, samples: int = 500
) -> tuple[np.ndarray, np.ndarray]:
    """The pointwise 95 % bootstrap band (low, high), each (K,), of `performance_profile`."""
    index = resample(np.zeros(len(values)) if strata is None else strata, samples)
    below = (values[:, None] <= thresholds).astype(np.float32)
    spread = np.stack([below[row].mean(axis=0) for row in index])
    low, high = np.quantile(spread, [0.025, 0.975], axis=0)
    return low, high


def probability_of_improvement(a: np.ndarray, b: np.ndarray, strata: Strata | None = None) -> dict[str, float]:
    """The share of paired episodes in which a (N,) is lower than b (N,), with its interval; ties count half."""
    wins = np.where(a < b, 1.0, np.where(a == b, 0.5, 0.0))
    found = interval(wins, strata, _mean)
    return {"probability": found["_mean"], "low": found["low"], "high": found["high"]}


def paired_difference(a: np.ndarray, b: np.ndarray, strata: Strata | None = None) -> dict[str, float]:
    """The interquartile mean of a − b over paired episodes (N,) with its interval, in the unit of the values."""
    return interval(np.asarray(a) - np.asarray(b), strata)


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)
