"""From recorded samples to a smooth motion: through them where they are exact, else as near as their noise asks."""

from typing import Any

import numpy as np

from armctl.errors import UsageError
from armctl.motion.reference import interpolant

FEWEST = 20  # samples from which noise can be told from motion
REACH, DEGREE = 4, 5  # neighbours on either side from which a sample is predicted, and degree of that polynomial
EXACT = 1e-9  # rad; less is rounding
LARGEST = 5e-3  # rad, three steps of a 12-bit encoder; more is motion that was sampled too coarsely to be told
SURPLUS = 1.25  # over the noise, that a smoothing spline may leave
OVERSHOOT = 0.25  # of the largest step between samples


def noise(times: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Standard deviation (n,) of what q (K, n), K >= 20, at times (K,) has on top of a smooth motion.

    How far samples are from the polynomial through their neighbours, at the nine tenths of them that are nearest.
    """
    index = np.arange(len(times))
    window = np.clip(index, REACH, len(times) - 1 - REACH)[:, None] + np.arange(-REACH, REACH + 1)
    others = window[window != index[:, None]].reshape(len(times), 2 * REACH)
    away = times[others] - times[:, None]
    powers = (away / np.abs(away).max(axis=1, keepdims=True))[..., None] ** np.arange(DEGREE + 1)
    weights = np.linalg.pinv(powers)[:, 0]  # of the neighbours in the polynomial's value at the sample
    missed = q - np.einsum("kw,kwn->kn", weights, q[others])
    spread = np.sqrt(1 + np.sum(weights**2, axis=1))  # noise of the neighbours adds to the sample's own
    return np.quantile(np.abs(missed) / spread[:, None], 0.9, axis=0) / 1.645


def smooth_path(times: np.ndarray, q: np.ndarray) -> Any:
    """Spline, quintic where there are enough samples, of samples q (K, n) rad at times (K,) s -> scipy BSpline.

    Raises UsageError, without the file's name, where the times are so uneven that it strays from the samples.
    """
    sigma = noise(times, q) if len(times) >= FEWEST else np.zeros(q.shape[1])
    spline = interpolant(times, q)
    if EXACT < sigma.max() <= LARGEST:
        spline = _through_noise(times, q, sigma) or spline
    _check_between(times, q, sigma, spline)
    return spline


def _through_noise(times: np.ndarray, q: np.ndarray, sigma: np.ndarray) -> Any:
    """The least-squares quintic spline with the fewest knots that leaves no more than the noise; None if none does."""
    from scipy.interpolate import make_lsq_spline

    every = len(times) // 2
    while every > 2:
        inner = times[every:-every:every]
        knots = np.concatenate([[times[0]] * (DEGREE + 1), inner, [times[-1]] * (DEGREE + 1)])
        spline = make_lsq_spline(times, q, knots, DEGREE)
        left = np.sqrt(np.mean((spline(times) - q) ** 2, axis=0))
        if (left <= np.maximum(SURPLUS * sigma, EXACT)).all():
            return spline
        every = every * 2 // 3
    return None


def _check_between(times: np.ndarray, q: np.ndarray, sigma: np.ndarray, spline: Any) -> None:
    """Raise UsageError where a spline swings away between samples, as it does through uneven, inexact ones."""
    halfway = (times[1:] + times[:-1]) / 2
    away = np.abs(spline(halfway) - (q[1:] + q[:-1]) / 2)
    allowed = OVERSHOOT * np.abs(np.diff(q, axis=0)).max(axis=0) + 5 * sigma + EXACT
    if (away > allowed).any():
        k, i = np.unravel_index(np.argmax(away - allowed), away.shape)
        raise UsageError(
            f"has times too uneven for its joint positions: between t = {times[k]:.4g} s and {times[k + 1]:.4g} s "
            f"joint {i + 1} would swing out by {away[k, i]:.2g} rad; give evenly spaced times."
        )
