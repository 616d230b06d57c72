"""Accuracy and repeatability in the sense of ISO 9283:1998 (position part), in mm."""

import numpy as np


def pose_accuracy(attained: np.ndarray, commanded: np.ndarray) -> float:
    """AP = ‖mean attained − commanded‖ in mm, of (N, 3) attained and (3,) commanded positions, m (§7.2.1)."""
    return float(1e3 * np.linalg.norm(attained.mean(axis=0) - commanded))


def pose_repeatability(attained: np.ndarray) -> float:
    """RP = mean(l) + 3·std(l) in mm, l the distances of (N, 3) attained positions, m, to their mean (§7.2.2)."""
    return _spread(attained)


def path_accuracy(attained: np.ndarray, commanded: np.ndarray) -> float:
    """AT = the greatest distance of the mean attained path from the commanded path in mm (§8.2).

    attained: (N, T, 3) tip positions of N repetitions, m. commanded: (T, 3) reference positions, m; each sample is
    compared in the plane normal to the path there.
    """
    return float(1e3 * np.linalg.norm(_normal(attained.mean(axis=0) - commanded, commanded), axis=-1).max())


def path_repeatability(attained: np.ndarray, commanded: np.ndarray) -> float:
    """RT = the greatest mean(l) + 3·std(l) along the path in mm (§8.3); arguments as `path_accuracy`."""
    offset = _normal(attained - attained.mean(axis=0), commanded)
    return max(_spread_of_lengths(np.linalg.norm(offset[:, t], axis=-1)) for t in range(offset.shape[1]))


def _normal(offset: np.ndarray, path: np.ndarray) -> np.ndarray:
    tangent = np.gradient(path, axis=0)
    length = np.linalg.norm(tangent, axis=-1, keepdims=True)
    # Where the path stands still every direction counts.
    unit = np.where(length > 1e-9, tangent / np.maximum(length, 1e-9), 0.0)
    return offset - np.sum(offset * unit, axis=-1, keepdims=True) * unit


def _spread(points: np.ndarray) -> float:
    return _spread_of_lengths(np.linalg.norm(points - points.mean(axis=0), axis=-1))


def _spread_of_lengths(lengths: np.ndarray) -> float:
    return float(1e3 * (lengths.mean() + 3 * (lengths.std(ddof=1) if len(lengths) > 1 else 0.0)))
