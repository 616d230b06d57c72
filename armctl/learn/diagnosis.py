"""Why an update was not finite: its window is rolled again with all that it computes laid open.

This happens once, after training has given up, so that it costs nothing while all is well.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.controllers.base import Controller
from armctl.learn import rollout
from armctl.learn.learner import Learner, TrainConfig, next_window, placement
from armctl.twin import nonfinite
from armctl.twin.episodes import Episodes, Setting, Task
from armctl.twin.nonfinite import Breakdown
from armctl.typing import Array

Work = Callable[[Controller, Setting, Task, TrainConfig], Callable[[Learner], Any]]


def explain(
    controller: Controller,
    setting: Setting,
    task: Task,
    config: TrainConfig,
    devices: Sequence[jax.Device] | None,
    learner: Learner,
) -> Breakdown | None:
    """What first was not finite in the next update of a learner; None where the window, rolled again, is sound.

    In this order: command, torque, velocity and position of the joints, tip error, loss, and where all these are
    finite the gradient, carried back from the window's end. Steps count from the window's start.
    """
    where = placement(config, devices)

    def laid_open(work: Work) -> Callable[[Learner], Any]:
        return jax.jit(work(controller, setting, task, config), in_shardings=(where,), out_shardings=where.update)

    episodes, states, trace = jax.tree.map(np.asarray, laid_open(_forward)(learner))
    broken = nonfinite.first_break(trace)
    if broken is None:
        adjoint, grads = jax.tree.map(np.asarray, laid_open(_backward)(learner))
        broken = gradient_break(adjoint, grads)
        return broken and _introduced(broken, setting, episodes)
    i, t = broken.arm, broken.step
    plant = jax.tree.map(lambda x: np.asarray(x)[episodes.plant[i]], task.plants)
    before = jax.tree.map(lambda x, y: (y if t == 0 else x[t - 1])[i], states, episodes.state)
    broken = nonfinite.refine(setting.arm, setting.servo, plant, before, trace["command"][t, i], broken, stops=False)
    return _introduced(broken, setting, episodes)


def _introduced(broken: Breakdown, setting: Setting, episodes: Episodes) -> Breakdown:
    """The same with the arm's plant and reference."""
    reference = int(episodes.reference[broken.arm])
    name = repr(setting.names[reference]) if setting.names else str(reference)
    return replace(broken, who=f"{setting.arm.name}, plant {episodes.plant[broken.arm]}, reference {name}")


def _opened(
    controller: Controller, setting: Setting, task: Task, config: TrainConfig
) -> Callable[[Any, Learner], tuple[rollout.Step, Episodes]]:
    """Function of (params, learner): the step of the learner's next window, and the episodes it starts from."""
    graph, _, *rest = nnx.split(controller, nnx.Param, ...)

    def window(params: Any, learner: Learner) -> tuple[rollout.Step, Episodes]:
        module = nnx.merge(graph, params, *rest)
        _, episodes, delta = next_window(module, setting, task, config, learner)
        return rollout.stepper(setting, task, module, episodes, config.objective, delta), episodes

    return window


def _forward(controller: Controller, setting: Setting, task: Task, config: TrainConfig) -> Callable[[Learner], Any]:
    """Function of a learner: episodes at the start of its next window, states (H, B, ...), quantities (H, B, ...)."""
    window = _opened(controller, setting, task, config)

    def roll(learner: Learner) -> tuple[Episodes, Any, dict[str, Array]]:
        step, episodes = window(learner.params, learner)

        def keep(episodes: Episodes, _: None) -> tuple[Episodes, tuple[Any, ...]]:
            after, (loss, errors) = step(episodes, None)
            return after, (after.state, after.command, jnp.sqrt(errors[0]), loss)

        _, (states, command, tip, loss) = jax.lax.scan(keep, episodes, length=config.horizon)
        trace = {"command": command, "qd": states.qd, "q": states.q, "tip error": tip, "loss": loss}
        return episodes._replace(carry=()), states, trace

    return roll


def _backward(controller: Controller, setting: Setting, task: Task, config: TrainConfig) -> Callable[[Learner], Any]:
    """Function of a learner: gradient of its next window's loss in q at every step (H, B, n), and in parameters."""
    window = _opened(controller, setting, task, config)

    def loss_of(params: Any, nudges: Array, learner: Learner) -> Array:
        step, episodes = window(params, learner)

        def moved(episodes: Episodes, nudge: Array) -> tuple[Episodes, Any]:
            state = episodes.state
            return step(episodes._replace(state=state._replace(q=state.q + nudge)), None)

        return jnp.mean(jax.lax.scan(jax.checkpoint(moved, prevent_cse=False), episodes, nudges)[1][0])

    def grad(learner: Learner) -> tuple[Array, Any]:
        nudges = jnp.zeros((config.horizon, *learner.episodes.state.q.shape), learner.episodes.state.q.dtype)
        in_params, in_q = jax.grad(loss_of, (0, 1))(learner.params, nudges, learner)
        return in_q, in_params

    return grad


def gradient_break(adjoint: np.ndarray, grads: Any) -> Breakdown | None:
    """Where the gradient, going back in time, first was not finite, and the first parameter that it reached."""
    reached = [path for path, x in nnx.to_flat_state(grads) if not np.isfinite(np.asarray(x[...])).all()]
    broken = nonfinite.first_break({"gradient of the loss in q": adjoint[::-1]})
    if broken is None:
        return None
    last = len(adjoint) - 1
    cause = f"The rollout itself is finite; the gradient runs back from control step {last}"
    cause += f" and reached parameter {'/'.join(map(str, reached[0]))}." if reached else "."
    return replace(broken, step=last - broken.step, cause=cause)


def remedy(setting: Setting, config: TrainConfig, broken: Breakdown | None) -> str:
    """What to change, in a sentence; empty where the breakdown says it itself."""
    rates = f"learning_rate ({config.learning_rate:g}) or gain_rate ({config.gain_rate:g})"
    if broken is None or broken.quantity.startswith("gradient"):
        return f"Lower horizon ({config.horizon}), {rates}."
    if "correct the plant" in broken.cause:
        return ""
    return f"Lower {rates}, or physics_dt ({setting.servo.physics_dt:g} s), at which such high gains are not stable."
