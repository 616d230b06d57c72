"""RolloutLog: what a user has of an arm that moved - measured joint motion and the commands that were held."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from armctl import store
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig

CONTROLS = ("torque", "velocity", "ee_twist")
"""Control modes that a log may have; a position target depends on where the arm truly was at the start."""
LEAST = 10
"""Samples without which there is nothing to fit."""
SLACK = 0.01
"""How far a measured joint may be beyond its limit, rad: sensor error."""


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
    absent. Raises UsageError, in one sentence, if it is missing, damaged, of another arm, too short or not finite.
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
    log = _from_arrays(found, path)
    check_log(log, chain, str(path))
    return log


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
    if beyond.max() > SLACK:
        sample, joint = np.unravel_index(np.argmax(beyond), beyond.shape)
        raise UsageError(
            f"Log '{name}': {chain.joint_names[joint]} is {beyond[sample, joint]:.3g} rad beyond its limit at sample "
            f"{sample}, where the arm meets a stop, which a fit leaves out; cut the log there."
        )
