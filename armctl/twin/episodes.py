"""Batched episodes of the twin: what they are drawn from, how they start, go on and are replaced.

Pure functions of NamedTuples, for learning, for the vector environment and for benches alike.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl.arm import Arm
from armctl.motion.windows import ReferenceBank
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig
from armctl.scene.body import Scene
from armctl.twin import motors
from armctl.twin.contact import touching_scene
from armctl.twin.step import TwinInfo, TwinState, reset, step
from armctl.typing import Array


class Task(NamedTuple):
    """What episodes are drawn from."""

    bank: ReferenceBank  # N references
    plants: PlantParams  # M true plants, leading axis


class Setting(NamedTuple):
    """The fixed part of episodes; not traced."""

    arm: Arm
    servo: ServoConfig
    preview: int
    motor: str = "servo"  # or "bullet"
    names: tuple[str, ...] = ()  # of the references of the task, for messages
    scene: Scene | None = None  # which arms pass through, but not unseen: info.contact of `hold` is whether they do


class Episodes(NamedTuple):
    """A batch of episodes under way."""

    state: TwinState
    carry: Any  # the controller's memory, a pytree of (B, ...) arrays
    command: Array  # (B, m) previous command or action
    reference: Array  # (B,) index into the bank
    plant: Array  # (B,) index into the plants
    step: Array  # (B,) control step on the reference
    alive: Array  # (B,) bool


def single(tree: Any) -> Any:
    """A pytree with its double-precision arrays in single precision."""
    return jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, tree)


def start(
    setting: Setting, task: Task, q: Array, qd: Array, reference: Array, plant: Array, step: Array, carry: Any
) -> Episodes:
    """Fresh episodes. q, qd: (B, n) rad, rad/s; reference, plant, step: (B,) as in Episodes; carry: initial memory."""
    state = reset(setting.arm, setting.servo, q, qd, _of(task.plants, plant))
    width = 6 if setting.servo.control == "ee_twist" else q.shape[-1]
    command = jnp.zeros((*q.shape[:-1], width), q.dtype)
    return Episodes(state, carry, command, reference, plant, step, jnp.ones(step.shape, bool))


def drawn(setting: Setting, task: Task, key: Array, batch: int, horizon: int, carry: Any) -> Episodes:
    """Fresh episodes at random references, plants and phases that leave `horizon` steps, moving with the reference."""
    k_ref, k_plant, k_step = jax.random.split(key, 3)
    reference = jax.random.randint(k_ref, (batch,), 0, task.bank.length.shape[0])
    plant = jax.random.randint(k_plant, (batch,), 0, task.plants.mass.shape[0])
    latest = jnp.maximum(jnp.asarray(task.bank.length)[reference] - horizon - 1, 1)
    step = (jax.random.uniform(k_step, (batch,)) * latest).astype(jnp.int32)
    q, qd = (jnp.asarray(x)[reference, step] for x in (task.bank.samples.q, task.bank.samples.qd))
    return start(setting, task, q, qd, reference, plant, step, carry)


def renewed(setting: Setting, task: Task, key: Array, episodes: Episodes, horizon: int, carry: Any) -> Episodes:
    """The same with fresh ones (`drawn`) where an episode is not alive or its reference ends within `horizon` steps."""
    fresh = drawn(setting, task, key, episodes.step.shape[0], horizon, carry)
    over = episodes.step + horizon + 1 > jnp.asarray(task.bank.length)[episodes.reference]
    return chosen(over | ~episodes.alive, fresh, episodes)


def chosen(mask: Array, a: Any, b: Any) -> Any:
    """Row by row of two pytrees of (B, ...) arrays, a's where the mask (B,) holds, else b's."""
    return jax.tree.map(lambda x, y: jnp.where(mask.reshape(-1, *([1] * (x.ndim - 1))), x, y), a, b)


def plants_of(task: Task, episodes: Episodes) -> PlantParams:
    """The true plant of every episode, leading axis (B,)."""
    return _of(task.plants, episodes.plant)


def _of(plants: PlantParams, index: Array) -> PlantParams:
    """Some of the plants, (B,) of (M,)."""
    return jax.tree.map(lambda x: jnp.asarray(x)[index], plants)


def hold(setting: Setting, plants: PlantParams, state: TwinState, command: Array) -> tuple[TwinState, TwinInfo]:
    """Hold a command (B, m) for one control step; joints run through their limits, as info.limit says.

    Stops would be solved for in every step in which any arm of the batch is at a limit, and compiled into every user.
    Where the setting has a scene, info.contact says which arms meet it at the end.
    """
    drive = motors.step if setting.motor == "bullet" else partial(step, stops=False)
    state, info = drive(setting.arm, setting.servo, plants, state, command)
    if setting.scene is None:
        return state, info
    q = jax.lax.stop_gradient(state.q)
    return state, info._replace(contact=touching_scene(setting.arm, setting.scene, q))
