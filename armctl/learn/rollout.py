"""Closed-loop rollouts of a controller in the twin, in windows with carried state."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.learn.losses import Objective, step_loss
from armctl.plant import twin
from armctl.plant.bank import ReferenceBank, windows
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig

Array = Any


class Task(NamedTuple):
    """What episodes are drawn from."""

    bank: ReferenceBank  # N references
    plants: PlantParams  # M true plants, leading axis


class Episodes(NamedTuple):
    """A batch of episodes under way."""

    state: twin.TwinState
    carry: Any
    command: Array  # (B, n) previous command
    reference: Array  # (B,) index into the bank
    plant: Array  # (B,) index into the plants
    step: Array  # (B,) control step on the reference
    alive: Array  # (B,) bool


class Setting(NamedTuple):
    """The fixed part of a rollout; not traced."""

    arm: Arm
    servo: ServoConfig
    preview: int
    max_latency: int
    pulses: bool
    names: tuple[str, ...] = ()  # of the references of the task, for messages


def command_scale(setting: Setting):
    """(n,) full-scale command of the control mode."""
    return setting.arm.effort if setting.servo.control == "torque" else setting.arm.velocity


def start(setting: Setting, task: Task, controller, key, batch: int, horizon: int) -> Episodes:
    """Fresh episodes at random references, plants and phases, at rest on the reference or moving with it."""
    k_ref, k_plant, k_step = jax.random.split(key, 3)
    reference = jax.random.randint(k_ref, (batch,), 0, task.bank.length.shape[0])
    plant = jax.random.randint(k_plant, (batch,), 0, task.plants.mass.shape[0])
    latest = jnp.maximum(jnp.asarray(task.bank.length)[reference] - horizon - 1, 1)
    step = (jax.random.uniform(k_step, (batch,)) * latest).astype(jnp.int32)
    q = jnp.asarray(task.bank.samples.q)[reference, step]
    qd = jnp.asarray(task.bank.samples.qd)[reference, step]
    state = twin.reset(setting.arm, setting.servo, q, qd, setting.max_latency)
    carry = controller.init_carry((batch,))
    return Episodes(state, carry, jnp.zeros_like(q), reference, plant, step, jnp.ones(batch, bool))


def renew(setting: Setting, task: Task, controller, key, episodes: Episodes, horizon: int) -> Episodes:
    """Replace episodes that have diverged or whose reference ends within the next window."""
    batch = episodes.step.shape[0]
    fresh = start(setting, task, controller, key, batch, horizon)
    over = episodes.step + horizon + 1 > jnp.asarray(task.bank.length)[episodes.reference]
    over = over | ~episodes.alive

    def pick(new, old):
        return jnp.where(over.reshape(-1, *([1] * (new.ndim - 1))), new, old)

    return jax.tree.map(pick, fresh, episodes)


def advance(
    setting: Setting,
    task: Task,
    controller,
    episodes: Episodes,
    objective: Objective,
    delta,
    horizon: int,
    segment: int = 0,
):
    """Roll a window of control steps -> episodes after it, per-step loss (H, B), squared errors (H, B) m^2, rad^2.

    Differentiable in the controller's parameters; the carried state at the window's start is a constant. segment: the
    backward pass keeps the episodes at every segment-th step only and rolls the steps between again (Chen et al. 2016);
    it divides horizon, and 0 keeps everything.
    """
    step = stepper(setting, task, controller, episodes, objective, delta)
    if not segment:
        return jax.lax.scan(step, episodes, length=horizon)

    def stretch(episodes, _):
        return jax.lax.scan(step, episodes, length=segment)

    # within a scan XLA cannot merge the second roll with the first, so nothing need be done to prevent it
    again = jax.checkpoint(stretch, prevent_cse=False)
    after, rows = jax.lax.scan(again, episodes, length=horizon // segment)
    return after, jax.tree.map(lambda x: x.reshape(horizon, *x.shape[2:]), rows)


def stepper(setting: Setting, task: Task, controller, episodes: Episodes, objective: Objective, delta):
    """One control step of a batch of episodes, as `advance` scans it: step(episodes, _) -> episodes, (loss, errors)."""
    plants = jax.tree.map(lambda x: jnp.asarray(x)[episodes.plant], task.plants)
    bank = jax.tree.map(jnp.asarray, task.bank)
    scale = command_scale(setting)

    def step(episodes, _):
        m = twin.measured(plants, episodes.state)
        w = windows(bank, episodes.reference, episodes.step, setting.preview)
        carry, command = controller(episodes.carry, m, w)
        # no stops: the loss keeps joints off their limits, and solving for stops would be compiled into every update
        state, _info = twin.step(
            setting.arm, setting.servo, plants, episodes.state, command, pulses=setting.pulses, stops=False
        )
        target = (w.q[:, 1], w.p[:, 1], w.R[:, 1])
        previous = jnp.where((episodes.state.step == 0)[:, None], command, episodes.command)
        loss, errors = step_loss(objective, setting.arm, scale, delta, (state.q, state.qd), command, previous, target)
        alive = episodes.alive & (errors[0] < 0.3**2) & jnp.all(jnp.isfinite(state.q), -1)
        after = episodes._replace(state=state, carry=carry, command=command, step=episodes.step + 1, alive=alive)
        return after, (jnp.where(alive, loss, 0.0), errors)

    return step
