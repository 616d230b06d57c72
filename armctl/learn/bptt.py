"""Back-propagation through the twin: the routine that tunes every controller, from two gains to a network."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from armctl.controllers.base import Controller, Gain
from armctl.errors import UsageError
from armctl.learn import rollout
from armctl.learn.losses import Objective, pose_score
from armctl.learn.rollout import Episodes, Setting, Task


@dataclass(frozen=True)
class TrainConfig:
    """One tuning budget."""

    updates: int = 600
    """Gradient updates."""
    batch: int = 128
    """Episodes under way at a time."""
    horizon: int = 24
    """Control steps per window through which the gradient runs."""
    segment: int = 0
    """Control steps between those that are kept for the backward pass, which rolls the rest again: bounds the memory of
    a long horizon. It divides horizon; 1 keeps least, 0 keeps everything and is fastest."""
    learning_rate: float = 2e-3
    """Peak of Adam's rate for network weights (cosine to a fiftieth)."""
    gain_rate: float = 0.03
    """The same for gains, whose logarithms are tuned."""
    clip: float = 1.0
    """Global norm at which gradients are clipped."""
    chunk: int = 25
    """Updates per compiled call, which is also how often progress is logged; updates are a multiple of it."""
    patience: int = 50
    """Consecutive non-finite updates after which training stops with the last good parameters."""
    seed: int = 0
    """Seed of the episodes."""
    objective: Objective = field(default_factory=Objective)
    """Weights of the loss."""

    def __post_init__(self):
        for name in ("updates", "batch", "horizon", "chunk"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; training needs at least 1.")
        if self.updates % min(self.chunk, self.updates):
            raise UsageError(f"updates is {self.updates}, no multiple of chunk, {self.chunk}; choose one that is.")
        if self.segment < 0 or (self.segment and self.horizon % self.segment):
            raise UsageError(
                f"segment is {self.segment}, no divisor of horizon, {self.horizon}; choose one, or 0 to keep everything."
            )


class Learner(NamedTuple):
    """Everything that training carries; a pytree of arrays, so that a run can be resumed exactly."""

    params: Any
    optimiser: Any
    episodes: Episodes
    key: Any
    update: Any
    best: Any  # parameters after the chunk of updates with the lowest score
    score: Any  # that score, mm


class NonFiniteError(RuntimeError):
    """Training met too many non-finite updates in a row; `learner` holds the last good parameters."""

    def __init__(self, message: str, learner: Learner):
        super().__init__(message)
        self.learner = learner


def optimiser(config: TrainConfig) -> optax.GradientTransformation:
    """Clipped Adam on a cosine rate; an update with non-finite gradients is skipped."""

    def adam(peak):
        return optax.adam(optax.cosine_decay_schedule(peak, config.updates, alpha=0.02), b1=0.7, b2=0.95)

    kinds = {"gain": adam(config.gain_rate), "weight": adam(config.learning_rate)}
    steps = optax.chain(optax.clip_by_global_norm(config.clip), optax.multi_transform(kinds, _kinds))
    return optax.apply_if_finite(steps, max_consecutive_errors=2**31 - 1)


def _kinds(params):
    """Label every parameter as a gain or a weight."""
    return jax.tree.map(lambda x: "gain" if isinstance(x, Gain) else "weight", params, is_leaf=_is_param)


def _is_param(x) -> bool:
    return isinstance(x, nnx.Param)


def begin(controller: Controller, setting: Setting, task: Task, config: TrainConfig) -> Learner:
    """The learner before its first update."""
    params = nnx.state(controller, nnx.Param)
    key = jax.random.key(config.seed)
    key, k = jax.random.split(key)
    episodes = rollout.start(setting, task, controller, k, config.batch, config.horizon)
    opt = optimiser(config).init(params)
    return Learner(params, opt, episodes, key, jnp.zeros((), jnp.int32), params, jnp.full((), jnp.inf, jnp.float32))


def make_update(controller: Controller, setting: Setting, task: Task, config: TrainConfig) -> Callable:
    """Compiled function of a learner: one chunk of updates -> learner, metrics (chunk,) each."""
    graph, _, *rest = nnx.split(controller, nnx.Param, ...)
    optimise = optimiser(config)
    widths = config.objective.delta_start, config.objective.delta_end

    def loss_of(params, episodes, delta):
        module = nnx.merge(graph, params, *rest)
        after, (loss, errors) = rollout.advance(
            setting, task, module, episodes, config.objective, delta, config.horizon, config.segment
        )
        return jnp.mean(loss), (after, errors)

    def update(learner: Learner, _):
        key, k = jax.random.split(learner.key)
        module = nnx.merge(graph, learner.params, *rest)
        episodes = rollout.renew(setting, task, module, k, learner.episodes, config.horizon)
        delta = widths[0] * (widths[1] / widths[0]) ** (learner.update / config.updates)
        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (after, errors)), grads = gradient(learner.params, episodes, delta)
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

    def chunk(learner: Learner):
        after, metrics = jax.lax.scan(update, learner, length=min(config.chunk, config.updates))
        score = jnp.mean(metrics["score"])
        better = score < learner.score
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), after.params, learner.best)
        return after._replace(best=best, score=jnp.where(better, score, learner.score)), metrics

    return jax.jit(chunk)


def train(
    controller: Controller,
    setting: Setting,
    task: Task,
    config: TrainConfig,
    learner: Learner | None = None,
    on_chunk: Callable[[Learner, dict], None] | None = None,
) -> Learner:
    """Tune a controller's parameters by the gradient through twin rollouts and leave the best in the controller.

    The best are those after the chunk of updates with the lowest score, a pose error of fixed width: gains tuned up to
    the edge of stability make the last ones no better than others.

    learner: where to continue, from `begin` when None; on_chunk: called with the learner and a row of metrics after
    every chunk (progress, checkpoints). Raises NonFiniteError after `patience` non-finite updates in a row; the
    controller then holds the best parameters until then.
    """
    learner = begin(controller, setting, task, config) if learner is None else learner
    nnx.update(controller, learner.best)
    step = make_update(controller, setting, task, config)
    while int(learner.update) < config.updates:
        started = time.perf_counter()
        learner, metrics = step(learner)
        row = {name: float(np.mean(value)) for name, value in metrics.items()}
        row["non_finite"] = int(metrics["non_finite"][-1])
        row = {"update": int(learner.update), **row, "seconds": time.perf_counter() - started}
        nnx.update(controller, learner.best)
        if on_chunk is not None:
            on_chunk(learner, row)
        if row["non_finite"] >= config.patience:
            raise NonFiniteError(
                f"Training of {type(controller).__name__} stopped at update {row['update']}: {row['non_finite']} "
                f"gradients in a row were not finite; the last good parameters are kept. Lower learning_rate "
                f"({config.learning_rate}) or horizon ({config.horizon}).",
                learner,
            )
    return learner
