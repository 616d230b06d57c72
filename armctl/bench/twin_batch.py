"""Run a batch of episodes side by side in the twin: controller and arms in one program.

What differs from PyBullet: single precision, and joints run through their stops, as everywhere where the twin is asked
for speed; in which episodes a joint was at one stands in `joint_limit_violations`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl import geometry
from armctl.arm import Arm
from armctl.bench.batch import padded_windows, told_carry
from armctl.bench.episode_log import Recorded, episode_samples, made_episode
from armctl.bench.metrics import Episode
from armctl.bench.plan import BenchConfig, Task
from armctl.chain import Chain
from armctl.kinematics import forward_kinematics
from armctl.plant.action import action_scale
from armctl.plant.observe import Window
from armctl.plant.scenario import PlantParams, later, plant_params, stack_params
from armctl.plant.servo import TOP_SPEED, ServoConfig
from armctl.twin import measured, reset
from armctl.twin.episodes import Setting, hold, single

Roll = Callable[[list[Task]], list[Episode]]


class _Steps(NamedTuple):
    """What is recorded of T control steps, (T, B, ...)."""

    q: Any
    qd: Any
    tip: Any  # (T, B, 4, 4)
    torque: Any
    command: Any
    saturated: Any
    caution: Any
    estimates: dict[str, Any]


def make_roll(config: BenchConfig, chain: Chain, controller: Any, samples: int) -> Roll:
    """What runs at most `config.batch` tasks in the twin and returns what happened, in their order; compiled once.

    samples: padded length of every reference, from `horizon`. As `run_batch` in all else; an action's time is that of
    controller and twin together.
    """
    servo = ServoConfig(control=controller.control, physics_dt=config.physics_dt, control_dt=config.control_dt)
    setting = Setting(single(Arm.from_chain(chain)), servo, controller.preview)
    program, rest = _program(setting, chain, controller)

    def roll(tasks: list[Task]) -> list[Episode]:
        filled = tasks + tasks[:1] * (config.batch - len(tasks))
        scenarios = [later(task.scenario, config.settle) for task in filled]
        plants = single(stack_params([plant_params(chain, scenario) for scenario in scenarios]))
        start = [task.reference.start for task in filled]
        q, qd = (jnp.asarray(np.stack(column), jnp.float32) for column in zip(*start, strict=True))
        windows = padded_windows(config, tasks, samples + controller.preview)
        carry = told_carry(config, controller, tasks, chain)
        began = time.perf_counter()
        steps = jax.device_get(program(rest, plants, windows, q, 0 * qd if config.settle else qd, carry, samples - 1))
        seconds = (time.perf_counter() - began) / ((samples - 1) * config.batch)
        at_start = jax.device_get(forward_kinematics(setting.arm, q))
        return [
            _episode(config, chain, task, _row(steps, start[i], at_start[i], i), seconds)
            for i, task in enumerate(tasks)
        ]

    return roll


def _program(setting: Setting, chain: Chain, controller: Any) -> tuple[Callable[..., _Steps], Any]:
    """The rollout of a batch, compiled, and the controller's parameters, its first argument."""
    graph, rest = nnx.split(controller)
    scale, cautious = action_scale(chain, setting.servo).astype(np.float32), hasattr(controller, "caution")
    # As in PyBullet: the environment's action range ends at the velocity limit, a torque is limited by the servo.
    reach = scale if setting.servo.control == "velocity" else np.full_like(scale, np.inf)

    def rollout(rest: Any, plants: PlantParams, windows: Window, q: Any, qd: Any, carry: Any, steps: int) -> _Steps:
        module = nnx.merge(graph, rest)

        def step(before: Any, k: Any) -> tuple[Any, _Steps]:
            state, carry = before
            window = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, k, setting.preview + 1, axis=1), windows)
            carry, command = module(carry, measured(plants, state), window)
            command = jnp.clip(command, -reach, reach)
            state, info = hold(setting, plants, state, command)
            tip = forward_kinematics(setting.arm, state.q)
            caution = module.caution(carry) if cautious else jnp.zeros(len(q))
            return (state, carry), _Steps(
                state.q, state.qd, tip, info.torque, command, info.saturation > 0, caution, _estimates(module, carry)
            )

        state = reset(setting.arm, setting.servo, q, qd, plants)
        return jax.lax.scan(step, (state, carry), jnp.arange(steps))[1]

    return jax.jit(rollout, static_argnums=6), rest


def _estimates(module: Any, carry: Any) -> dict[str, Any]:
    if not hasattr(module, "estimates"):
        return {}
    told = module.estimates(carry)
    return dict(told) if isinstance(told, Mapping) else told._asdict()


def _row(steps: _Steps, start: tuple[np.ndarray, np.ndarray], tip: np.ndarray, i: int) -> Recorded:
    """What was recorded of one arm."""
    q, qd, tips, torque, command, saturated, caution = (np.asarray(x[:, i]) for x in steps[:-1])
    with np.errstate(invalid="ignore"):
        pose = geometry.matrix_to_pose(np.concatenate([tip[None], tips]).astype(float))
    return Recorded(
        pose,
        np.concatenate([start[0][None], q]).astype(float),
        np.concatenate([start[1][None], qd]).astype(float),
        torque.astype(float),
        command.astype(float),
        saturated,
        caution.astype(float),
        {name: np.asarray(values[:, i], np.float32) for name, values in steps.estimates.items()},
    )


def _episode(config: BenchConfig, chain: Chain, task: Task, recorded: Recorded, seconds: float) -> Episode:
    """The record of a task: it ends where the command is not finite, or the motion is not or reaches PyBullet's cap."""
    end = episode_samples(config, task) - 1
    commanded = np.isfinite(recorded.command).all(axis=-1)[:end]
    with np.errstate(invalid="ignore"):
        fast = ~(np.abs(recorded.qd[1:]).max(axis=-1) < TOP_SPEED)
    moving = (np.isfinite(recorded.q[1:]).all(axis=-1) & ~fast)[:end]
    failure = ""
    if not (commanded & moving).all():
        end = int(np.argmin(commanded & moving))
        reason = "motion diverges" if commanded[end] else "command is not finite"
        failure = f"{reason} at {end * config.control_dt:.2f} s"
    return made_episode(config, chain, task, recorded, end, seconds, failure)
