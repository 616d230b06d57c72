"""Rank statistics shared by the critic and the audit."""

import numpy as np


def ranks(x: np.ndarray) -> np.ndarray:
    """Ranks (N,) of x (N,), from 1, ties sharing their mean rank."""
    x = np.asarray(x, float)
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation of a (N,) and b (N,); 0 when either is constant."""
    a, b = ranks(a), ranks(b)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def mann_whitney_z(a: np.ndarray, b: np.ndarray) -> float:
    """Standardised Mann-Whitney U of a (N,) against b (M,): about N(0, 1) if alike, negative if a is the smaller."""
    n, m = len(a), len(b)
    u = ranks(np.concatenate([a, b]))[:n].sum() - n * (n + 1) / 2
    return float((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
