"""Metrics that need the shape of a motion: delay, cross-track error, settling, overshoot and smoothness."""

import numpy as np

BAND = 0.02  # settling band, share of the distance travelled


def lag(position: np.ndarray, reference: np.ndarray, dt: float, longest: float = 0.5) -> float:
    """The delay of the arm behind its reference in ms (negative: ahead).

    The shift that maximises the normalised cross-correlation of the two tip velocities, refined by a parabola.
    position, reference: (T, 3) tip positions, m, sampled every dt s. longest: greatest delay looked for, s.
    """
    v, r = np.diff(position, axis=0), np.diff(reference, axis=0)
    shifts = np.arange(-min(round(longest / dt), len(v) // 2), min(round(longest / dt), len(v) // 2) + 1)
    scores = np.array([_correlation(v, r, int(shift)) for shift in shifts])
    best = int(np.argmax(scores))
    offset = 0.0
    if 0 < best < len(scores) - 1:
        left, middle, right = scores[best - 1 : best + 2]
        curvature = left - 2 * middle + right
        offset = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(1e3 * dt * (shifts[best] + offset))


def _correlation(v: np.ndarray, r: np.ndarray, shift: int) -> float:
    late, early = (v[shift:], r[: len(r) - shift]) if shift >= 0 else (v[:shift], r[-shift:])
    norm = np.sqrt(np.sum(late**2) * np.sum(early**2))
    return float(np.sum(late * early) / norm) if norm > 1e-12 else -1.0


def cross_track(position: np.ndarray, reference: np.ndarray, dt: float, window: float = 1.0) -> float:
    """The RMS distance to the reference *path*, whatever the timing, in mm.

    position, reference: (T, 3) tip positions, m, sampled every dt s. Each sample is compared with the path segments
    within `window` s, so that a path crossing itself is not mistaken.
    """
    start, step = reference[:-1], np.diff(reference, axis=0)
    reach = max(1, round(window / dt))
    index = np.clip(np.arange(len(position))[:, None] + np.arange(-reach, reach), 0, len(start) - 1)
    offset, along = position[:, None] - start[index], step[index]
    share = np.clip(np.sum(offset * along, -1) / np.maximum(np.sum(along**2, -1), 1e-18), 0, 1)
    distance = np.linalg.norm(offset - share[..., None] * along, axis=-1).min(axis=1)
    return float(1e3 * np.sqrt(np.mean(distance**2)))


def settling_time(position: np.ndarray, reference: np.ndarray, dt: float) -> float:
    """How much later than the reference the arm enters the 2 % band around the final position for good, in s.

    The band is 2 % of the reference's greatest distance from its end. An arm that is still outside at the last sample
    counts up to that sample (a censored value); arriving first counts as zero. NaN where the reference does not move.
    """
    distance = np.linalg.norm(reference - reference[-1], axis=1)
    band = BAND * distance.max()
    if band < 1e-6:
        return float("nan")
    outside = np.flatnonzero(np.linalg.norm(position - reference[-1], axis=1) > band)
    settled = outside[-1] + 1 if len(outside) else 0
    return float(max(0, settled - (np.flatnonzero(distance > band)[-1] + 1)) * dt)


def overshoot(position: np.ndarray, reference: np.ndarray) -> float:
    """How far the arm runs past the end along the direction of arrival, in % of the distance travelled.

    The direction is that from where the reference enters its 2 % band to its end. NaN where it does not move.
    """
    offset = reference[-1] - reference
    distance = np.linalg.norm(offset, axis=1)
    if distance.max() < 1e-6 / BAND:
        return float("nan")
    entry = np.flatnonzero(distance > BAND * distance.max())[-1]
    direction = offset[entry] / distance[entry]
    return float(100 * max(0.0, np.max((position[entry:] - reference[-1]) @ direction)) / distance.max())


def rms_jerk(q: np.ndarray, dt: float) -> float:
    """√mean(q⃛²) over time and joints by third differences, rad/s³, of joint positions (T, n), rad."""
    return float(np.sqrt(np.mean((np.diff(q, n=3, axis=0) / dt**3) ** 2))) if len(q) > 3 else float("nan")


def ldlj(position: np.ndarray, dt: float) -> float:
    """The log dimensionless jerk −ln(D³/v_peak² ∫‖p⃛‖² dt) of tip positions (T, 3), m; larger is smoother.

    Balasubramanian et al. 2012 (IEEE TBME 59(8)). NaN where the tip does not move.
    """
    speed = np.linalg.norm(np.diff(position, axis=0), axis=1) / dt
    if len(position) < 4 or speed.max() < 1e-6:
        return float("nan")
    jerk = np.diff(position, n=3, axis=0) / dt**3
    duration = (len(position) - 1) * dt
    return float(-np.log(duration**3 / speed.max() ** 2 * np.sum(jerk**2) * dt + 1e-30))
