"""References from tables: joint positions or tip poses over time, whatever the table looks like.

A table is read as text, its columns are found by name, its times are put in order, poses become joints by inverse
kinematics, and a smooth motion through the samples is put on a uniform grid. What was assumed on the way is said.
"""

from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from armctl import geometry, rigid
from armctl.chain import LIMIT_SLACK, Chain, unwrapped
from armctl.errors import UsageError, warn
from armctl.motion import ik
from armctl.motion.clock import beat, check_duration, time_unit
from armctl.motion.csv_columns import Columns, find_columns
from armctl.motion.csv_table import Table, read_table
from armctl.motion.reference import Reference
from armctl.motion.smoothing import sampled

STARTS = 8  # starting configurations tried along a whole path
MAX_JUMP = 1.0  # rad between samples; more means that the arm had to change its posture on the way
TIP_SPEED = 1.0  # m/s; by which the unit of times is told where there are no joints
DEGREES = 6.5  # rad; values beyond a turn are likely to be degrees


def load_csv(path: str | Path, chain: Chain, dt: float | None = None) -> Reference:
    """Read a reference from a table. dt: s, the file's mean step if absent.

    What is assumed (unit of times, even beat, turns of joints, held orientation) is warned of in one sentence and kept
    in meta["notes"]. Raises UsageError, naming the file and the row, for a wrong header, text or gaps among the
    numbers, times that do not increase, last too long or do not fit the motion, a joint outside its limits, or a pose
    out of reach (with time, point and by how much it is missed).
    """
    path = Path(path)
    table = read_table(path)
    try:
        columns = find_columns(table.names, chain)
        first, offsets, values = _numbers(path, table, columns)
        notes: list[str] = []
        times = _seconds(path, table, chain, columns, (first, offsets, values), notes)
        if columns.joints:
            q = _within_limits(path, chain, times, _turned(chain, times, values, notes), notes)
        else:
            q = _joints_from_poses(path, chain, times, _whole_poses(chain, values, notes))
        reference = _on_grid(chain, times, q, dt, path, notes)
    except UsageError as error:
        named = str(error).startswith("Reference ")
        raise UsageError(str(error) if named else f"Reference '{path}' {error}") from None
    if notes:
        warn(f"Reference '{path}': {'; '.join(notes)}.")
    return reference


def _numbers(path: Path, table: Table, columns: Columns) -> tuple[float, np.ndarray, np.ndarray]:
    """The first stamp, the stamps (K,) since then, and the other columns (K, m) in rad and m."""
    stamps, rows = list[Decimal](), list[list[float]]()
    wanted = columns.values
    for number, row in zip(table.lines, table.rows, strict=True):
        try:
            stamps.append(Decimal(row[columns.time.place]))  # nanoseconds since 1970 have more digits than a float
            rows.append([float(stamps[-1]), *(float(row[column.place]) for column in wanted)])
        except (ValueError, InvalidOperation):
            raise UsageError(f"Reference '{path}': line {number} is not numeric: '{','.join(row)[:60]}'.") from None
        if not np.isfinite(rows[-1]).all():
            raise UsageError(f"Reference '{path}': line {number} needs {len(wanted) + 1} finite numbers.")
    offsets = np.array([float(stamp - stamps[0]) for stamp in stamps])
    return rows[0][0], offsets, np.array(rows)[:, 1:] * [column.unit or 1.0 for column in wanted]


def _seconds(
    path: Path,
    table: Table,
    chain: Chain,
    columns: Columns,
    numbers: tuple[float, np.ndarray, np.ndarray],
    notes: list[str],
) -> np.ndarray:
    """Times (K,) from the first, s, that increase. Raises UsageError where they do not, or last too long."""
    first, offsets, values = numbers
    limits = chain.velocity if columns.joints else np.full(3, TIP_SPEED)
    moved = unwrapped(chain, offsets, values) if columns.joints else values[:, :3]
    unit, assumed = (columns.time.unit, "") if columns.time.unit else time_unit(first, offsets, moved, limits)
    times = offsets * unit
    notes += [assumed] if assumed else []
    check_duration(times[-1])
    falling = np.diff(times) < 0
    even = None if falling.any() else beat(times, moved)
    late = np.flatnonzero(falling if even is not None else np.diff(times) <= 0)
    if late.size:
        raise UsageError(f"Reference '{path}': time does not increase at line {table.lines[int(late[0]) + 1]}.")
    if even is None:
        return times
    notes.append(f"its times are uneven, its motion is not; rows are taken as evenly spaced by {1e3 * even[1]:.4g} ms")
    return even


def _turned(chain: Chain, times: np.ndarray, q: np.ndarray, notes: list[str]) -> np.ndarray:
    found = unwrapped(chain, times, q)
    turned = [name for name, moved in zip(chain.joint_names, (found != q).any(axis=0), strict=True) if moved]
    if turned:
        notes.append(f"jumps by a turn are taken out of {', '.join(turned)}")
    return found


def _whole_poses(chain: Chain, values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Poses (K, 7): as they are, or positions (K, 3) with the orientation of the arm's home."""
    if values.shape[1] == 7:
        return values
    quaternion = geometry.matrix_to_pose(rigid.forward_kinematics(chain, chain.home))[3:]
    notes.append(f"it has no orientation; that of {chain.name}'s home posture is held")
    return np.column_stack([values, np.broadcast_to(quaternion, (len(values), 4))])


def _within_limits(path: Path, chain: Chain, times: np.ndarray, q: np.ndarray, notes: list[str]) -> np.ndarray:
    """Joints (K, n) set to their limits where they are beyond by no more than a sensor's error, else UsageError."""
    beyond = np.maximum(chain.lower - q, q - chain.upper)
    if (beyond > LIMIT_SLACK).any():
        k, i = (int(x[0]) for x in np.nonzero(beyond > LIMIT_SLACK))
        limits = f"[{chain.lower[i]:.3f}, {chain.upper[i]:.3f}]"
        where = f"q{i + 1} = {q[k, i]:.3f} at t = {times[k]:.3f} s"
        hint = "; if these are degrees, say so in the header, as in 'q1 [deg]'" if np.abs(q).max() > DEGREES else ""
        raise UsageError(f"Reference '{path}': {where} is outside the limits {limits} of {chain.name}{hint}.")
    if (beyond > 1e-6).any():
        i = int(np.argmax(beyond.max(axis=0)))
        notes.append(f"q{i + 1} is up to {beyond[:, i].max():.2g} rad beyond its limit and set to it")
    return np.clip(q, chain.lower, chain.upper)


def _joints_from_poses(path: Path, chain: Chain, times: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Joint path (K, n) through tip poses (K, 7) at times (K,): of several starts the smoothest."""
    norm = np.linalg.norm(poses[:, 3:], axis=1)
    if (np.abs(norm - 1) > 0.01).any():
        row = int(np.flatnonzero(np.abs(norm - 1) > 0.01)[0])
        raise UsageError(f"Reference '{path}': quaternion at t = {times[row]:.3f} s has norm {norm[row]:.3f}, not 1.")
    targets = geometry.pose_to_matrix(poses)
    starts = ik.all_solutions(chain, targets[0], restarts=32)
    _check_reach(path, chain, times[:1], targets[:1], _best(starts))
    order = np.argsort(np.where(starts.success, np.sum((starts.q - chain.home) ** 2, axis=-1), np.inf))
    order = order[: min(STARTS, int(starts.success.sum()))]
    paths = ik.path_ik(chain, np.broadcast_to(targets, (len(order), *targets.shape)), starts.q[order], iterations=12)
    jumps = np.abs(np.diff(paths.q, axis=1)).max(axis=(1, 2), initial=0.0)
    failures = (~paths.success).sum(axis=1)
    pick = np.lexsort((jumps, failures))[0]
    best = ik.IKResult(*(x[pick] for x in paths))
    _check_reach(path, chain, times, targets, best)
    _check_jumps(path, times, best.q)
    return best.q


def _check_jumps(path: Path, times: np.ndarray, q: np.ndarray) -> None:
    jump = np.abs(np.diff(q, axis=0))
    if (jump > MAX_JUMP).any():
        k, i = (int(x[0]) for x in np.nonzero(jump > MAX_JUMP))
        raise UsageError(
            f"Reference '{path}': joint {i + 1} would have to jump {jump[k, i]:.1f} rad at t = {times[k]:.3f} s "
            "to follow the poses; move the path away from joint limits and singular postures, or sample it finer."
        )


def _best(found: ik.IKResult) -> ik.IKResult:
    """The closest of all restarts, as one waypoint."""
    pick = int(np.argmin(found.position_error + ik.LENGTH * found.angle_error))
    return ik.IKResult(*(x[pick][None] for x in found))


def _check_reach(path: Path, chain: Chain, times: np.ndarray, targets: np.ndarray, found: ik.IKResult) -> None:
    if found.success.all():
        return
    k = int(np.flatnonzero(~found.success)[0])
    x, y, z = targets[k, :3, 3]
    miss = f"{1e3 * found.position_error[k]:.1f} mm and {np.rad2deg(found.angle_error[k]):.1f} degrees"
    raise UsageError(
        f"Reference '{path}' leaves the workspace of {chain.name} at t = {times[k]:.3f} s: "
        f"the pose at ({x:.3f}, {y:.3f}, {z:.3f}) m is missed by {miss}; move it nearer."
    )


def _on_grid(
    chain: Chain, times: np.ndarray, q: np.ndarray, dt: float | None, path: Path, notes: list[str]
) -> Reference:
    """Joint samples on a uniform grid of dt s through a smooth path."""
    dt = float(np.mean(np.diff(times))) if dt is None else float(dt)
    grid = times[0] + np.arange(int((times[-1] - times[0]) / dt + 1e-6) + 1) * dt
    q, qd, qdd = sampled(times, q, grid)
    meta = {"family": "csv", "source": path.name, **({"notes": notes} if notes else {})}
    return Reference.from_joints(chain, dt, q, qd, qdd, name=path.stem, meta=meta)
