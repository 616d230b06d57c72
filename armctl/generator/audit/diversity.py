"""Is every mode there? Density and coverage, and the effective number of different trajectories."""

import numpy as np

from armctl.generator.audit.two_sample import distances


def density_coverage(real: np.ndarray, generated: np.ndarray, *, neighbours: int = 5) -> tuple[float, float]:
    """Density and coverage of generated (M, D) against real (N, D) (Naeem et al. 2020).

    density: mean number of real neighbourhoods around a generated point over `neighbours` (1 in expectation).
    coverage: fraction of real points with a generated point inside their neighbourhood.
    """
    radius = np.sort(distances(real, real), axis=1)[:, min(neighbours, len(real) - 1)]
    inside = distances(real, generated) < radius[:, None]
    return float(inside.sum(0).mean() / neighbours), float(inside.any(1).mean())


def time_averaged_kernel(paths: np.ndarray, width: float | None = None) -> np.ndarray:
    """Similarity (N, N) of paths (N, S, n): a Gaussian kernel at each of S common phases, averaged over them.

    width: of the kernel; the median distance of two paths at one phase if None.
    """
    squared = np.stack([distances(at, at) ** 2 for at in np.moveaxis(paths, 1, 0)])
    if width is None:
        width = typical_width(paths)
    return np.mean(np.exp(-squared / (2 * width**2 + 1e-12)), axis=0)


def typical_width(paths: np.ndarray) -> float:
    """Median distance of two different paths (N, S, n) at one instant."""
    upper = np.triu_indices(len(paths), 1)
    return float(np.median([distances(at, at)[upper] for at in np.moveaxis(paths, 1, 0)]))


def vendi(paths: np.ndarray, width: float | None = None) -> float:
    """Vendi score: the effective number of different paths among paths (N, S, n), from 1 to N (Friedman & Dieng 2023).

    Compare two sets at the same N and the same width only.
    """
    eigenvalues = np.linalg.eigvalsh(time_averaged_kernel(paths, width) / len(paths))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-np.sum(eigenvalues * np.log(eigenvalues))))
