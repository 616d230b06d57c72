"""Do two samples come from one distribution? Kernel and energy statistics with exact permutation p-values."""

import numpy as np


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M) between rows of x (N, D) and y (M, D)."""
    squared = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    return np.sqrt(np.maximum(squared, 0.0))


def energy_distance(x: np.ndarray, y: np.ndarray, *, permutations: int = 200, seed: int = 0) -> tuple[float, float]:
    """Energy distance of x (N, D) and y (M, D), and its permutation p-value (Szekely & Rizzo 2013).

    -> 2 E|X-Y| - E|X-X'| - E|Y-Y'| (unbiased, so it may be slightly negative), and p in (0, 1].
    """
    pooled = np.concatenate([x, y])
    return _permutation_test(-distances(pooled, pooled), len(x), permutations, seed)


def mmd(x: np.ndarray, y: np.ndarray, *, permutations: int = 200, seed: int = 0) -> tuple[float, float]:
    """Squared maximum mean discrepancy of x (N, D) and y (M, D) with its permutation p-value (Gretton et al. 2012).

    The kernel is Gaussian; its width is the median distance of the pooled sample.
    """
    pooled = np.concatenate([x, y])
    d = distances(pooled, pooled)
    width = np.median(d[np.triu_indices(len(d), 1)])
    return _permutation_test(np.exp(-(d**2) / (2 * width**2 + 1e-12)), len(x), permutations, seed)


def _permutation_test(kernel: np.ndarray, n: int, permutations: int, seed: int) -> tuple[float, float]:
    """Unbiased discrepancy of the first n rows against the rest, and how often a random relabelling exceeds it."""
    rng = np.random.default_rng(seed)
    total = len(kernel)
    first = np.zeros((permutations + 1, total))
    first[0, :n] = 1
    for row in first[1:]:
        row[rng.permutation(total)[:n]] = 1
    kernel = kernel - np.diag(np.diag(kernel))
    m = total - n
    xx = np.einsum("pi,pi->p", first @ kernel, first)
    xy = np.einsum("pi,pi->p", first @ kernel, 1 - first)
    yy = kernel.sum() - xx - 2 * xy
    statistic = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    return float(statistic[0]), float((1 + np.sum(statistic[1:] >= statistic[0])) / (permutations + 1))
