"""Closed-loop rollouts of a controller in the twin, in windows with carried state, and their loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from armctl.controllers.base import Controller
from armctl.learn.losses import Objective, step_loss
from armctl.motion.windows import windows
from armctl.twin import episodes as ep
from armctl.twin import measured
from armctl.twin.episodes import Episodes, Setting, Task
from armctl.typing import Array, Scalar

Step = Callable[[Episodes, None], tuple[Episodes, tuple[Array, tuple[Array, Array]]]]
"""step(episodes, _) -> episodes, (loss (B,), squared errors (B,) m^2 and rad^2)."""


def start(setting: Setting, task: Task, controller: Controller, key: Array, batch: int, horizon: int) -> Episodes:
    """Fresh episodes at random references, plants and phases, moving with the reference."""
    return told(controller, task, ep.drawn(setting, task, key, batch, horizon, controller.init_carry((batch,))))


def renew(
    setting: Setting, task: Task, controller: Controller, key: Array, episodes: Episodes, horizon: int
) -> Episodes:
    """Replace episodes that have diverged or whose reference ends within the next window."""
    fresh = controller.init_carry(episodes.step.shape)
    return told(controller, task, ep.renewed(setting, task, key, episodes, horizon, fresh))


def whole(setting: Setting, task: Task, controller: Controller) -> Episodes:
    """One episode of every reference of the task from its first sample on, with the plants in turn."""
    each = np.arange(len(task.bank.length))
    return first(setting, task, controller, each, each % len(task.plants.mass))


def first(setting: Setting, task: Task, controller: Controller, reference: Array, plant: Array) -> Episodes:
    """Episodes of references on plants, (E,) numbers each, from the first sample on."""
    q, qd = (jnp.asarray(x)[reference, 0] for x in (task.bank.samples.q, task.bank.samples.qd))
    at = jnp.asarray(reference), jnp.asarray(plant), jnp.zeros(len(reference), jnp.int32)
    return told(controller, task, ep.start(setting, task, q, qd, *at, controller.init_carry((len(reference),))))


def told(controller: Controller, task: Task, episodes: Episodes) -> Episodes:
    """The episodes with their true plants in the controller's memory, if it is one that is told of them."""
    return episodes._replace(carry=controller.told(episodes.carry, ep.plants_of(task, episodes)))


def advance(
    setting: Setting,
    task: Task,
    controller: Controller,
    episodes: Episodes,
    objective: Objective,
    delta: Scalar,
    horizon: int,
    segment: int = 0,
) -> tuple[Episodes, tuple[Array, tuple[Array, Array]]]:
    """Roll a window of control steps -> episodes after it, per-step loss (H, B), squared errors (H, B) m^2, rad^2.

    Differentiable in the controller's parameters; the carried state at the window's start is a constant. segment: the
    backward pass keeps the episodes at every segment-th step only and rolls the steps between again (Chen et al. 2016);
    it divides horizon, and 0 keeps everything.
    """
    step = stepper(setting, task, controller, episodes, objective, delta)
    if not segment:
        return jax.lax.scan(step, episodes, length=horizon)

    def stretch(episodes: Episodes, _: None) -> tuple[Episodes, Any]:
        return jax.lax.scan(step, episodes, length=segment)

    # within a scan XLA cannot merge the second roll with the first, so nothing need be done to prevent it
    again = jax.checkpoint(stretch, prevent_cse=False)
    after, rows = jax.lax.scan(again, episodes, length=horizon // segment)
    return after, jax.tree.map(lambda x: x.reshape(horizon, *x.shape[2:]), rows)


def stepper(
    setting: Setting, task: Task, controller: Controller, episodes: Episodes, objective: Objective, delta: Scalar
) -> Step:
    """One control step of a batch of episodes, as `advance` scans it."""
    plants = ep.plants_of(task, episodes)
    bank = jax.tree.map(jnp.asarray, task.bank)
    scale = setting.arm.effort if setting.servo.control == "torque" else setting.arm.velocity

    def step(episodes: Episodes, _: None) -> tuple[Episodes, tuple[Array, tuple[Array, Array]]]:
        m = measured(plants, episodes.state)
        w = windows(bank, episodes.reference, episodes.step, setting.preview)
        carry, command = controller(episodes.carry, m, w)
        state, _info = ep.hold(setting, plants, episodes.state, command)
        target = (w.q[:, 1], w.p[:, 1], w.R[:, 1])
        previous = jnp.where((episodes.state.step == 0)[:, None], command, episodes.command)
        loss, errors = step_loss(objective, setting.arm, scale, delta, (state.q, state.qd), command, previous, target)
        loss = loss + objective.model * controller.model_loss(carry)
        alive = episodes.alive & (errors[0] < 0.3**2) & jnp.all(jnp.isfinite(state.q), -1)
        after = episodes._replace(state=state, carry=carry, command=command, step=episodes.step + 1, alive=alive)
        return after, (jnp.where(alive, loss, 0.0), errors)

    return step
