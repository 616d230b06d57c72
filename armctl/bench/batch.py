"""Run a batch of episodes side by side: one call of the controller, then one PyBullet step of every arm."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.bench.episode_log import EpisodeLog, check_commands, episode_samples, led
from armctl.bench.metrics import Episode
from armctl.bench.plan import BenchConfig, Task
from armctl.chain import Chain
from armctl.envs.bullet.plant import Plant
from armctl.motion.windows import stack_references
from armctl.plant.action import action_scale
from armctl.plant.observe import Measurement, Window
from armctl.plant.scenario import later, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin.episodes import single


class Policy(NamedTuple):
    """A controller compiled."""

    act: Callable[..., tuple[Any, Any, Any]]
    """(carry, q (B, n), qd (B, n), windows, k) -> (carry, command (B, n), caution (B,)); windows: a Window of whole
    references (B, T + preview, ...), out of which the step's preview is cut on the device."""
    estimates: Callable[[Any], dict[str, Any]]
    """carry -> what it takes the plants for, (B, ...) by name; nothing of one that estimates nothing."""


def horizon(config: BenchConfig, tasks: list[Task]) -> int:
    """The longest episode in samples, hold included; every batch is padded to it, so one compilation does."""
    return max(episode_samples(config, task) for task in tasks)


def make_policy(controller: Any) -> Policy:
    """The controller compiled, what it estimates apart, so that this is no part of its time per action."""
    graph, state = nnx.split(controller)
    preview, cautious = controller.preview, hasattr(controller, "caution")

    @jax.jit
    def policy(state: Any, carry: Any, q: Any, qd: Any, windows: Window, k: Any) -> tuple[Any, Any, Any]:
        window = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, k, preview + 1, axis=1), windows)
        module = nnx.merge(graph, state)
        carry, command = module(carry, Measurement(q, qd), window)
        return carry, command, module.caution(carry) if cautious else jnp.zeros(len(q))

    @jax.jit
    def estimates(state: Any, carry: Any) -> dict[str, Any]:
        return estimates_of(nnx.merge(graph, state), carry)

    tells = hasattr(controller, "estimates")
    return Policy(partial(policy, state), partial(estimates, state) if tells else lambda carry: {})


def estimates_of(controller: Any, carry: Any) -> dict[str, Any]:
    """What a controller takes the plants for, (B, ...) by name; nothing of one that estimates nothing."""
    if not hasattr(controller, "estimates"):
        return {}
    told = controller.estimates(carry)
    return dict(told) if isinstance(told, Mapping) else told._asdict()


def command_limit(chain: Chain, servo: ServoConfig) -> np.ndarray:
    """The largest command that the environment hands on, (m,), in units of the control mode.

    Its action range ends at the velocity limit; a torque is limited by the servo itself.
    """
    scale = action_scale(chain, servo)
    return scale if servo.control == "velocity" else np.full_like(scale, np.inf)


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
    plants = [Plant(chain, servo, scene=task.scene) for task in tasks]
    try:
        logs = [_begin(config, chain, task, plant) for task, plant in zip(tasks, plants, strict=True)]
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
    logs: list[EpisodeLog],
    samples: int,
) -> float:
    """Step until every episode is over; return the controller's time per action, s."""
    windows = padded_windows(config, tasks, samples + controller.preview)
    carry, spent, calls = told_carry(config, controller, tasks, chain), 0.0, 0
    reach = command_limit(chain, logs[0].plant.config)
    state = np.zeros((2, config.batch, chain.n), np.float32)
    for k in range(max(log.steps for log in logs)):
        for row, log in enumerate(logs):
            if log.active(k):
                state[:, row] = log.plant.measure()
        state[:, len(logs) :] = state[:, :1]
        start = time.perf_counter()
        try:
            carry, command, caution = policy.act(carry, state[0], state[1], windows, k)
            command, caution = np.asarray(command, np.float64), np.asarray(caution)
            check_commands(command[0], reach.shape, controller.control)
            took = time.perf_counter() - start
            told = {name: np.asarray(value) for name, value in policy.estimates(carry).items()}
        except Exception as error:
            for log in logs:
                if log.active(k):
                    log.fail_by(k, error)
            break
        if k:  # the first call may compile
            spent, calls = spent + took, calls + 1
        for row, log in enumerate(logs):
            if log.active(k):
                estimates = {name: value[row] for name, value in told.items()}
                _step(log, k, command[row], reach, float(caution[row]), estimates)
    return spent / max(1, calls * config.batch)


def _begin(config: BenchConfig, chain: Chain, task: Task, plant: Plant) -> EpisodeLog:
    q, qd = task.reference.start
    plant.reset(later(task.scenario, config.settle), q, 0 * qd if config.settle else qd)
    return EpisodeLog(config, chain, task, plant)


def _step(
    log: EpisodeLog, k: int, command: np.ndarray, reach: np.ndarray, caution: float, estimates: dict[str, Any]
) -> None:
    if not np.isfinite(command).all():
        log.fail(k, "command is not finite")
        return
    command = np.clip(command, -reach, reach)
    log.plant.step(command)
    log.stepped(k, command, caution, estimates)


def told_carry(config: BenchConfig, controller: Any, tasks: list[Task], chain: Chain) -> Any:
    """The controller's memory at the start, with the true plants in it where it is one that is told of them."""
    carry = controller.init_carry((config.batch,))
    if getattr(controller, "family", "") != "oracle" or not hasattr(controller, "told"):
        return carry
    scenarios = [later(task.scenario, config.settle) for task in tasks]
    plants = [plant_params(chain, scenario) for scenario in scenarios + scenarios[:1] * (config.batch - len(tasks))]
    return controller.told(carry, single(stack_params(plants)))


def padded_windows(config: BenchConfig, tasks: list[Task], samples: int) -> Window:
    """Whole references as float32 arrays (batch, samples, ...), each held at rest after its end as in training."""
    references = [led(config, task) for task in tasks]
    bank = stack_references(references + references[:1] * (config.batch - len(tasks)), samples)
    return Window(*(jnp.asarray(x, jnp.float32) for x in bank.samples))
