"""Degree-5 clamped uniform B-spline paths and their closed-form timing, for NumPy and JAX arrays alike.

A trajectory is path times timing. The path q(s), s in [0, 1], is a B-spline whose first and last three control points
are tied to start and goal, so it begins and ends at rest, and the convex-hull property keeps it inside any box that
holds its control points. The timing s = t / T is one number T, and the shortest feasible T has a closed form.
"""

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl.typing import Array

DEGREE = 5
TIED = 3  # control points tied at each end: position, velocity and acceleration are those of a resting arm
CONTROL_POINTS = 14
TIMING_SAMPLES = 101
CONSTRAINTS = ("velocity", "acceleration", "jerk", "torque")


def _namespace(x: Array) -> ModuleType:
    return x.__array_namespace__()


def _values(knots: np.ndarray, degree: int, s: np.ndarray) -> np.ndarray:
    """Cox-de Boor recursion: values (K, len(knots) - degree - 1) of the basis functions of `degree` at s (K,)."""
    last_span = np.flatnonzero(np.diff(knots) > 0)[-1]
    span = np.minimum(np.searchsorted(knots, s, side="right") - 1, last_span)
    basis = (np.arange(len(knots) - 1) == span[:, None]).astype(float)
    for p in range(1, degree + 1):
        left, right = knots[: -p - 1], knots[p + 1 :]
        rise = np.divide(1.0, knots[p:-1] - left, where=knots[p:-1] > left, out=np.zeros(len(left)))
        fall = np.divide(1.0, right - knots[1:-p], where=right > knots[1:-p], out=np.zeros(len(left)))
        basis = (s[:, None] - left) * rise * basis[:, :-1] + (right - s[:, None]) * fall * basis[:, 1:]
    return basis


def _basis(count: int, s: np.ndarray, derivative: int) -> np.ndarray:
    knots = np.concatenate([np.zeros(DEGREE), np.linspace(0.0, 1.0, count - DEGREE + 1), np.ones(DEGREE)])
    difference = np.eye(count)
    for p in range(DEGREE, DEGREE - derivative, -1):
        step = p / (knots[p + 1 : -1] - knots[1 : -p - 1])
        difference = step[:, None] * np.diff(difference, axis=0)
        knots = knots[1:-1]
    return _values(knots, DEGREE - derivative, s) @ difference


@cache
def _uniform_basis(count: int, samples: int, derivative: int) -> np.ndarray:
    basis = _basis(count, np.linspace(0.0, 1.0, samples), derivative)
    basis.setflags(write=False)
    return basis


def basis(count: int, samples: int | np.ndarray, derivative: int = 0) -> np.ndarray:
    """Basis matrix (K, count) that maps control points to the path or its derivative with respect to s.

    count: number of control points, at least 6. samples: K for a uniform grid on [0, 1], or an array (K,) of s.
    derivative: 0 to 5. Raises ValueError for fewer than 6 control points. Source: de Boor, Practical Guide to Splines.
    """
    if count <= DEGREE:
        raise ValueError(f"A degree-{DEGREE} spline needs at least {DEGREE + 1} control points, not {count}.")
    if isinstance(samples, (int, np.integer)):
        return _uniform_basis(int(count), int(samples), int(derivative))
    return _basis(count, np.asarray(samples, float), derivative)


def evaluate(control_points: Array, samples: int | np.ndarray, derivatives: int = 3) -> tuple[Array, ...]:
    """Path and its derivatives in s: a tuple (q, dq, d2q, d3q) of arrays (..., K, n).

    control_points (..., C, n) rad. samples: K or an array (K,) of s in [0, 1]. derivatives: the highest wanted.
    """
    xp, count = _namespace(control_points), control_points.shape[-2]
    matrices = (basis(count, samples, d) for d in range(derivatives + 1))
    return tuple(xp.asarray(m, dtype=control_points.dtype) @ control_points for m in matrices)


def control_points(start: Array, goal: Array, inner: Array) -> Array:
    """Control points (..., C, n) of a rest-to-rest path from start (..., n) to goal (..., n); inner (..., C-6, n)."""
    xp = _namespace(inner)
    shape = (*inner.shape[:-2], TIED, inner.shape[-1])
    first, last = (xp.broadcast_to(end[..., None, :], shape) for end in (start, goal))
    return xp.concat([first, inner, last], axis=-2)


@cache
def straight_weights(count: int = CONTROL_POINTS) -> np.ndarray:
    """Weights (count-6,) that place inner control points on the minimum-jerk line, which quintics hold exactly."""
    s = np.linspace(0.0, 1.0, 8 * count)
    weights = fit(np.array((s**3 * (10 - 15 * s + 6 * s**2))[:, None]), count)[:, 0]
    weights.setflags(write=False)
    return weights


def straight_inner(start: Array, goal: Array, count: int = CONTROL_POINTS) -> Array:
    """Inner control points (..., count-6, n) of the minimum-jerk straight line from start (..., n) to goal (..., n)."""
    weights = _namespace(start).asarray(straight_weights(count), dtype=start.dtype)[:, None]
    return start[..., None, :] + weights * (goal - start)[..., None, :]


def squash(q: Array, lower: Array, upper: Array, knee: float = 0.9) -> Array:
    """Map q (..., n) smoothly into the open box (lower, upper) (n,); identity inside the central `knee` of each range.

    It stays so far inside that weighted means of what it returns cannot be rounded beyond a bound.
    A joint without limits (infinite bounds) is left alone.
    """
    xp = _namespace(q)
    lower, upper = (xp.asarray(b, dtype=q.dtype) for b in (lower, upper))
    bounded = xp.isfinite(lower) & xp.isfinite(upper)
    low, high = xp.where(bounded, lower, -1.0), xp.where(bounded, upper, 1.0)
    middle, half = (low + high) / 2, (high - low) / 2
    unit = (q - middle) / half
    excess = xp.maximum(xp.abs(unit) - knee, xp.zeros_like(unit))
    rest = (1 - knee) * (1 - 1000 * xp.finfo(q.dtype).eps)  # tanh itself rounds to 1
    inside = xp.clip(unit, -knee, knee) + xp.sign(unit) * rest * xp.tanh(excess / (1 - knee))
    return xp.where(bounded, middle + half * inside, q)


@cache
def _fit_matrices(count: int, samples: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    matrix = basis(count, np.array(samples), 0)
    ends = np.stack([matrix[:, :TIED].sum(axis=1), matrix[:, -TIED:].sum(axis=1)])
    return np.linalg.pinv(matrix[:, TIED:-TIED]), ends


def fit(q: np.ndarray, count: int = CONTROL_POINTS, samples: ArrayLike | None = None) -> np.ndarray:
    """Inner control points (..., count-6, n) of the rest-to-rest path nearest to q (..., K, n), by least squares.

    The path starts at q[0] and ends at q[-1]. samples: their s (K,), uniform on [0, 1] if absent. NumPy only.
    """
    s = np.linspace(0.0, 1.0, q.shape[-2]) if samples is None else np.asarray(samples, float)
    inverse, ends = _fit_matrices(count, tuple(s.tolist()))
    residual = q - ends[0][:, None] * q[..., :1, :] - ends[1][:, None] * q[..., -1:, :]
    return inverse @ residual


def fitted(q: np.ndarray, lower: ArrayLike = -np.inf, upper: ArrayLike = np.inf) -> tuple[np.ndarray, float]:
    """Control points (C, n) of the rest-to-rest path nearest to samples q (K, n), and by how much it misses them, rad.

    lower, upper: (n,) rad, between which its inner control points are put.
    """
    path = control_points(q[0], q[-1], np.clip(fit(q), lower, upper))
    return path, float(np.abs(evaluate(path, len(q), derivatives=0)[0] - q).max())


def minimal_duration(
    limits: Any, derivatives: Sequence[Array], gravity_torque: Array = None, dynamic_torque: Array = None
) -> tuple[Array, Array]:
    """Shortest duration T_min (...,) s that meets every limit, and the index (...,) into CONSTRAINTS that binds.

    With s = t / T velocity scales as 1/T, acceleration as 1/T^2, jerk as 1/T^3, and torque is g(q) + tau_dyn / T^2.
    limits: anything with velocity, acceleration, jerk, effort (n,), such as a Chain or an Arm.
    derivatives: (dq, d2q, d3q) in s, (..., K, n). gravity_torque: g(q) (..., K, n) N·m. dynamic_torque: inverse
    dynamics of (q, dq/ds, d2q/ds2) without gravity (..., K, n). T_min is inf where gravity alone exceeds the effort.
    Feasible for every T >= T_min. Run the motion in T_min / eta, eta in (0, 1], the speed dial.
    """
    xp = _namespace(derivatives[0])

    def worst(ratio: Array) -> Array:
        return xp.max(ratio, axis=(-2, -1))

    orders = zip(derivatives, (limits.velocity, limits.acceleration, limits.jerk), (1.0, 1 / 2, 1 / 3), strict=True)
    times = [worst(xp.abs(d) / xp.asarray(limit, dtype=d.dtype)) ** power for d, limit, power in orders]
    if dynamic_torque is None:
        times.append(xp.zeros_like(times[0]))
    else:
        effort = xp.asarray(limits.effort, dtype=dynamic_torque.dtype)
        room = effort - xp.sign(dynamic_torque) * gravity_torque
        feasible = (room > 0) & (xp.abs(gravity_torque) <= effort)
        safe = xp.where(feasible, room, xp.ones_like(room))
        times.append(worst(xp.where(feasible, xp.abs(dynamic_torque) / safe, xp.inf)) ** 0.5)
    stacked = xp.stack(times, axis=-1)
    return xp.max(stacked, axis=-1), xp.argmax(stacked, axis=-1)
