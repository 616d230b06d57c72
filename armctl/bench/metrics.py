"""Metrics of one tracking episode: what the arm did against what the reference asked."""

from dataclasses import dataclass, field

import numpy as np

from armctl.bench.motion_metrics import cross_track, lag, ldlj, overshoot, rms_jerk, settling_time
from armctl.controllers.base import OUT_OF_DEPTH
from armctl.geometry import orientation_angle, quat_to_matrix

TRANSIENT = 1.0  # s; "steady" metrics leave out what happens before
LADDER = {
    "50mm": (50.0, np.inf),
    "10mm_15deg": (10.0, 15.0),
    "5mm_5deg": (5.0, 5.0),
    "1mm_0.5deg": (1.0, 0.5),
}  # (mm, deg)
FAILED_MM, FAILED_DEG = 1000.0, 180.0
REACH = ("reached", "reached_position", "reach_time_s", "goal_error_mm", "goal_error_deg", "path_length_m")
REACHED_MM, REACHED_DEG = 10.0, 15.0
"""Within which a goal counts as reached, as in the environment."""


@dataclass(frozen=True, eq=False)
class Episode:
    """What the bench records of one episode of T samples (T - 1 control steps) of an arm with n joints.

    The last `T - moving` samples hold the reference's final pose, so that settling can be seen.
    """

    dt: float
    """Control period, s."""
    moving: int
    """Number of samples in which the reference itself is defined; at most T."""
    pose: np.ndarray
    """(T, 7) true tip pose, m and quaternion xyzw."""
    reference: np.ndarray
    """(T, 7) reference tip pose, m and quaternion xyzw."""
    q: np.ndarray
    """(T, n) true joint positions, rad."""
    qd: np.ndarray
    """(T, n) true joint velocities, rad/s."""
    torque: np.ndarray
    """(T - 1, n) joint torque applied during each control step, N·m."""
    command: np.ndarray
    """(T - 1, n) command of the controller in the units of its control mode."""
    limit_violation: np.ndarray
    """(T - 1,) whether any joint left its position limits during the step."""
    saturated: np.ndarray
    """(T - 1,) whether any actuator reached its effort limit during the step."""
    caution: np.ndarray
    """(T - 1,) how far out of its depth the controller took itself to be, 0 to 1."""
    action_us: float = 0.0
    """Controller time per action and episode, µs (batch time divided by the batch)."""
    failure: str = ""
    """Why the episode ended early; empty if it did not."""
    traceback: str = ""
    """Of the exception that the controller raised, if that ended it."""
    goal: np.ndarray | None = None
    """(7,) tip pose that the task is to reach, m and quaternion xyzw; None where the way is the task."""
    estimates: dict[str, np.ndarray] = field(default_factory=dict)
    """(T - 1, ...) by name: what the controller took the plant for after each control step."""
    contact: np.ndarray | None = None
    """(T - 1,) whether a link pressed on a body of the scene during the step; None where there is no scene."""


def position_error(pose: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """‖p − p_ref‖ in mm, (...,), of poses (..., 7)."""
    return 1e3 * np.linalg.norm(pose[..., :3] - reference[..., :3], axis=-1)


def orientation_error(pose: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The geodesic angle between the two orientations in degrees, (...,), of poses (..., 7)."""
    return np.degrees(orientation_angle(quat_to_matrix(pose[..., 3:]), quat_to_matrix(reference[..., 3:])))


def episode_metrics(episode: Episode) -> dict[str, float]:
    """Every metric of one episode by name; the unit ends the name.

    `position_rmse_mm` √mean e², `_p95_mm`, `_max_mm` of e = ‖p − p_ref‖; `orientation_rmse_deg`, `_p95_deg`, `_max_deg`
    of the geodesic angle; `steady_*` the same from 1 s on (from half time on in shorter episodes); `lag_ms`,
    `cross_track_mm`, `settling_time_s`, `overshoot_percent`, `ldlj` and `rms_jerk_rad_s3`: see `motion_metrics`;
    `within_*` share of time inside a rung of the success ladder, `end_*` whether the last sample is; `effort_n2m2s`
    ∫‖τ‖² dt; `energy_j` ∫Σ|τ·q̇| dt; `joint_limit_violations` control steps outside the position limits; `saturation_s`
    time with an actuator at its limit; `cautious_s` time in which the controller took itself to be out of its depth;
    `action_us` controller time per action.
    Of tasks with a goal: `reached` whether the tip is within 1 cm and 15 degrees of it at the end, `reach_time_s` since
    when without leaving, `reached_position` within 1 cm, `goal_error_mm`, `goal_error_deg` at the end, `path_length_m`
    the way of the tip; NaN for others. In a scene: `scene_contact` control steps in which the arm pressed on a body.

    A failed episode (non-finite command, diverged physics) is scored as the worst one possible and never dropped: its
    position errors are at least 1000 mm, its orientation errors 180°, its success shares 0; metrics that need the whole
    motion are NaN.
    """
    if episode.failure:
        return _failed_metrics(episode)
    moving = slice(0, episode.moving)
    pose, reference = episode.pose[moving], episode.reference[moving]
    position, angle = position_error(pose, reference), orientation_error(pose, reference)
    start = min(round(TRANSIENT / episode.dt), len(position) // 2)
    return {
        **_errors("", position, angle),
        **_errors("steady_", position[start:], angle[start:]),
        "lag_ms": lag(pose[:, :3], reference[:, :3], episode.dt),
        "cross_track_mm": cross_track(pose[:, :3], reference[:, :3], episode.dt),
        "settling_time_s": settling_time(episode.pose[:, :3], episode.reference[:, :3], episode.dt),
        "overshoot_percent": overshoot(episode.pose[:, :3], episode.reference[:, :3]),
        **_ladder(position, angle, episode),
        **_costs(episode),
        **_reach(episode),
    }


def _errors(prefix: str, position: np.ndarray, angle: np.ndarray) -> dict[str, float]:
    named = (("position", "mm", position), ("orientation", "deg", angle))
    return {
        f"{prefix}{name}_{statistic}_{unit}": float(function(error))
        for name, unit, error in named
        for statistic, function in (
            ("rmse", lambda e: np.sqrt(np.mean(e**2))),
            ("p95", lambda e: np.quantile(e, 0.95)),
            ("max", np.max),
        )
    }


def _ladder(position: np.ndarray, angle: np.ndarray, episode: Episode) -> dict[str, float]:
    end = (
        position_error(episode.pose[-1], episode.reference[-1]),
        orientation_error(episode.pose[-1], episode.reference[-1]),
    )
    rungs = {}
    for name, (mm, deg) in LADDER.items():
        rungs[f"within_{name}"] = float(np.mean((position <= mm) & (angle <= deg)))
        rungs[f"end_{name}"] = float(end[0] <= mm and end[1] <= deg)
    return rungs


def _reach(episode: Episode) -> dict[str, float]:
    if episode.goal is None:
        return dict.fromkeys(REACH, np.nan)
    position, angle = position_error(episode.pose, episode.goal), orientation_error(episode.pose, episode.goal)
    away = np.flatnonzero((position > REACHED_MM) | (angle > REACHED_DEG))
    since = away[-1] + 1 if len(away) else 0
    reached = since < len(position)
    return {
        "reached": float(reached),
        "reached_position": float(position[-1] <= REACHED_MM),
        "reach_time_s": episode.dt * since if reached else np.nan,
        "goal_error_mm": float(position[-1]),
        "goal_error_deg": float(angle[-1]),
        "path_length_m": float(np.linalg.norm(np.diff(episode.pose[:, :3], axis=0), axis=1).sum()),
    }


def _costs(episode: Episode) -> dict[str, float]:
    dt, torque = episode.dt, episode.torque
    speed = 0.5 * (episode.qd[:-1] + episode.qd[1:])
    return {
        "effort_n2m2s": float(np.sum(torque**2) * dt),
        "energy_j": float(np.sum(np.abs(torque * speed)) * dt),
        "rms_jerk_rad_s3": rms_jerk(episode.q[: episode.moving], dt),
        "ldlj": ldlj(episode.pose[: episode.moving, :3], dt),
        "joint_limit_violations": float(np.sum(episode.limit_violation)),
        **_contact(episode),
        "saturation_s": float(np.sum(episode.saturated) * dt),
        "cautious_s": float(np.sum(episode.caution > OUT_OF_DEPTH) * dt),
        "action_us": float(episode.action_us),
    }


def _contact(episode: Episode) -> dict[str, float]:
    return {} if episode.contact is None else {"scene_contact": float(np.sum(episode.contact))}


def _failed_metrics(episode: Episode) -> dict[str, float]:
    metrics = {
        f"{prefix}{name}_{statistic}_{unit}": worst
        for prefix in ("", "steady_")
        for name, unit, worst in (("position", "mm", FAILED_MM), ("orientation", "deg", FAILED_DEG))
        for statistic in ("rmse", "p95", "max")
    }
    steps = len(episode.torque)
    position = position_error(episode.pose[:steps], episode.reference[:steps])
    if position.size and np.isfinite(position).all():
        metrics["position_max_mm"] = max(FAILED_MM, float(position.max()))
    undefined = ("lag_ms", "cross_track_mm", "settling_time_s", "overshoot_percent")
    metrics |= dict.fromkeys(undefined, np.nan)
    metrics |= {f"{kind}_{name}": 0.0 for name in LADDER for kind in ("within", "end")}
    metrics |= dict.fromkeys(("effort_n2m2s", "energy_j", "rms_jerk_rad_s3", "ldlj", *REACH), np.nan)
    if episode.goal is not None:
        metrics |= {"reached": 0.0, "reached_position": 0.0, "goal_error_mm": FAILED_MM, "goal_error_deg": FAILED_DEG}
    return metrics | {
        "joint_limit_violations": float(np.sum(episode.limit_violation)),
        **_contact(episode),
        "saturation_s": float(np.sum(episode.saturated) * episode.dt),
        "cautious_s": float(np.sum(episode.caution > OUT_OF_DEPTH) * episode.dt),
        "action_us": float(episode.action_us),
    }
