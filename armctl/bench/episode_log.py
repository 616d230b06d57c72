"""The record of one bench episode in the making."""

from collections.abc import Mapping
from traceback import format_exception
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from armctl.bench.metrics import Episode
from armctl.bench.plan import BenchConfig, Task
from armctl.chain import Chain
from armctl.envs.bullet.plant import Plant
from armctl.motion.reference import Reference
from armctl.plant.action import action_scale
from armctl.plant.servo import TOP_SPEED

LIMIT_TOLERANCE = 1e-6  # rad
MESSAGE = 200  # characters of an exception that stand in the table


class Recorded(NamedTuple):
    """What is recorded of an episode of T - 1 control steps; the fields are those of Episode."""

    pose: np.ndarray  # (T, 7)
    q: np.ndarray  # (T, n)
    qd: np.ndarray  # (T, n)
    torque: np.ndarray  # (T - 1, n)
    command: np.ndarray  # (T - 1, m)
    saturated: np.ndarray  # (T - 1,)
    caution: np.ndarray  # (T - 1,)
    contact: np.ndarray  # (T - 1,)
    estimates: dict[str, np.ndarray]  # (T - 1, ...)


def raised(error: BaseException) -> tuple[str, str]:
    """What a controller raised, in a line, and its traceback."""
    said, name = str(error).strip().splitlines(), type(error).__name__
    return f"{name}: {said[0][:MESSAGE]}" if said else name, "".join(format_exception(error))


class EpisodeLog:
    """What happens in one episode on a plant that stands at its start; `episode` is the record.

    It ends early, as failed, where the motion is not finite or reaches the speed at which PyBullet caps joints, 100
    rad/s, and where the controller fails.
    """

    def __init__(self, config: BenchConfig, chain: Chain, task: Task, plant: Plant) -> None:
        samples = episode_samples(config, task)
        self.plant, self.steps, self.end = plant, samples - 1, samples - 1
        self._config, self._chain, self._task, self._failure, self._traceback = config, chain, task, "", ""
        self._pose = np.zeros((samples, 7))
        self._q, self._qd = np.zeros((samples, chain.n)), np.zeros((samples, chain.n))
        self._torque = np.zeros((samples - 1, chain.n))
        self._command = np.zeros((samples - 1, len(action_scale(chain, plant.config))))
        self._estimates: dict[str, np.ndarray] = {}
        self._saturated, self._caution = np.zeros(samples - 1, bool), np.zeros(samples - 1)
        self._contact = np.zeros(samples - 1, bool)
        self._observe(0)

    def active(self, k: int) -> bool:
        """Whether there is a control step k."""
        return k < self.end

    def stepped(
        self, k: int, command: np.ndarray, caution: float = 0.0, estimates: Mapping[str, ArrayLike] | None = None
    ) -> None:
        """Record control step k, in which the plant has just held a command in the units of its control mode.

        estimates: what the controller took the plant for, by name.
        """
        for name, value in (estimates or {}).items():
            if name not in self._estimates:
                self._estimates[name] = np.full((self.steps, *np.shape(value)), np.nan, np.float32)
            self._estimates[name][k] = value
        plant = self.plant
        self._command[k], self._torque[k], self._caution[k] = command, plant.torque, caution
        self._saturated[k], self._contact[k] = plant.saturation > 0, plant.contact
        if not (np.isfinite(plant.q).all() and np.abs(plant.qd).max() < TOP_SPEED):
            self.fail(k, "motion diverges")
            return
        self._observe(k + 1)

    def fail(self, k: int, reason: str, traceback: str = "") -> None:
        """End the episode before control step k. traceback: of an exception that is the reason."""
        self._failure, self._traceback, self.end = f"{reason} at {k * self._config.control_dt:.2f} s", traceback, k

    def fail_by(self, k: int, error: BaseException) -> None:
        """End the episode before control step k by what the controller raised."""
        self.fail(k, *raised(error))

    def _observe(self, k: int) -> None:
        position, quaternion = self.plant.body.tip()
        self._pose[k, :3], self._pose[k, 3:] = position, quaternion
        self._q[k], self._qd[k] = self.plant.q, self.plant.qd

    def episode(self, seconds: float) -> Episode:
        """The record. seconds: the controller's time per action."""
        recorded = Recorded(
            self._pose,
            self._q,
            self._qd,
            self._torque,
            self._command,
            self._saturated,
            self._caution,
            self._contact,
            self._estimates,
        )
        return made_episode(
            self._config, self._chain, self._task, recorded, self.end, seconds, self._failure, self._traceback
        )


def made_episode(
    config: BenchConfig,
    chain: Chain,
    task: Task,
    recorded: Recorded,
    end: int,
    seconds: float,
    failure: str = "",
    traceback: str = "",
) -> Episode:
    """What was recorded of a task up to its control step `end`, without what is settled before the reference starts.

    seconds: the controller's time per action; failure, traceback: why it ended early.
    """
    stop, reference = end + 1, led(config, task)
    moving = len(reference.q)
    first = min(lead(config), end)
    outside = (recorded.q < chain.lower - LIMIT_TOLERANCE) | (recorded.q > chain.upper + LIMIT_TOLERANCE)
    return Episode(
        config.control_dt,
        min(moving, stop) - first,
        recorded.pose[first:stop],
        reference.pose[np.minimum(np.arange(first, stop), moving - 1)],
        recorded.q[first:stop],
        recorded.qd[first:stop],
        recorded.torque[first:end],
        recorded.command[first:end],
        np.any(outside, axis=1)[first + 1 : stop],
        recorded.saturated[first:end],
        recorded.caution[first:end],
        1e6 * seconds,
        failure,
        traceback,
        task.goal,
        {name: values[first:end] for name, values in recorded.estimates.items()},
        None if task.scene is None else recorded.contact[first:end],
    )


def lead(config: BenchConfig) -> int:
    """Control steps for which the first pose is held before the reference starts."""
    return round(config.settle / config.control_dt)


def led(config: BenchConfig, task: Task) -> Reference:
    """The reference with what is held before it."""
    steps = lead(config)
    return task.reference.after_hold(steps) if steps else task.reference


def held(config: BenchConfig, task: Task) -> int:
    """Control steps for which the last pose of a reference that ends at rest is held after it."""
    at_rest = np.abs(task.reference.qd[-1]).max() < 1e-3
    return round(config.hold / config.control_dt) if at_rest else 0


def episode_samples(config: BenchConfig, task: Task) -> int:
    """Samples of an episode, all that is held included."""
    return lead(config) + len(task.reference.q) + held(config, task)


def check_commands(commands: Any, shape: tuple[int, ...], control: str) -> None:
    """Raises ValueError for commands of another shape than a control mode takes."""
    if commands.shape != shape:
        raise ValueError(f"the command has shape {commands.shape}, and control {control!r} takes {shape}")
