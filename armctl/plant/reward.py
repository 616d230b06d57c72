"""Rewards: named terms with named weights, the same for one step and for a relabelled batch (HER)."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl.errors import UsageError
from armctl.typing import Array


@dataclass(frozen=True)
class Tolerance:
    """How near the target is success."""

    position: float = 0.01
    """m."""
    orientation: float = float(np.deg2rad(15))
    """rad; inf where only the position counts."""


STANDARD = Tolerance()
REWARDS = ("dense", "sparse")
WEIGHTS = {
    "dense": {
        "position": -1.0,  # distance, m
        "orientation": -0.5,  # angle, rad
        "precision": 0.5,  # 1 / (1 + (distance / tolerance)^2)
        "effort": -0.01,  # mean square of torque over effort
        "action_rate": -0.01,  # mean square of the change of action
        "limits": -1.0,  # rad beyond the joint limits
        "collision": -0.1,  # 1 when the arm touches itself or a scene
    },
    "sparse": {"failure": -1.0},  # 1 unless within both tolerances
}
GOAL_TERMS = ("position", "orientation", "precision", "failure")


def goal_errors(achieved: ArrayLike, desired: ArrayLike) -> tuple[Array, Array]:
    """Distance (...,) m and angle (...,) rad between poses (..., 7); the angle between positions (..., 3) is 0."""
    a, d = np.asarray(achieved, dtype=float), np.asarray(desired, dtype=float)
    distance = np.sqrt(np.sum((d[..., :3] - a[..., :3]) ** 2, axis=-1))
    if d.shape[-1] == 3:
        return distance, 0.0 * distance
    u, v = d[..., 3:], a[..., 3:]
    # vector and scalar part of the relative rotation; atan2 of both stays accurate at every angle
    vector = v[..., 3:] * u[..., :3] - u[..., 3:] * v[..., :3] - _cross(u, v)
    scalar = np.abs(np.sum(u * v, axis=-1))
    return distance, 2 * np.arctan2(np.sqrt(np.sum(vector**2, axis=-1)), scalar)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    parts = ((1, 2), (2, 0), (0, 1))
    return np.stack([a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in parts], axis=-1)


def is_success(position_error: Array, orientation_error: Array, tolerance: Tolerance = STANDARD) -> Array:
    """Whether errors (m, rad) are within both tolerances."""
    return (position_error < tolerance.position) & (orientation_error < tolerance.orientation)


def goal_terms(
    kind: str, position_error: Array, orientation_error: Array, tolerance: Tolerance = STANDARD
) -> dict[str, Array]:
    """Weighted terms that depend on the goal. Errors in m and rad, numbers or arrays alike."""
    weights = WEIGHTS[kind]
    if kind == "sparse":
        return {"failure": weights["failure"] * (1.0 - is_success(position_error, orientation_error, tolerance))}
    return {
        "position": weights["position"] * position_error,
        "orientation": weights["orientation"] * orientation_error,
        "precision": weights["precision"] / (1 + (position_error / tolerance.position) ** 2),
    }


def step_terms(
    kind: str,
    position_error: Array,
    orientation_error: Array,
    effort: Array,
    action_rate: Array,
    limits: Array,
    collision: Array,
    tolerance: Tolerance = STANDARD,
) -> dict[str, Array]:
    """All weighted terms of a step, from their raw values: errors in m and rad, the others as in WEIGHTS."""
    terms = goal_terms(kind, position_error, orientation_error, tolerance)
    if kind == "dense":
        weights = WEIGHTS[kind]
        terms["effort"] = weights["effort"] * effort
        terms["action_rate"] = weights["action_rate"] * action_rate
        terms["limits"] = weights["limits"] * limits
        terms["collision"] = weights["collision"] * collision
    return terms


def compute_reward(
    kind: str,
    achieved: ArrayLike,
    desired: ArrayLike,
    info: dict[str, Any] | Iterable[dict[str, Any] | None] | None,
    tolerance: Tolerance = STANDARD,
) -> np.ndarray | float:
    """Reward of reaching `achieved` when `desired` was wanted, poses (..., 7) or positions (..., 3).

    info: one dict, or one per goal. Terms that do not depend on the goal are taken from info["reward_terms"]; where it
    is absent, and where info is None, they count as zero. Nothing counts while info["settling"].
    """
    goal = sum(goal_terms(kind, *goal_errors(achieved, desired), tolerance).values())
    if info is None or isinstance(info, dict):
        return _counted(info) * (goal + _motion_part(info))
    info = list(info)
    return np.array([_counted(one) for one in info]) * (goal + np.array([_motion_part(one) for one in info]))


def _counted(info: dict[str, Any] | None) -> float:
    """0 while an arm settles before its reference starts, else 1."""
    return 0.0 if (info or {}).get("settling") else 1.0


def _motion_part(info: dict[str, Any] | None) -> float:
    return float(sum(v for k, v in (info or {}).get("reward_terms", {}).items() if k not in GOAL_TERMS))


def check_tolerance(tolerance: float | Iterable[float] | None, position_only: bool) -> Tolerance:
    """How near is success: metres, or metres and radians; what is not given is as usual.

    Raises UsageError unless they are numbers above 0, and for an angle where only the position counts.
    """
    given = [] if tolerance is None else list(tolerance) if isinstance(tolerance, Iterable) else [tolerance]
    if len(given) > 2 or not all(isinstance(x, int | float | np.number) and 0 < x < inf for x in given):
        raise UsageError(f"tolerance is {tolerance!r}; give metres, or (metres, radians), above 0.")
    if position_only and len(given) == 2:
        raise UsageError(f"tolerance is {tolerance!r}, but with position_only no angle counts; give metres alone.")
    position, angle, *_ = [float(x) for x in given] + [STANDARD.position, STANDARD.orientation][len(given) :]
    return Tolerance(position, inf if position_only else angle)


def check_reward(kind: str) -> str:
    """The reward's name. Raises UsageError for an unknown one."""
    if kind not in REWARDS:
        raise UsageError(f"Unknown reward {kind!r}; choose one of {', '.join(REWARDS)}.")
    return kind
