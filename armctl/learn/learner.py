"""What a training run carries from update to update, with which settings, and on which devices."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from armctl.controllers.base import Controller, Gain
from armctl.errors import UsageError
from armctl.learn import devices as dv
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.settings import check_finite
from armctl.twin.episodes import Episodes, Setting, Task
from armctl.typing import Array


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
    learning_rate: float = 1e-2
    """Peak of Adam's rate for network weights (cosine to a fiftieth)."""
    gain_rate: float = 0.02
    """The same for gains, whose logarithms are tuned."""
    clip: float = 1.0
    """Norm at which gradients are clipped, that of all gains and that of all weights."""
    chunk: int = 25
    """Updates per compiled call, which is also how often progress is logged; updates are a multiple of it, or
    fewer."""
    patience: int = 50
    """Consecutive non-finite updates after which training stops with the last good parameters."""
    validation: int = 48
    """Episodes by which parameters are chosen, on motions and plants of their own; 0: by the training loss."""
    validate_every: int = 50
    """Updates after which they are looked at again, at the end of a chunk."""
    seed: int = 0
    """Seed of the episodes."""
    objective: Objective = field(default_factory=Objective)
    """Weights of the loss."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name in ("updates", "batch", "horizon", "chunk"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; training needs at least 1.")
        if self.validation < 0:
            raise UsageError(f"validation is {self.validation}; give a number of episodes, or 0 for none.")
        if self.validate_every < 1:
            raise UsageError(f"validate_every is {self.validate_every}; give at least 1 update.")
        if self.updates % min(self.chunk, self.updates):
            raise UsageError(f"updates is {self.updates}, no multiple of chunk, {self.chunk}; choose one that is.")
        if self.segment < 0 or (self.segment and self.horizon % self.segment):
            raise UsageError(
                f"segment is {self.segment}, no divisor of horizon, {self.horizon}; choose one, or 0 to keep all."
            )


class Learner(NamedTuple):
    """Everything that training carries; a pytree of arrays, so that a run can be resumed exactly."""

    params: Any
    optimiser: Any
    episodes: Episodes
    key: Any
    update: Any
    best: Any  # the parameters that are to be preferred so far
    score: Any  # mm, of the chunk of updates that ended with them; used where there is no validation


def optimiser(config: TrainConfig) -> optax.GradientTransformation:
    """Clipped Adam on a cosine rate; an update with non-finite gradients is skipped."""

    def adam(peak: float) -> optax.GradientTransformation:
        rate = optax.cosine_decay_schedule(peak, config.updates, alpha=0.02)
        return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(rate, b1=0.7, b2=0.95))

    kinds = {"gain": adam(config.gain_rate), "weight": adam(config.learning_rate)}
    return optax.apply_if_finite(optax.multi_transform(kinds, _kinds), max_consecutive_errors=2**31 - 1)


def _kinds(params: Any) -> Any:
    """Label every parameter as a gain or a weight."""
    return jax.tree.map(lambda x: "gain" if isinstance(x, Gain) else "weight", params, is_leaf=_is_param)


def _is_param(x: Any) -> bool:
    return isinstance(x, nnx.Param)


def begin(controller: Controller, setting: Setting, task: Task, config: TrainConfig) -> Learner:
    """The learner before its first update."""
    params = nnx.state(controller, nnx.Param)
    key = jax.random.key(config.seed)
    key, k = jax.random.split(key)
    episodes = rollout.start(setting, task, controller, k, config.batch, config.horizon)
    opt = optimiser(config).init(params)
    return Learner(params, opt, episodes, key, jnp.zeros((), jnp.int32), params, jnp.full((), jnp.inf, jnp.float32))


def placement(config: TrainConfig, devices: Sequence[jax.Device] | None = None) -> Learner:
    """The sharding of every part of a learner: episodes cut over the devices, all else whole on each.

    Raises UsageError where the devices do not divide the batch.
    """
    cut, whole = dv.shardings(config.batch, devices)
    where: dict[str, Any] = {**dict.fromkeys(Learner._fields, whole), "episodes": cut}
    return Learner(**where)


def next_window(
    module: Controller, setting: Setting, task: Task, config: TrainConfig, learner: Learner
) -> tuple[Array, Episodes, Array]:
    """What the next update starts from -> the key after it, episodes under way, Charbonnier width in mm."""
    key, k = jax.random.split(learner.key)
    episodes = rollout.renew(setting, task, module, k, learner.episodes, config.horizon)
    wide, narrow = config.objective.delta_start, config.objective.delta_end
    return key, episodes, wide * (narrow / wide) ** (learner.update / config.updates)


def place(learner: Learner, config: TrainConfig, devices: Sequence[jax.Device] | None = None) -> Learner:
    """A learner where `placement` wants it."""
    where = placement(config, devices)
    return Learner(*(dv.place(part, sharding) for part, sharding in zip(learner, where, strict=True)))
