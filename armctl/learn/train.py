"""Back-propagation through the twin: the routine that tunes every controller, from two gains to a network."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import PartitionSpec

from armctl.controllers.base import Controller
from armctl.controllers.filter_bank import FilterBank
from armctl.errors import NonFiniteError, UnstableError
from armctl.learn import devices as dv
from armctl.learn import rollout
from armctl.learn.calibration import calibrate
from armctl.learn.diagnosis import explain, remedy
from armctl.learn.fresh import Exchange
from armctl.learn.learner import Learner, TrainConfig, begin, next_window, optimiser, place, placement
from armctl.learn.losses import episode_weights, pose_score
from armctl.learn.validation import Validation, better
from armctl.twin.episodes import Episodes, Setting, Task
from armctl.typing import Array


def make_gradient(
    controller: Controller, setting: Setting, config: TrainConfig, devices: Sequence[jax.Device] | None
) -> Callable[..., Any]:
    """Function of (params, task, episodes, delta): a window -> mean loss, its gradient, episodes after, squared errors.

    Every device rolls its own episodes, and the means over devices are taken once, at the end: left to itself XLA adds
    the gradient up over devices after every control step of the backward pass.
    """
    graph, _, *rest = nnx.split(controller, nnx.Param, ...)

    def loss_of(params: Any, task: Task, episodes: Episodes, delta: Array) -> tuple[Array, tuple[Episodes, Any]]:
        module = nnx.merge(graph, params, *rest)
        after, (loss, errors) = rollout.advance(
            setting, task, module, episodes, config.objective, delta, config.horizon, config.segment
        )
        weights = episode_weights(config.objective, errors, after.alive, delta)
        return jnp.mean(weights * loss), (after, errors)

    def here(params: Any, task: Task, episodes: Episodes, delta: Array) -> tuple[Any, ...]:
        (loss, (after, errors)), grads = jax.value_and_grad(loss_of, has_aux=True)(params, task, episodes, delta)
        return *jax.lax.pmean((loss, grads), dv.AXIS), after, errors

    mesh = dv.shardings(config.batch, devices)[0].mesh
    cut, whole, rows = PartitionSpec(dv.AXIS), PartitionSpec(), PartitionSpec(None, dv.AXIS)
    return jax.shard_map(
        here,
        mesh=mesh,
        in_specs=(whole, whole, cut, whole),
        out_specs=(whole, whole, cut, rows),
        check_vma=False,
    )


def make_update(
    controller: Controller,
    setting: Setting,
    config: TrainConfig,
    devices: Sequence[jax.Device] | None = None,
    length: int | None = None,
) -> Callable[[Learner, Task], tuple[Learner, dict[str, Array]]]:
    """Compiled function of a learner and a task: one chunk of updates -> learner, metrics (chunk,) each.

    The learner lives on the devices as `placement` says. length: updates in the chunk, config.chunk when None.
    """
    graph, _, *rest = nnx.split(controller, nnx.Param, ...)
    optimise, where = optimiser(config), placement(config, devices)
    gradient = make_gradient(controller, setting, config, devices)

    def update(learner: Learner, task: Task) -> tuple[Learner, dict[str, Array]]:
        module = nnx.merge(graph, learner.params, *rest)
        key, episodes, delta = next_window(module, setting, task, config, learner)
        loss, grads, after, errors = gradient(learner.params, task, episodes, delta)
        changes, opt = optimise.update(grads, learner.optimiser, learner.params)
        params = optax.apply_updates(learner.params, changes)
        metrics = {
            "loss": loss,
            "score": pose_score(config.objective, errors, after.alive),
            "position_rms_mm": 1e3 * jnp.sqrt(jnp.mean(jnp.where(after.alive, errors[0], 0.0))),
            "orientation_rms_deg": jnp.degrees(jnp.sqrt(jnp.mean(jnp.where(after.alive, errors[1], 0.0)))),
            "diverged": jnp.mean(~after.alive),
            "gradient_norm": optax.tree.norm(grads),
            "non_finite": opt.notfinite_count,
        }
        moved = {"params": params, "optimiser": opt, "episodes": after, "key": key, "update": learner.update + 1}
        return learner._replace(**moved), metrics

    def chunk(learner: Learner, task: Task) -> tuple[Learner, dict[str, Array]]:
        count = length or min(config.chunk, config.updates)
        return jax.lax.scan(lambda learner, _: update(learner, task), learner, length=count)

    # the task is an argument, so that one program serves all data of one size
    return jax.jit(chunk, in_shardings=(where, where.update), out_shardings=(where, where.update))


def make_retire(
    config: TrainConfig, devices: Sequence[jax.Device] | None = None
) -> Callable[[Learner, Array], Learner]:
    """Compiled function of a learner and replaced (N,): its episodes on references that were replaced are over."""
    where = placement(config, devices)

    def retire(learner: Learner, replaced: Array) -> Learner:
        episodes = learner.episodes
        return learner._replace(episodes=episodes._replace(alive=episodes.alive & ~replaced[episodes.reference]))

    return jax.jit(retire, in_shardings=(where, where.update), out_shardings=where)


def train(
    controller: Controller,
    setting: Setting,
    task: Task,
    config: TrainConfig,
    learner: Learner | None = None,
    on_chunk: Callable[[Learner, dict[str, float]], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
    held_out: Task | None = None,
    exchange: Callable[[Learner], Exchange | None] | None = None,
) -> Learner:
    """Tune a controller's parameters by the gradient through twin rollouts and leave the best in the controller.

    The best are those that do best on `held_out`, episodes of other motions and plants, and whose loop contracts there
    (learn/validation.py), and what training starts from is among the candidates; without it those after the chunk of
    updates with the lowest training error since all references were exchanged last.

    learner: where to continue, from `begin` when None; on_chunk: called with the learner and a row of metrics after
    every chunk (progress, checkpoints); devices: among which the episodes are divided, all of jax.devices() when None;
    exchange: called before every chunk for another task of the same sizes to go on with, or None to keep the one.
    Raises NonFiniteError after `patience` non-finite updates in a row, and UnstableError where no parameters were found
    whose loop contracts on every plant; the controller then holds the best parameters until then.
    """
    learner = begin(controller, setting, task, config) if learner is None else learner
    judge = _Judge(controller, setting, held_out, config, learner)
    learner = place(learner, config, devices)
    nnx.update(controller, dv.local(learner.best))
    whole = min(config.chunk, config.updates)
    step = make_update(controller, setting, config, devices, whole)
    everywhere = dv.place(task, placement(config, devices).update)
    retire = make_retire(config, devices)
    while int(learner.update) < config.updates:
        started, told = time.perf_counter(), dict[str, float]()
        if exchange is not None and (new := exchange(learner)) is not None:
            task, told = new.task, new.row
            everywhere = dv.place(task, placement(config, devices).update)
            learner = retire(learner, dv.place(new.replaced, placement(config, devices).update))
            if new.replaced.all():  # errors on other motions do not compare with those before
                learner = learner._replace(score=jnp.full_like(learner.score, jnp.inf))
        before = learner
        left = config.updates - int(learner.update)
        if left < whole:  # a run whose updates were raised
            step = make_update(controller, setting, config, devices, left)
        learner, metrics = step(learner, everywhere)
        row = {name: float(np.mean(value)) for name, value in metrics.items()}
        row["non_finite"] = int(metrics["non_finite"][-1])
        learner, seen = judge(learner, row)
        row = {"update": int(learner.update), **row, **seen, **told, "seconds": time.perf_counter() - started}
        nnx.update(controller, dv.local(learner.best))
        if on_chunk is not None:
            on_chunk(learner, row)
        if row["non_finite"] >= config.patience:
            sound = max(0, len(metrics["non_finite"]) - int(row["non_finite"]))
            if sound:
                before, _ = make_update(controller, setting, config, devices, sound)(before, everywhere)
            raise _broken(controller, setting, task, config, devices, before, learner)
    judge.refuse_unstable(controller)
    if judge.validate is not None and isinstance(controller, FilterBank):
        calibrate(controller, judge.validate)
    return learner


class _Judge:
    """Which of the parameters that training comes by are the best."""

    def __init__(
        self, controller: Controller, setting: Setting, held_out: Task | None, config: TrainConfig, learner: Learner
    ) -> None:
        self.config = config
        self.validate = None if held_out is None else Validation(controller, setting, held_out, config)
        self.textbook = self.validate(nnx.state(controller, nnx.Param)) if self.validate else None
        resumed = self.validate is not None and int(learner.update) > 0
        self.best = self.validate(dv.local(learner.best)) if resumed and self.validate else self.textbook

    def __call__(self, learner: Learner, row: dict[str, float]) -> tuple[Learner, dict[str, float]]:
        """The learner with the best parameters so far, and what validation adds to the row of metrics."""
        if self.validate is None:
            if row["score"] < float(learner.score):
                learner = learner._replace(best=learner.params, score=jnp.full_like(learner.score, row["score"]))
            return learner, {}
        assert self.best is not None
        assert self.textbook is not None
        now, every = int(learner.update), self.config.validate_every
        before = now - min(self.config.chunk, self.config.updates)
        if now // every > before // every or now >= self.config.updates:
            found = self.validate(dv.local(learner.params), self.best.score if self.best.sound else jnp.inf)
            if better(found, self.best):
                self.best, learner = found, learner._replace(best=learner.params)
        return learner, {**self.best.row(), "textbook_position_rms_mm": self.textbook.position_rms_mm}

    def refuse_unstable(self, controller: Controller) -> None:
        """Raise UnstableError where even the best parameters are none that may be used."""
        if self.best is not None and not self.best.sound:
            raise UnstableError(
                f"No gains of {type(controller).__name__} were found whose loop contracts on every validation plant: "
                f"the best has {self.best.diverged} diverged episodes and contraction "
                f"{self.best.contraction:.3f} per control step, unstable on {len(self.best.unstable)} of "
                f"{self.config.validation} plants; tune it on a narrower scenario, or for more updates."
            )


def _broken(
    controller: Controller,
    setting: Setting,
    task: Task,
    config: TrainConfig,
    devices: Sequence[jax.Device] | None,
    before: Learner,
    learner: Learner,
) -> NonFiniteError:
    """The error that ends training; before: the learner whose next update was the first that was not finite."""
    breakdown = explain(controller, setting, task, config, devices, before)
    count = int(learner.optimiser.notfinite_count)
    what = f"At update {int(before.update) + 1}: {breakdown} " if breakdown else ""
    return NonFiniteError(
        f"Training of {type(controller).__name__} stopped at update {int(learner.update)}: {count} gradients in a row "
        f"were not finite; the last good parameters are kept. {what}{remedy(setting, config, breakdown)}",
        learner,
        breakdown,
    )
