"""Conditional flow matching: the model, its probability flow and its sampler (Lipman et al. 2023, Liu et al. 2023)."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.errors import UsageError
from armctl.generator.config import FlowConfig
from armctl.generator.difficulty import Dial
from armctl.generator.network import Params, graph
from armctl.generator.paths import PathCoder
from armctl.scene.body import Scene

Guidance = Callable[[jax.Array, jax.Array, Callable[[jax.Array], jax.Array]], jax.Array]
"""Correct the predicted endpoint: (z1 (B, D) whitened, condition (B, C), to_data: z -> x) -> better z1 (B, D).

One that wants more of a sample than that it be valid has as `settling` what is to correct the finished one, see
`settled`."""

HISTORY = ("step", "loss", "train_loss", "validation_loss", "gradient_norm")
"""Columns of FlowModel.history and keys of a progress row."""

GUIDANCE_START = 0.5  # before this time the predicted endpoint is mostly noise and its constraints mean little

LAST_CORRECTIONS = 4  # of the sample itself; on the ur5e they leave 1 of 200 invalid where 8 were


@dataclasses.dataclass(frozen=True)
class FlowModel:
    """A trained velocity field with its normaliser.

    params: averaged (EMA) parameters of the network. mean, axes: (D,), (D, D) whitening of the data,
    x = mean + z @ axes. contexts: (N, C) training conditions, around which new contexts are drawn. history:
    (chunks, 5), columns HISTORY; the last two losses are of the averaged parameters on fixed noise. config: what it was
    trained with. data, condition: dimensions of x and of the condition vector. coder: how both describe a robot path;
    None for plain vectors. scene: in which it was trained; None for free space. dial: of what is difficult, where that
    has been learned. emphasis: by what the difference that asking for a difficulty makes to the velocity is multiplied
    (classifier-free guidance, Ho & Salimans 2022); 1 asks as it was trained, 0 not at all.
    """

    params: Params
    mean: jax.Array
    axes: jax.Array
    contexts: jax.Array
    history: jax.Array
    config: FlowConfig
    data: int
    condition: int
    coder: PathCoder | None = None
    scene: Scene | None = None
    dial: Dial | None = None
    emphasis: float = 1.0

    def to_data(self, z: jax.Array) -> jax.Array:
        """Data (..., D) of whitened vectors z (..., D)."""
        return z @ self.axes + self.mean

    def to_white(self, x: jax.Array | np.ndarray) -> jax.Array:
        """Whitened vectors (..., D) of data x (..., D)."""
        inverse = np.linalg.inv(np.asarray(self.axes, float)).astype(np.float32)
        return (jnp.asarray(x) - self.mean) @ inverse

    @property
    def paths(self) -> PathCoder:
        """The coder of a model of robot paths. Raises UsageError for a model of plain vectors."""
        if self.coder is None:
            raise UsageError("This flow was fitted to plain vectors, not to the paths of an arm; use train_flow.")
        return self.coder

    @property
    def parameters(self) -> int:
        """Number of trainable scalars."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


jax.tree_util.register_dataclass(
    FlowModel,
    data_fields=("params", "mean", "axes", "contexts", "history", "dial"),
    meta_fields=("config", "data", "condition", "coder", "scene", "emphasis"),
)


def velocity(params: Params, config: FlowConfig, x: jax.Array, t: jax.Array, condition: jax.Array) -> jax.Array:
    """Velocity (..., D) of the whitened flow at x (..., D), time t (...), condition (..., C)."""
    graphdef = graph(x.shape[-1], condition.shape[-1], config.width, config.embedding, config.blocks)
    return nnx.merge(graphdef, params)(x, t, condition)


def flow_loss(
    params: Params, config: FlowConfig, x1: jax.Array, x0: jax.Array, t: jax.Array, condition: jax.Array
) -> jax.Array:
    """Mean squared error of the velocity x1 - x0 along the straight line from noise x0 to data x1 (whitened)."""
    x = (1 - t[..., None]) * x0 + t[..., None] * x1
    return jnp.mean((velocity(params, config, x, t, condition) - (x1 - x0)) ** 2)


def sample(
    model: FlowModel, key: jax.Array, condition: jax.Array, count: int | None = None, guidance: Guidance | None = None
) -> jax.Array:
    """Draw one sample per condition row; row i depends on the key and i alone, not on how many are drawn with it.

    condition: (B, C), or (C,) to be repeated `count` times; guidance: correction of the predicted endpoint from t = 0.5
    on, a callable pytree -> (B, D) in data units.
    """
    condition = jnp.asarray(condition, jnp.float32)
    if condition.ndim == 1:
        condition = jnp.broadcast_to(condition, (count or 1, condition.shape[0]))
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(condition)))
    noise = jax.vmap(lambda k: jax.random.normal(k, (model.data,)))(keys)
    # what the sampler does not need must not compile it anew
    bare = dataclasses.replace(model, scene=None, dial=None, contexts=model.contexts[:0], history=model.history[:0])
    return transport(bare, noise, condition, guidance)


@jax.jit
def transport(model: FlowModel, noise: jax.Array, condition: jax.Array, guidance: Guidance | None = None) -> jax.Array:
    """Carry noise (B, D) along the flow to samples (B, D) in data units; `lax.scan` over the integration steps."""
    steps = model.config.sampler_steps
    field = _guided_field(model, condition, guidance)

    def advance(x: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
        t, dt = i / steps, 1 / steps
        v = field(x, t)
        if model.config.sampler == "heun":
            # The last corrector would divide by 1 - t = 0 under guidance; there Euler lands on the endpoint itself.
            ahead = field(x + dt * v, jnp.minimum(t + dt, 1 - 0.5 * dt))
            v = jnp.where(i < steps - 1, (v + ahead) / 2, v)
        return x + dt * v, None

    x, _ = jax.lax.scan(advance, noise, jnp.arange(steps))
    if guidance is not None:
        settle = settled(guidance)
        x, _ = jax.lax.scan(lambda x, _: (settle(x, condition, model.to_data), None), x, None, length=LAST_CORRECTIONS)
    return model.to_data(x)


def settled(guidance: Guidance) -> Guidance:
    """What corrects a finished sample, which no flow heals any more."""
    return getattr(guidance, "settling", guidance)


def _guided_field(
    model: FlowModel, condition: jax.Array, guidance: Guidance | None
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The velocity as a function of (x, t), bent towards the corrected endpoint when there is guidance."""

    def given(x: jax.Array, t: jax.Array, condition: jax.Array) -> jax.Array:
        return velocity(model.params, model.config, x, jnp.broadcast_to(t, x.shape[:-1]), condition)

    def plain(x: jax.Array, t: jax.Array) -> jax.Array:
        asked = given(x, t, condition)
        if model.emphasis == 1.0:
            return asked
        free = given(x, t, condition.at[:, model.paths.columns.difficulty].set(0.0))
        return free + model.emphasis * (asked - free)

    if guidance is None:
        return plain

    def guided(x: jax.Array, t: jax.Array) -> jax.Array:
        endpoint = x + (1 - t) * plain(x, t)
        return (guidance(endpoint, condition, model.to_data) - x) / (1 - t)

    return lambda x, t: jax.lax.cond(t >= GUIDANCE_START, guided, plain, x, t)
