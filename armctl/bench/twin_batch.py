"""Run a batch of episodes side by side in the twin: controller and arms in one program.

What differs from PyBullet: single precision, and joints run through their stops, as everywhere where the twin is asked
for speed; in which episodes a joint was at one stands in `joint_limit_violations`. They run through the bodies of a
scene too, which `scene_contact` tells.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl import geometry
from armctl.arm import Arm
from armctl.bench.batch import command_limit, estimates_of, padded_windows, told_carry
from armctl.bench.episode_log import Recorded, check_commands, episode_samples, made_episode, raised
from armctl.bench.metrics import Episode
from armctl.bench.plan import BenchConfig, Task
from armctl.chain import Chain
from armctl.kinematics import forward_kinematics
from armctl.plant.observe import Window
from armctl.plant.scenario import PlantParams, later, plant_params, stack_params
from armctl.plant.servo import TOP_SPEED, ServoConfig
from armctl.scene.body import Scene
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
    contact: Any
    estimates: dict[str, Any]


def make_roll(config: BenchConfig, chain: Chain, controller: Any, samples: int, scene: Scene | None = None) -> Roll:
    """What runs at most `config.batch` tasks in the twin and returns what happened, in their order.

    samples: padded length of every reference, from `horizon`; scene: that of the tasks. As `run_batch` in all else, but
    that an action's time is that of controller and twin together. Compiled for every set of effects that the plants of
    a batch have.
    """
    servo = ServoConfig(control=controller.control, physics_dt=config.physics_dt, control_dt=config.control_dt)
    setting = Setting(single(Arm.from_chain(chain)), servo, controller.preview, scene=scene)
    program, rest = _program(setting, chain, controller, samples - 1)
    compiled: dict[Any, Any] = {}  # apart, so that it is no part of an action's time

    def roll(tasks: list[Task]) -> list[Episode]:
        filled = tasks + tasks[:1] * (config.batch - len(tasks))
        start = [task.reference.start for task in filled]
        q, qd = (jnp.asarray(np.stack(column), jnp.float32) for column in zip(*start, strict=True))
        tip = jax.device_get(forward_kinematics(setting.arm, q))
        scenarios = [later(task.scenario, config.settle) for task in filled]
        plants = single(stack_params([plant_params(chain, scenario) for scenario in scenarios]))
        try:
            windows = padded_windows(config, tasks, samples + controller.preview)
            carry = told_carry(config, controller, tasks, chain)
            given = rest, plants, windows, q, 0 * qd if config.settle else qd, carry
            shapes = jax.tree.structure(given), tuple(np.shape(leaf) for leaf in jax.tree.leaves(given))
            compiled[shapes] = compiled.get(shapes) or program.lower(*given).compile()
            began = time.perf_counter()
            steps = jax.device_get(compiled[shapes](*given))
        except Exception as error:
            return [_failed(config, chain, task, _start(start[i], tip[i]), error) for i, task in enumerate(tasks)]
        seconds = (time.perf_counter() - began) / ((samples - 1) * config.batch)
        rows = [_row(steps, _start(start[i], tip[i]), i) for i in range(len(tasks))]
        return [_episode(config, chain, task, row, seconds) for task, row in zip(tasks, rows, strict=True)]

    return roll


def _program(setting: Setting, chain: Chain, controller: Any, count: int) -> tuple[Any, Any]:
    """The rollout of a batch over `count` control steps, jitted, and its first argument, the controller's state."""
    graph, rest = nnx.split(controller)
    limit, cautious = command_limit(chain, setting.servo).astype(np.float32), hasattr(controller, "caution")

    def rollout(rest: Any, plants: PlantParams, windows: Window, q: Any, qd: Any, carry: Any) -> _Steps:
        module = nnx.merge(graph, rest)

        def step(before: Any, k: Any) -> tuple[Any, _Steps]:
            state, carry = before
            window = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, k, setting.preview + 1, axis=1), windows)
            carry, command = module(carry, measured(plants, state), window)
            check_commands(command[0], limit.shape, setting.servo.control)
            command = jnp.clip(command, -limit, limit)
            state, info = hold(setting, plants, state, command)
            tip = forward_kinematics(setting.arm, state.q)
            caution = module.caution(carry) if cautious else jnp.zeros(len(q))
            told = estimates_of(module, carry)
            contact = jnp.zeros(len(q), bool) if info.contact is None else info.contact
            return (state, carry), _Steps(
                state.q, state.qd, tip, info.torque, command, info.saturation > 0, caution, contact, told
            )

        state = reset(setting.arm, setting.servo, q, qd, plants)
        return jax.lax.scan(step, (state, carry), jnp.arange(count))[1]

    return jax.jit(rollout), rest


def _start(state: tuple[np.ndarray, np.ndarray], tip: np.ndarray) -> Recorded:
    """The record of an arm as an episode starts. state: q and qd (n,); tip: (4, 4)."""
    q, qd = (np.asarray(x, float)[None] for x in state)
    pose, nothing = geometry.matrix_to_pose(tip.astype(float))[None], np.zeros((0, q.shape[1]))
    return Recorded(pose, q, qd, nothing, nothing, np.zeros(0, bool), np.zeros(0), np.zeros(0, bool), {})


def _row(steps: _Steps, start: Recorded, i: int) -> Recorded:
    """What was recorded of one arm."""
    q, qd, tips, torque, command, saturated, caution, contact = (np.asarray(x[:, i]) for x in steps[:-1])
    with np.errstate(invalid="ignore"):
        pose = geometry.matrix_to_pose(tips.astype(float))
    return Recorded(
        np.concatenate([start.pose, pose]),
        np.concatenate([start.q, q]),
        np.concatenate([start.qd, qd]),
        torque.astype(float),
        command.astype(float),
        saturated,
        caution.astype(float),
        contact,
        {name: np.asarray(values[:, i], np.float32) for name, values in steps.estimates.items()},
    )


def _failed(config: BenchConfig, chain: Chain, task: Task, start: Recorded, error: BaseException) -> Episode:
    """The record of a task whose controller raised something as it was compiled or run."""
    reason, traceback = raised(error)
    return made_episode(config, chain, task, start, 0, 0.0, f"{reason} at 0.00 s", traceback)


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
