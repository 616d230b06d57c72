"""References from CSV files: `t,q1..qn` in joints, or `t,x,y,z,qx,qy,qz,qw` at the tip by inverse kinematics."""

from pathlib import Path

import numpy as np

from armctl import geometry
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion import ik
from armctl.motion.reference import Reference, interpolant, sample_spline

POSE_COLUMNS = ("t", "x", "y", "z", "qx", "qy", "qz", "qw")
STARTS = 8  # starting configurations tried along a whole path
MAX_JUMP = 1.0  # rad between samples; more means that the arm had to change its posture on the way


def load_csv(path: str | Path, chain: Chain, dt: float | None = None) -> Reference:
    """Read a CSV reference. dt: s, the file's mean step if absent.

    Raises UsageError, naming the file and the row, for a wrong header, text or gaps among the numbers, times that do
    not increase, a joint outside its limits, or a pose out of reach (with time, point and by how much it is missed).
    """
    path = Path(path)
    header, table, lines = _read(path)
    joints = ("t", *(f"q{i + 1}" for i in range(chain.n)))
    times = table[:, 0]
    if (np.diff(times) <= 0).any():
        row = int(np.flatnonzero(np.diff(times) <= 0)[0]) + 1
        raise UsageError(f"Reference '{path}': time does not increase at line {lines[row]}.")
    if header == joints:
        q = table[:, 1:]
        _check_limits(path, chain, times, q)
    elif header == POSE_COLUMNS:
        q = _joints_from_poses(path, chain, times, table[:, 1:])
    else:
        raise UsageError(
            f"Reference '{path}' has columns {','.join(header)}; use {','.join(joints)} or {','.join(POSE_COLUMNS)}."
        )
    return _on_grid(chain, times, q, dt, path)


def _read(path: Path) -> tuple[tuple[str, ...], np.ndarray, list[int]]:
    """Header, numbers (K, columns) and line number of each row; blank lines and a byte-order mark are skipped."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    header = tuple(name.strip() for name in lines[0][1].split(",")) if lines else ()
    rows = []
    for number, line in lines[1:]:
        try:
            row = [float(x) for x in line.split(",")]
        except ValueError:
            raise UsageError(f"Reference '{path}': line {number} is not numeric: '{line[:60]}'.") from None
        if len(row) != len(header) or not np.isfinite(row).all():
            raise UsageError(f"Reference '{path}': line {number} needs {len(header)} finite numbers.")
        rows.append(row)
    if len(rows) < 2:
        raise UsageError(f"Reference '{path}' has {len(rows)} samples; give a header and at least 2 lines.")
    return header, np.array(rows), [number for number, _ in lines[1:]]


def _check_limits(path: Path, chain: Chain, times: np.ndarray, q: np.ndarray) -> None:
    outside = (q < chain.lower - 1e-6) | (q > chain.upper + 1e-6)
    if outside.any():
        k, i = (int(x[0]) for x in np.nonzero(outside))
        limits = f"[{chain.lower[i]:.3f}, {chain.upper[i]:.3f}]"
        where = f"q{i + 1} = {q[k, i]:.3f} at t = {times[k]:.3f} s"
        raise UsageError(f"Reference '{path}': {where} is outside the limits {limits} of {chain.name}.")


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


def _on_grid(chain: Chain, times: np.ndarray, q: np.ndarray, dt: float | None, path: Path) -> Reference:
    """Joint samples on a uniform grid of dt s through a quintic spline."""
    dt = float(np.mean(np.diff(times))) if dt is None else float(dt)
    spline = interpolant(times, q)
    grid = times[0] + np.arange(int((times[-1] - times[0]) / dt + 1e-6) + 1) * dt
    q, qd, qdd = sample_spline(spline, grid)
    return Reference.from_joints(chain, dt, q, qd, qdd, name=path.stem, meta={"family": "csv", "source": path.name})
