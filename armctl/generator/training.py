"""Training of the flow: every minibatch, draw of noise and update runs inside one compiled scan."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.config import FlowConfig
from armctl.generator.difficulty import Dial, described
from armctl.generator.flow import HISTORY, FlowModel, flow_loss
from armctl.generator.network import Params, initialise
from armctl.generator.paths import PathCoder
from armctl.motion.corpus import Corpus

EVALUATION_ROWS = 1024
Progress = Callable[[dict[str, float]], None]


class Dataset(NamedTuple):
    """Whitened data x (N, D), condition (N, C) and which condition columns each dropout group owns (G, C)."""

    x: jax.Array
    condition: jax.Array
    groups: jax.Array


class TrainState(NamedTuple):
    """Everything that one gradient step changes."""

    params: Params
    average: Params
    optimiser: optax.OptState
    step: jax.Array
    key: jax.Array


def train_flow(
    corpus: Corpus, config: FlowConfig | None = None, *, chain: Chain,
    difficulty: np.ndarray | Dial | None = None,    start: FlowModel | None = None, progress: Progress | None = None,
) -> FlowModel:  # fmt: skip
    """Fit the flow to the paths of a corpus; the model with the lowest validation loss seen.

    corpus: its "train" split is fitted, its "val" split only scored; where that is empty "train" serves for both.
    config: FlowConfig() if None; its seed decides every random number. chain: whose limits normalise the joints.
    difficulty: percentile in [0, 1] of every member of the corpus, or the dial that says it, which the model keeps;
    unknown where None. start: a model of the same arm and families to go on from, whose whitening is kept.
    progress: called with a row of HISTORY per chunk.
    Raises UsageError for too few trajectories, and where training does not stay finite.
    """
    config = config or FlowConfig()
    coder = PathCoder.of(chain, corpus)
    dial, labels = (difficulty, None) if isinstance(difficulty, Dial) else (None, difficulty)
    if dial is not None:
        labels = dial.percentile(described(corpus, chain))
    held_out = "val" if len(corpus.subset("val")) else "train"
    train, validation = (
        coder.dataset(corpus, split, labels, reversal=config.reversal) for split in ("train", held_out)
    )
    model = fit_flow(*train, *validation, config, groups=coder.columns, start=start, progress=progress)
    return dataclasses.replace(model, coder=coder, scene=corpus.scene, dial=dial)


def fit_flow(
    x: np.ndarray,
    condition: np.ndarray,
    x_validation: np.ndarray,
    condition_validation: np.ndarray,
    config: FlowConfig,
    *,
    groups: Sequence[slice] = (),
    start: FlowModel | None = None,
    progress: Progress | None = None,
) -> FlowModel:
    """Fit the flow to plain vectors; the model with the lowest validation loss seen.

    x, x_validation: (N, D), (V, D); condition, condition_validation: (N, C), (V, C). groups: slices of condition
    columns, each withheld with probability `config.condition_dropout`. start: a model of the same sizes to go on from,
    whose whitening is kept. progress: called with a row of HISTORY per
    chunk. Raises UsageError for fewer than two rows or non-finite data, and where training does not stay finite.
    """
    x, x_validation = np.asarray(x, np.float32), np.asarray(x_validation, np.float32)
    if min(len(x), len(x_validation)) < 2 or not (np.isfinite(x).all() and np.isfinite(x_validation).all()):
        raise UsageError(
            f"The flow needs at least 2 finite rows to train and 2 to validate; got {len(x)} and {len(x_validation)}."
        )
    if start is None:
        mean, axes, inverse = whitening(x)
    else:
        mean, axes = np.asarray(start.mean), np.asarray(start.axes)
        inverse = np.linalg.inv(axes.astype(float))
    train = _dataset((x - mean) @ inverse, condition, groups)
    validation = _dataset((x_validation - mean) @ inverse, condition_validation, groups)
    params, history = _run(config, train, validation, None if start is None else start.params, progress)
    sizes = x.shape[1], condition.shape[1]
    shown = jnp.asarray(condition, jnp.float32)
    return FlowModel(params, jnp.asarray(mean), jnp.asarray(axes), shown, jnp.asarray(history), config, *sizes)


def whitening(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (D,), axes (D, D) and their inverse for data x (N, D), such that z = (x - mean) @ inverse is white.

    Along principal axes rather than per dimension: neighbouring control points move together, and what they do not do
    together is the roughness that costs time.
    """
    mean = x.mean(0)
    variance, directions = np.linalg.eigh(np.atleast_2d(np.cov(x.T.astype(float))))
    spread = np.sqrt(np.maximum(variance, 1e-6 * variance.max() + 1e-12))
    axes, inverse = spread[:, None] * directions.T, directions / spread
    return mean, axes.astype(np.float32), inverse.astype(np.float32)


def _dataset(x: np.ndarray, condition: np.ndarray, groups: Sequence[slice]) -> Dataset:
    columns = np.arange(condition.shape[1])
    owners = [(columns >= g.start) & (columns < g.stop) for g in groups]
    masks = np.stack(owners) if owners else np.zeros((0, len(columns)), bool)
    return Dataset(jnp.asarray(x), jnp.asarray(condition, jnp.float32), jnp.asarray(masks))


def _run(
    config: FlowConfig, train: Dataset, validation: Dataset, start: Params | None, progress: Progress | None
) -> tuple[Params, np.ndarray]:
    """Alternate compiled chunks and log lines -> the averaged parameters that validate best, and the history."""
    key = jax.random.key(config.seed)
    sizes = train.x.shape[1], train.condition.shape[1], config.width, config.embedding, config.blocks
    params = initialise(*sizes, config.seed) if start is None else start
    state = TrainState(params, params, optimiser(config).init(params), jnp.zeros((), jnp.int32), key)
    best, best_loss, history = params, np.inf, []
    for done in range(0, config.steps, config.chunk):
        chunk = min(config.chunk, config.steps - done)
        state, log = _chunk(state, train, validation, dataclasses.replace(config, seed=0, chunk=chunk))
        row = {name: float(log[name]) for name in HISTORY}
        _refuse_divergence(row, state.optimiser, config)
        history.append(list(row.values()))
        if row["validation_loss"] < best_loss:
            best, best_loss = state.average, row["validation_loss"]
        if progress is not None:
            progress(row)
    return best, np.asarray(history, np.float32)


def _refuse_divergence(row: dict[str, float], state: Any, config: FlowConfig) -> None:
    if int(state.notfinite_count) >= config.max_nonfinite or not np.isfinite(row["validation_loss"]):
        raise UsageError(
            f"Generator training stopped being finite at step {int(row['step'])}; "
            f"lower FlowConfig.learning_rate (now {config.learning_rate})."
        )


def optimiser(config: FlowConfig) -> optax.GradientTransformation:
    """AdamW with warm-up, cosine decay and global-norm clipping, which skips non-finite updates."""
    warmup = min(100, config.steps // 10)
    peak = config.learning_rate
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, config.steps, 0.02 * peak)
    adam = optax.chain(optax.clip_by_global_norm(config.clip), optax.adamw(rate, weight_decay=config.weight_decay))
    return optax.apply_if_finite(adam, config.max_nonfinite)


@functools.partial(jax.jit, static_argnames="config")
def _chunk(
    state: TrainState, train: Dataset, validation: Dataset, config: FlowConfig
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Run config.chunk gradient steps, then score the averaged parameters on fixed noise."""
    state, (losses, norms) = jax.lax.scan(
        lambda s, _: _step(s, train, config), state, None, length=min(config.chunk, config.steps)
    )
    log = {
        "step": state.step,
        "loss": jnp.mean(losses),
        "train_loss": _score(state.average, train, config),
        "validation_loss": _score(state.average, validation, config),
        "gradient_norm": jnp.mean(norms),
    }
    return state, log


def _step(state: TrainState, data: Dataset, config: FlowConfig) -> tuple[TrainState, tuple[jax.Array, jax.Array]]:
    key, pick, drop, noise, time = jax.random.split(state.key, 5)
    rows = jax.random.randint(pick, (config.batch,), 0, len(data.x))
    condition = drop_condition(drop, data.condition[rows], data.groups, config.condition_dropout)
    x0 = jax.random.normal(noise, (config.batch, data.x.shape[1]))
    t = jax.random.uniform(time, (config.batch,))
    loss, gradient = jax.value_and_grad(flow_loss)(state.params, config, data.x[rows], x0, t, condition)
    update, optimiser_state = optimiser(config).update(gradient, state.optimiser, state.params)
    params = optax.apply_updates(state.params, update)
    # A short memory at first: the average would otherwise remember the initialisation.
    decay = jnp.minimum(config.ema, (1.0 + state.step) / (10.0 + state.step))
    average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
    return TrainState(params, average, optimiser_state, state.step + 1, key), (loss, optax.tree.norm(gradient))


def drop_condition(key: jax.Array, condition: jax.Array, groups: jax.Array, probability: float) -> jax.Array:
    """Zero each group of columns (G, C) of condition (B, C) independently per row with this probability."""
    dropped = jax.random.bernoulli(key, probability, (len(condition), len(groups)))
    return jnp.where(jnp.any(dropped[..., None] & groups, axis=1), 0.0, condition)


def _score(params: Params, data: Dataset, config: FlowConfig) -> jax.Array:
    """Loss on the same rows, noise and times every time, so that chunks can be compared."""
    rows = jnp.arange(EVALUATION_ROWS) * len(data.x) // EVALUATION_ROWS
    noise, time = jax.random.split(jax.random.key(1))
    x0 = jax.random.normal(noise, (EVALUATION_ROWS, data.x.shape[1]))
    t = jax.random.uniform(time, (EVALUATION_ROWS,))
    return flow_loss(params, config, data.x[rows], x0, t, data.condition[rows])
