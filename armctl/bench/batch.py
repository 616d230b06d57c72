"""Run a batch of episodes side by side: one call of the controller, then one PyBullet step of every arm."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.bench.metrics import Episode
from armctl.bench.plan import BenchConfig, Task
from armctl.chain import Chain
from armctl.envs.bullet.plant import Plant
from armctl.motion.reference import Reference
from armctl.motion.windows import stack_references
from armctl.plant.observe import Measurement, Window
from armctl.plant.scenario import later, plant_params, stack_params
from armctl.plant.servo import TOP_SPEED, ServoConfig
from armctl.twin.episodes import single

LIMIT_TOLERANCE = 1e-6  # rad
Policy = Callable[..., tuple[Any, Any, Any]]


def horizon(config: BenchConfig, tasks: list[Task]) -> int:
    """The longest episode in samples, hold included; every batch is padded to it, so one compilation does."""
    return max(_samples(config, task) for task in tasks)


def make_policy(controller: Any) -> Policy:
    """The controller compiled: (carry, q (B, n), qd (B, n), windows, k) -> (carry, command (B, n), caution (B,)).

    windows: a Window of whole references (B, T + preview, ...), out of which the step's preview is cut on the device.
    """
    graph, state = nnx.split(controller)
    preview, cautious = controller.preview, hasattr(controller, "caution")

    @jax.jit
    def policy(state: Any, carry: Any, q: Any, qd: Any, windows: Window, k: Any) -> tuple[Any, Any, Any]:
        window = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, k, preview + 1, axis=1), windows)
        module = nnx.merge(graph, state)
        carry, command = module(carry, Measurement(q, qd), window)
        return carry, command, module.caution(carry) if cautious else jnp.zeros(len(q))

    return lambda *arguments: policy(state, *arguments)


def run_batch(
    config: BenchConfig, chain: Chain, controller: Any, policy: Policy, tasks: list[Task], samples: int
) -> list[Episode]:
    """Run the tasks side by side in PyBullet and return what happened, in their order.

    samples: padded length of every reference, from `horizon`. Control step k sees the measurement and the references at
    k dt; its command is held until (k + 1) dt. Episodes start on the reference, or at rest on its first pose where that
    is held for a while (`config.settle`). An episode whose command or motion is not finite, or reaches the speed at
    which PyBullet caps joints, 100 rad/s, ends there as failed; the others go on.
    """
    servo = ServoConfig(control=controller.control, physics_dt=config.physics_dt, control_dt=config.control_dt)
    plants = [Plant(chain, servo) for _ in tasks]
    try:
        logs = [_Log(config, chain, task, plant) for task, plant in zip(tasks, plants, strict=True)]
        seconds = _advance(config, chain, controller, policy, tasks, logs, samples)
    finally:
        for plant in plants:
            plant.close()
    return [log.episode(seconds) for log in logs]


def _advance(
    config: BenchConfig,
    chain: Chain,
    controller: Any,
    policy: Policy,
    tasks: list[Task],
    logs: list["_Log"],
    samples: int,
) -> float:
    """Step until every episode is over; return the controller's time per action, s."""
    windows = _windows(config, tasks, samples + controller.preview)
    carry, spent, calls = _told(config, controller, tasks, chain), 0.0, 0
    state = np.zeros((2, config.batch, logs[0].n), np.float32)
    for k in range(max(log.steps for log in logs)):
        for row, log in enumerate(logs):
            if log.active(k):
                state[:, row] = log.plant.measure()
        state[:, len(logs) :] = state[:, :1]
        start = time.perf_counter()
        carry, command, caution = policy(carry, state[0], state[1], windows, k)
        command, caution = np.asarray(command, np.float64), np.asarray(caution)
        if k:  # the first call may compile
            spent, calls = spent + time.perf_counter() - start, calls + 1
        for row, log in enumerate(logs):
            if log.active(k):
                log.step(k, command[row], float(caution[row]))
    return spent / max(1, calls * config.batch)


def _told(config: BenchConfig, controller: Any, tasks: list[Task], chain: Chain) -> Any:
    """The controller's memory at the start, with the true plants in it where it is one that is told of them."""
    carry = controller.init_carry((config.batch,))
    if getattr(controller, "family", "") != "oracle" or not hasattr(controller, "told"):
        return carry
    scenarios = [later(task.scenario, config.settle) for task in tasks]
    plants = [plant_params(chain, scenario) for scenario in scenarios + scenarios[:1] * (config.batch - len(tasks))]
    return controller.told(carry, single(stack_params(plants)))


class _Log:
    """The record of one episode in the making."""

    def __init__(self, config: BenchConfig, chain: Chain, task: Task, plant: Any) -> None:
        reference, samples = _led(config, task), _samples(config, task)
        self.lead = _lead(config)
        self.config, self.chain, self.plant, self.n = config, chain, plant, chain.n
        self.steps, self.moving, self.failure, self.end = samples - 1, len(reference.q), "", samples - 1
        self.reference = reference.pose[np.minimum(np.arange(samples), self.moving - 1)]
        self.pose, self.q, self.qd = np.zeros((samples, 7)), np.zeros((samples, self.n)), np.zeros((samples, self.n))
        self.torque, self.command = np.zeros((samples - 1, self.n)), np.zeros((samples - 1, self.n))
        self.saturated, self.caution = np.zeros(samples - 1, bool), np.zeros(samples - 1)
        # The environment's action range ends at the velocity limit; a torque is limited by the servo itself.
        self.range = chain.velocity if plant.config.control == "velocity" else np.full(self.n, np.inf)
        plant.reset(later(task.scenario, config.settle), reference.q[0], reference.qd[0])
        self._observe(0)

    def active(self, k: int) -> bool:
        return k < self.end

    def step(self, k: int, command: np.ndarray, caution: float) -> None:
        if not np.isfinite(command).all():
            self._fail(k, f"command is not finite at {k * self.config.control_dt:.2f} s")
            return
        command = np.clip(command, -self.range, self.range)
        self.plant.step(command)
        self.command[k], self.torque[k], self.caution[k] = command, self.plant.torque, caution
        self.saturated[k] = self.plant.saturation > 0
        if not (np.isfinite(self.plant.q).all() and np.abs(self.plant.qd).max() < TOP_SPEED):
            self._fail(k, f"motion diverges at {k * self.config.control_dt:.2f} s")
            return
        self._observe(k + 1)

    def _fail(self, k: int, reason: str) -> None:
        self.failure, self.end = reason, k

    def _observe(self, k: int) -> None:
        position, quaternion = self.plant.body.tip()
        self.pose[k, :3], self.pose[k, 3:] = position, quaternion
        self.q[k], self.qd[k] = self.plant.q, self.plant.qd

    def episode(self, seconds: float) -> Episode:
        stop, steps = self.end + 1, self.end
        first = min(self.lead, steps)  # what is settled before the reference starts is no part of the record
        outside = (self.q < self.chain.lower - LIMIT_TOLERANCE) | (self.q > self.chain.upper + LIMIT_TOLERANCE)
        return Episode(
            self.config.control_dt,
            min(self.moving, stop) - first,
            self.pose[first:stop],
            self.reference[first:stop],
            self.q[first:stop],
            self.qd[first:stop],
            self.torque[first:steps],
            self.command[first:steps],
            np.any(outside, axis=1)[first + 1 : stop],
            self.saturated[first:steps],
            self.caution[first:steps],
            1e6 * seconds,
            self.failure,
        )


def _lead(config: BenchConfig) -> int:
    """Control steps for which the first pose is held."""
    return round(config.settle / config.control_dt)


def _led(config: BenchConfig, task: Task) -> Reference:
    """The reference with what is held before it."""
    lead = _lead(config)
    return task.reference.after_hold(lead) if lead else task.reference


def _samples(config: BenchConfig, task: Task) -> int:
    at_rest = np.abs(task.reference.qd[-1]).max() < 1e-3
    return _lead(config) + len(task.reference.q) + (round(config.hold / config.control_dt) if at_rest else 0)


def _windows(config: BenchConfig, tasks: list[Task], samples: int) -> Window:
    """Whole references as float32 arrays (batch, samples, ...), each held at rest after its end as in training."""
    references = [_led(config, task) for task in tasks]
    bank = stack_references(references + references[:1] * (config.batch - len(tasks)), samples)
    return Window(*(jnp.asarray(x, jnp.float32) for x in bank.samples))
