"""RolloutLog: what a user has of an arm that moved - measured joint motion and the commands that were held."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from armctl import store
from armctl.chain import LIMIT_SLACK, Chain, unwrapped
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig

CONTROLS = ("torque", "velocity", "ee_twist")
"""Control modes that a log may have; a position target depends on where the arm truly was at the start."""
TIMES = ("t", "time", "times", "timestamps")
"""Entries of a file that are looked at as time stamps."""
UNITS = (1.0, 1e-3, 1e-6, 1e-9)
"""Units that time stamps may have, s."""
UNEVEN = 0.1
"""Part of control_dt by which the time between two stamps may differ from it."""
LEAST = 10
"""Samples without which there is nothing to fit."""


@dataclass(frozen=True, eq=False)
class RolloutLog:
    """One motion of one arm: the command k is held from sample k to sample k+1."""

    q: np.ndarray
    """(K+1, n) measured joint positions, rad."""
    qd: np.ndarray
    """(K+1, n) measured joint velocities, rad/s."""
    command: np.ndarray
    """(K, n) torque, N m, or velocity, rad/s; (K, 6) m/s and rad/s for ee_twist."""
    control_dt: float
    """Time a command is held, s."""
    physics_dt: float = 0.002
    """Step of the simulation; of a real arm, any step that divides control_dt and is short, s."""
    control: str = "torque"
    """torque | velocity | ee_twist."""
    joint_names: tuple[str, ...] = ()
    """Names of the joints, to be compared with the arm's; not compared if empty."""
    truth: Scenario | None = None
    """The true plant where it is known (a simulation). Never shown to the fit, only printed beside its estimates."""

    @property
    def config(self) -> ServoConfig:
        """The servo under which the log was made."""
        return ServoConfig(control=self.control, physics_dt=self.physics_dt, control_dt=self.control_dt)


def save_log(log: RolloutLog, path: str | Path) -> None:
    """Write a log as .npz, atomically; UsageError for another file ending."""
    if Path(path).suffix != ".npz":
        raise UsageError(f"A log is saved as .npz, not '{path}'; name it so.")
    truth = "" if log.truth is None else json.dumps(asdict(log.truth))
    arrays = {name: getattr(log, name) for name in ("q", "qd", "command", "control_dt", "physics_dt", "control")}
    names = np.array(log.joint_names, dtype=str)
    store.save_arrays(path, {**arrays, "joint_names": names, "truth": truth})


def load_log(path: str | Path, chain: Chain) -> RolloutLog:
    """Read the log of an arm.

    The file needs `q`, `qd`, `command` and `control_dt`; `physics_dt`, `control`, `joint_names` and `truth` may be
    absent, as may time stamps, `t`, of all samples or commands in s, ms, µs or ns. Joints in another order are put in
    the arm's, and jumps by a turn are taken out. Raises UsageError, in one sentence, if it is missing, damaged, of
    another arm, too short, uneven or not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"There is no log '{path}'; name a .npz written by 'armctl record' or by numpy.savez.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            found = {name: data[name] for name in data.files}
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"'{path}' is not a readable .npz ({reason}); record it again.") from None
    log = _turned(_in_order(_from_arrays(found, path), chain), chain)
    check_log(log, chain, str(path))
    _check_times(found, log, path)
    return log


def _turned(log: RolloutLog, chain: Chain) -> RolloutLog:
    """The log without the jumps by a turn of sensors that count from -pi to pi."""
    if log.q.ndim != 2 or log.q.shape[1] != chain.n or not np.isfinite(log.q).all():
        return log
    return replace(log, q=unwrapped(chain, np.arange(len(log.q)) * log.control_dt, log.q))


def _check_times(found: dict[str, np.ndarray], log: RolloutLog, path: Path) -> None:
    """Raise UsageError where time stamps stand in the file and are not as even as a log has to be.

    They may be one for each sample, (K+1,), or for each command, (K,), in s or a smaller unit, which control_dt tells,
    or dates of NumPy.
    """
    name = next((name for name in TIMES if name in found), None)
    if name is None:
        return
    stamps = _numbers(found[name])
    if stamps is None:
        raise UsageError(
            f"Log '{path}': its times, '{name}', are not numbers; give them in seconds, or leave them out."
        )
    if stamps.size not in (len(log.q), len(log.command)) or max(stamps.shape) != stamps.size:
        raise UsageError(
            f"Log '{path}': its times, '{name}', have shape {stamps.shape}; give one for each of the {len(log.q)} "
            "samples, or leave them out."
        )
    stamps = stamps.ravel()
    if not np.isfinite(stamps).all():
        k = int(np.argmin(np.isfinite(stamps)))
        raise UsageError(f"Log '{path}': its times, '{name}', are not finite at sample {k}; repair or leave them out.")
    steps = np.diff(stamps)
    steps = steps * _unit(float(np.median(steps)), log.control_dt)
    off = np.abs(steps - log.control_dt)
    if not (off <= UNEVEN * log.control_dt).all():
        k = int(np.argmax(off))
        raise UsageError(
            f"Log '{path}': its times are not {log.control_dt:g} s (control_dt) apart, but {steps[k]:g} s after sample "
            f"{k}; each command has to be held for control_dt: cut the log there, or correct control_dt."
        )


def _numbers(stamps: np.ndarray) -> np.ndarray | None:
    """Stamps as floats, in the unit they have; None where they are of no kind that tells a time."""
    if stamps.dtype.kind in "Mm":  # dates and spans
        counts = stamps.astype(f"{stamps.dtype.kind}8[ns]").astype(np.int64).astype(float)
        return np.where(np.isnat(stamps), np.nan, counts)
    try:
        return stamps.astype(float) if stamps.dtype.kind in "iufUS" else None
    except ValueError:
        return None


def _unit(step: float, control_dt: float) -> float:
    """The unit, s, in which a step between two stamps is nearest to control_dt, s."""
    return min(UNITS, key=lambda unit: abs(np.log(step * unit / control_dt))) if step > 0 else 1.0


def _in_order(log: RolloutLog, chain: Chain) -> RolloutLog:
    """The log with its joints in the order of the arm, where its columns are those of the arm's joints in another."""
    if log.joint_names == chain.joint_names or sorted(log.joint_names) != sorted(chain.joint_names):
        return log
    order = [log.joint_names.index(name) for name in chain.joint_names]
    width = len(order)
    q, qd = (x[:, order] if x.ndim == 2 and x.shape[1] == width else x for x in (log.q, log.qd))
    joints = log.control != "ee_twist" and log.command.ndim == 2 and log.command.shape[1] == width
    command = log.command[:, order] if joints else log.command
    return replace(log, q=q, qd=qd, command=command, joint_names=chain.joint_names)


def _from_arrays(found: dict[str, np.ndarray], path: Path) -> RolloutLog:
    absent = [name for name in ("q", "qd", "command", "control_dt") if name not in found]
    if absent:
        raise UsageError(f"Log '{path}' lacks {', '.join(absent)}; a log needs q, qd, command and control_dt.")
    try:
        q, qd, command = (found[name].astype(float) for name in ("q", "qd", "command"))
        control_dt, physics_dt = float(found["control_dt"]), float(found.get("physics_dt", RolloutLog.physics_dt))
        names = tuple(str(name) for name in np.atleast_1d(found.get("joint_names", ())))
        text = str(found.get("truth", ""))
        truth = Scenario(**json.loads(text)) if text else None
        control = str(found.get("control", "torque"))
        return RolloutLog(q, qd, command, control_dt, physics_dt, control, names, truth)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Log '{path}' holds an entry of the wrong kind ({error}); record it again.") from None


def check_log(log: RolloutLog, chain: Chain, name: str = "log") -> None:
    """Raise UsageError, in one sentence, where a log cannot be one of this arm."""
    if log.control not in CONTROLS:
        raise UsageError(f"Log '{name}' has control {log.control!r}; identification takes {', '.join(CONTROLS)}.")
    _ = log.config  # the time steps fit one another
    if log.q.ndim != 2:
        raise UsageError(f"Log '{name}': q has shape {log.q.shape}; {chain.name} needs (samples, {chain.n}).")
    samples, width = len(log.q), 6 if log.control == "ee_twist" else chain.n
    shapes = {"q": (samples, chain.n), "qd": (samples, chain.n), "command": (samples - 1, width)}
    for key, shape in shapes.items():
        array = getattr(log, key)
        if array.shape != shape:
            raise UsageError(f"Log '{name}': {key} has shape {array.shape}; {chain.name} needs {shape} here.")
        if not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise UsageError(f"Log '{name}': {key} is not finite at sample {bad}; cut the log there or repair it.")
    if log.joint_names and log.joint_names != chain.joint_names:
        joints = ", ".join(log.joint_names)
        raise UsageError(f"Log '{name}' is of an arm with the joints {joints}; {chain.name} has others: check --robot.")
    if samples < LEAST:
        raise UsageError(f"Log '{name}' has {samples} samples; give at least {LEAST}, some seconds of motion.")
    beyond = np.maximum(chain.lower - log.q, log.q - chain.upper)
    if beyond.max() > LIMIT_SLACK:
        sample, joint = np.unravel_index(np.argmax(beyond), beyond.shape)
        raise UsageError(
            f"Log '{name}': {chain.joint_names[joint]} is {beyond[sample, joint]:.3g} rad beyond its limit at sample "
            f"{sample}, where the arm meets a stop, which a fit leaves out; cut the log there."
        )
