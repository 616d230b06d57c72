"""Joint limits and the home posture of a URDF chain, with stated defaults for what URDF does not carry."""

from dataclasses import dataclass

import numpy as np

from armctl.errors import UsageError
from armctl.urdf.parse import Joint, numbers

ENDLESS = 1000.0
"""A position limit beyond this, rad or m, is none: files write 1e16 where a joint may turn on and on."""
MANY_TURNS = 4
"""Limits farther apart are worth a note: they may be degrees."""
TOP_VELOCITY = 50.0
"""Highest velocity limit, rad/s or m/s: half of that at which the plant caps every joint."""
_ASSUMED = {"acceleration": 10, "jerk": 100}


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


def read_limits(joints: list[Joint]) -> Limits:
    """Limits of the chain's joints; absent acceleration and jerk become 10 and 100 times the velocity, with a note.

    Positions beyond what a joint can mean are no limits, velocities beyond what can be simulated are cut, with notes.
    Raises UsageError for missing or empty position, velocity or effort limits; it names them all.
    """
    faults = _faults(joints)
    if faults:
        raise UsageError(faults)
    ranges = [_range(joint) for joint in joints]
    given = np.array([j.limit["velocity"] for j in joints])
    velocity = np.minimum(given, TOP_VELOCITY)
    notes = [note for *_, note in ranges if note]
    if (given > TOP_VELOCITY).any():
        fast = ", ".join(f"{j.name} ({v:g})" for j, v in zip(joints, given, strict=True) if v > TOP_VELOCITY)
        notes.append(f"No more than {TOP_VELOCITY:g} per s can be simulated; velocity limits cut to it: {fast}.")
    assumed = {}
    for key, factor in _ASSUMED.items():
        absent = [j.name for j in joints if key not in j.limit]
        if absent:
            notes.append(f"No {key} limit in the file: {factor} x velocity assumed for {', '.join(absent)}.")
        assumed[key] = np.array([j.limit.get(key, factor * v) for j, v in zip(joints, velocity, strict=True)])
    effort = np.array([j.limit["effort"] for j in joints])
    lower, upper = (np.array([r[k] for r in ranges]) for k in (0, 1))
    return Limits(lower, upper, velocity, assumed["acceleration"], assumed["jerk"], effort, tuple(notes))


def is_endless(joint: Joint) -> bool:
    """Whether a joint turns without limits: it says so, or both limits are beyond what a joint can mean."""
    lower, upper = joint.limit.get("lower", 0.0), joint.limit.get("upper", 0.0)
    return joint.type == "continuous" or (joint.type == "revolute" and lower < -ENDLESS and upper > ENDLESS)


def _range(joint: Joint) -> tuple[float, float, str]:
    """Lower and upper limit, and what there is to say about them."""
    if joint.type == "continuous":
        return -np.inf, np.inf, ""
    lower, upper = joint.limit["lower"], joint.limit["upper"]
    said, reach = f"Joint {joint.name!r} has the limits [{lower:g}, {upper:g}]", 2 * np.pi * MANY_TURNS
    if is_endless(joint):
        return -np.inf, np.inf, f"{said}, which are none: it is taken as continuous."
    if lower < -ENDLESS or upper > ENDLESS:
        lower, upper = (upper - reach, upper) if lower < -ENDLESS else (lower, lower + reach)
        return lower, upper, f"{said}, of which one is none: it is put {MANY_TURNS} turns from the other."
    if joint.type == "revolute" and upper - lower > reach:
        return lower, upper, f"{said} rad, more than {MANY_TURNS} turns; should they be degrees, convert them."
    return lower, upper, ""


def _faults(joints: list[Joint]) -> str:
    """What is wrong with any limit, a sentence for all joints with the same faults."""
    names: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for joint in joints:
        names.setdefault(tuple(_faults_of(joint)), []).append(repr(joint.name))
    sentences = []
    for faults, who in names.items():
        if faults:
            verb = "Joint {} has" if len(who) == 1 else "Joints {} have"
            remedies = "; ".join(dict.fromkeys(remedy for _, remedy in faults))
            sentences.append(f"{verb.format(', '.join(who))} {' and '.join(fault for fault, _ in faults)}; {remedies}.")
    return " ".join(sentences)


def _faults_of(joint: Joint) -> list[tuple[str, str]]:
    """What is wrong with a joint's limits, each with its remedy."""
    faults, limit = [], joint.limit
    missing = [] if joint.type == "continuous" else [k for k in ("lower", "upper") if k not in limit]
    lower, upper = limit.get("lower", 0.0), limit.get("upper", 0.0)
    if missing:
        remedy = "add it to its <limit>, or make the joint continuous"
        faults.append((f"no {' and '.join(missing)} limit", remedy))
    elif joint.type != "continuous" and not lower < upper:
        faults.append((f"the empty range [{lower:g}, {upper:g}]", "lower must be below upper"))
    elif joint.type == "prismatic" and max(-lower, upper, upper - lower) > ENDLESS:
        faults.append((f"the range [{lower:g}, {upper:g}] m", "give the true length of its rail"))
    for key in ("velocity", "effort", *_ASSUMED):
        if key not in limit and key not in _ASSUMED:
            faults.append((f"no {key} limit", f'add {key}="..." to its <limit>'))
        elif limit.get(key, 1.0) <= 0:
            faults.append((f"the {key} limit {limit[key]:g}", "every limit must be above zero"))
    return faults


def given_home(text: str | None, count: int, *, exact: bool) -> np.ndarray | None:
    """Home posture (count,) in the file's text, None where it gives none.

    exact: the text must hold exactly `count` numbers; otherwise the first are used (another tip was asked for).
    Raises UsageError for a wrong count and what is no number.
    """
    if text is None:
        return None
    home = numbers(text, count if exact else None, "The home of <armctl>")
    return home[:count] if len(home) >= count else None


def read_home(text: str | None, limits: Limits, *, exact: bool) -> tuple[np.ndarray, list[str]]:
    """Home posture (n,) from the file's text, else the middle of the limits (0 for continuous joints), and notes.

    Raises UsageError as `given_home` does, and for a posture outside the limits.
    """
    home = given_home(text, len(limits.lower), exact=exact)
    if home is None:
        bounded = np.isfinite(limits.lower)
        middle = 0.5 * (np.where(bounded, limits.lower, 0.0) + np.where(bounded, limits.upper, 0.0))
        return middle, ["No home posture in the file: the middle of the limits is used (0 for continuous joints)."]
    if np.any(home < limits.lower) or np.any(home > limits.upper):
        raise UsageError(f"The home posture {text!r} of <armctl> lies outside the joint limits.")
    return home, []
