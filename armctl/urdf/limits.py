"""Joint limits and the home posture of a URDF chain, with stated defaults for what URDF does not carry."""

from dataclasses import dataclass

import numpy as np

from armctl.errors import UsageError
from armctl.urdf.parse import Joint, numbers


@dataclass(frozen=True, eq=False)
class Limits:
    """Arrays (n,): lower, upper [rad or m], velocity, acceleration, jerk [per s, s2, s3], effort [N m or N]; notes."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    effort: np.ndarray
    notes: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """The limits by name, without the notes."""
        return {key: value for key, value in vars(self).items() if key != "notes"}


def _range(joint: Joint) -> tuple[float, float]:
    if joint.type == "continuous":
        return -np.inf, np.inf
    missing = [k for k in ("lower", "upper") if k not in joint.limit]
    if missing:
        raise UsageError(
            f"Joint {joint.name!r} has no {' and '.join(missing)} limit; add it to its <limit>, "
            "or make the joint continuous."
        )
    lower, upper = joint.limit["lower"], joint.limit["upper"]
    if not lower < upper:
        raise UsageError(f"Joint {joint.name!r} has the empty range [{lower:g}, {upper:g}]; lower must be below upper.")
    return lower, upper


def _positive(joint: Joint, key: str, default: float | None = None) -> float:
    if key not in joint.limit and default is not None:
        return default
    if key not in joint.limit:
        raise UsageError(f'Joint {joint.name!r} has no {key} limit; add {key}="..." to its <limit>.')
    if joint.limit[key] <= 0:
        raise UsageError(f"Joint {joint.name!r} has the {key} limit {joint.limit[key]:g}; it must be above zero.")
    return joint.limit[key]


def read_limits(joints: list[Joint]) -> Limits:
    """Limits of the chain's joints; absent acceleration and jerk become 10 and 100 times the velocity, with a note.

    Raises UsageError for missing or empty position, velocity or effort limits.
    """
    ranges = [_range(j) for j in joints]
    velocity = [_positive(j, "velocity") for j in joints]
    notes = []
    for key, factor in (("acceleration", 10), ("jerk", 100)):
        absent = [j.name for j in joints if key not in j.limit]
        if absent:
            notes.append(f"No {key} limit in the file: {factor} x velocity assumed for {', '.join(absent)}.")
    return Limits(
        np.array([r[0] for r in ranges]),
        np.array([r[1] for r in ranges]),
        np.array(velocity),
        np.array([_positive(j, "acceleration", 10 * v) for j, v in zip(joints, velocity, strict=True)]),
        np.array([_positive(j, "jerk", 100 * v) for j, v in zip(joints, velocity, strict=True)]),
        np.array([_positive(j, "effort") for j in joints]),
        tuple(notes),
    )


def read_home(text: str | None, limits: Limits, *, exact: bool) -> tuple[np.ndarray, list[str]]:
    """Home posture (n,) from the file's text, else the middle of the limits (0 for continuous joints), and notes.

    exact: the text must hold exactly n numbers; otherwise the first n are used (another tip was asked for).
    Raises UsageError for a wrong count and for a posture outside the limits.
    """
    n = len(limits.lower)
    if text is None:
        bounded = np.isfinite(limits.lower)
        middle = 0.5 * (np.where(bounded, limits.lower, 0.0) + np.where(bounded, limits.upper, 0.0))
        return middle, ["No home posture in the file: the middle of the limits is used (0 for continuous joints)."]
    home = numbers(text, n if exact else None, "home of <armctl>")
    if len(home) < n:
        return read_home(None, limits, exact=exact)
    home = home[:n]
    if np.any(home < limits.lower) or np.any(home > limits.upper):
        raise UsageError(f"The home posture {text!r} of <armctl> lies outside the joint limits.")
    return home, []
