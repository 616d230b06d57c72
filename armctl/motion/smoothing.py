"""From recorded samples to a smooth motion: through them where they are exact, else as near as their noise asks."""

from typing import Any

import numpy as np
from scipy.interpolate import make_lsq_spline

from armctl.errors import UsageError
from armctl.motion.reference import interpolant, sample_spline

FEWEST = 20  # samples from which noise can be told from motion
REACH, DEGREE = 4, 5  # neighbours on either side from which a sample is predicted, and degree of that polynomial
UNEVEN = 0.5  # of the mean step; the spread of steps from which a spline may swing
STEPS = 10  # an encoder's step is at most so many times the noise that it leaves
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


def sampled(times: np.ndarray, q: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, ...]:
    """The smooth motion of samples q (K, n) rad at times (K,) s on a grid (M,) s -> q, qd, qdd (M, n).

    Raises UsageError, without the file's name, where times are so uneven that a spline strays from the samples.
    """
    sigma = noise(times, q) if len(times) >= FEWEST else np.zeros(q.shape[1])
    uneven = np.ptp(np.diff(times)) > UNEVEN * np.mean(np.diff(times))
    step = _quantum(q)
    counted = (sigma <= step) & (step <= STEPS * sigma)
    told = (sigma > EXACT) & (sigma <= LARGEST) & (uneven | counted)
    sigma = np.where(told & counted, np.maximum(sigma, step / 12**0.5), sigma)
    splines = [
        _through_noise(times, x, s) if is_noise else None for x, s, is_noise in zip(q.T, sigma, told, strict=True)
    ]
    splines = [spline or interpolant(times, x) for spline, x in zip(splines, q.T, strict=True)]
    if uneven:
        for joint, (spline, x, s) in enumerate(zip(splines, q.T, sigma, strict=True), start=1):
            _check_between(times, x, s, spline, joint)
    columns = [sample_spline(spline, grid) for spline in splines]
    return tuple(np.stack(rows, axis=1) for rows in zip(*columns, strict=True))


def _quantum(q: np.ndarray) -> np.ndarray:
    """Smallest difference (n,) between values of q (K, n) that differ: an encoder's step; infinite where none do."""
    gaps = np.diff(np.sort(q, axis=0), axis=0)
    return np.min(np.where(gaps > EXACT, gaps, np.inf), axis=0)


def _through_noise(times: np.ndarray, x: np.ndarray, sigma: float) -> Any:
    """The least-squares quintic spline of x (K,) with fewest knots that leaves no more than the noise; None if none."""
    every = len(times) // 2
    while every > 2:
        inner = times[every:-every:every]
        knots = np.concatenate([[times[0]] * (DEGREE + 1), inner, [times[-1]] * (DEGREE + 1)])
        spline = make_lsq_spline(times, x, knots, DEGREE)
        if np.sqrt(np.mean((spline(times) - x) ** 2)) <= SURPLUS * sigma:
            return spline
        every = every * 2 // 3
    return None


def _check_between(times: np.ndarray, x: np.ndarray, sigma: float, spline: Any, joint: int) -> None:
    """Raise UsageError where a spline swings away between samples, as it does through uneven, inexact ones."""
    away = np.abs(spline((times[1:] + times[:-1]) / 2) - (x[1:] + x[:-1]) / 2)
    k = int(np.argmax(away))
    if away[k] > OVERSHOOT * np.abs(np.diff(x)).max() + 5 * sigma + EXACT:
        raise UsageError(
            f"has times too uneven for its joint positions: between t = {times[k]:.4g} s and {times[k + 1]:.4g} s "
            f"joint {joint} would swing out by {away[k]:.2g} rad; give evenly spaced times."
        )
