"""What else could have made the paths: each a sampler of path vectors under the same conditions as the flow.

A Gaussian of the paths given their context is what probabilistic movement primitives do with one (Paraschos et al.
2013); a conditional variational autoencoder has the flow's parameters and updates (Sohn et al. 2015), with the optimal
variance of its decoder (Rybkin et al. 2021); one Euler step shows what the integration of the flow is good for; repair
after sampling, what it is good for that guidance acts inside.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from armctl.generator.config import FlowConfig
from armctl.generator.flow import GUIDANCE_START, LAST_CORRECTIONS, FlowModel, Guidance, sample
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.training import optimiser, whitening

Sampler = Callable[[jax.Array, np.ndarray], np.ndarray]
"""Path vectors (B, D) for a key and conditions (B, C)."""
LATENT = 16


def flow(model: FlowModel, guidance: Guidance | None = None) -> Sampler:
    """The flow itself."""
    return lambda key, condition: np.asarray(sample(model, key, jnp.asarray(condition), guidance=guidance))


def one_step(model: FlowModel) -> Sampler:
    """The flow in one Euler step: the mean of the paths that noise may lead to."""
    return flow(dataclasses.replace(model, config=dataclasses.replace(model.config, sampler="euler", sampler_steps=1)))


def repaired(model: FlowModel, guidance: ClearanceGuidance) -> Sampler:
    """Unguided samples of the flow, then as many gradient steps as guidance makes inside it."""
    repair = dataclasses.replace(guidance, steps=guidance.steps * guided_evaluations(model.config))
    after = jax.jit(lambda x, condition: model.to_data(repair(model.to_white(x), condition, model.to_data)))
    plain = flow(model)
    return lambda key, condition: np.asarray(after(plain(key, condition), jnp.asarray(condition)))


def guided_evaluations(config: FlowConfig) -> int:
    """How often guidance corrects one sample."""
    steps = config.sampler_steps
    times = [k / steps for k in range(steps)]
    if config.sampler == "heun":
        times += [(k + 1) / steps for k in range(steps)]
    return sum(t >= GUIDANCE_START for t in times) + LAST_CORRECTIONS


def gaussian(x: np.ndarray, condition: np.ndarray) -> Sampler:
    """The joint Gaussian of path vectors x (N, D) and conditions (N, C), given a condition."""
    centre, mean = condition.mean(0), x.mean(0)
    slope = np.linalg.lstsq((condition - centre).astype(float), (x - mean).astype(float), rcond=1e-4)[0]
    rest = np.atleast_2d(np.cov((x - mean - (condition - centre) @ slope).T))
    values, axes = np.linalg.eigh(rest)
    spread = np.sqrt(np.maximum(values, 0.0))[:, None] * axes.T

    def draw(key: jax.Array, given: np.ndarray) -> np.ndarray:
        noise = np.asarray(jax.random.normal(key, (len(given), len(spread))))
        return np.asarray(mean + (given - centre) @ slope + noise @ spread, np.float32)

    return draw


class Autoencoder(nnx.Module):
    """Encoder (x, condition) -> latent mean and log variance, decoder (latent, condition) -> x, log variance of x.

    data, condition: dimensions of x and of the condition vector. width: of three hidden layers each.
    """

    def __init__(self, data: int, condition: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.encoder = _layers(data + condition, width, 2 * LATENT, rngs)
        self.decoder = _layers(LATENT + condition, width, data, rngs)
        self.log_variance = nnx.Param(jnp.zeros(data))

    def decode(self, latent: jax.Array, condition: jax.Array) -> jax.Array:
        """Mean of x (..., data)."""
        return _through(self.decoder, jnp.concatenate([latent, condition], axis=-1))

    def loss(self, x: jax.Array, condition: jax.Array, noise: jax.Array) -> jax.Array:
        """Negative evidence lower bound per dimension of x (B, data)."""
        mean, log_var = jnp.split(_through(self.encoder, jnp.concatenate([x, condition], axis=-1)), 2, axis=-1)
        missed = x - self.decode(mean + jnp.exp(0.5 * log_var) * noise, condition)
        spread = self.log_variance[...]
        fit = 0.5 * jnp.sum(missed**2 * jnp.exp(-spread) + spread, axis=-1)
        divergence = 0.5 * jnp.sum(jnp.exp(log_var) + mean**2 - 1 - log_var, axis=-1)
        return jnp.mean(fit + divergence) / x.shape[-1]


def _layers(inputs: int, width: int, outputs: int, rngs: nnx.Rngs) -> nnx.List[Any]:
    sizes = (inputs, width, width, width, outputs)
    return nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairwise(sizes)])


def _through(layers: Any, h: jax.Array) -> jax.Array:
    for layer in layers[:-1]:
        h = nnx.silu(layer(h))
    return layers[-1](h)


def autoencoder(x: np.ndarray, condition: np.ndarray, config: FlowConfig) -> Sampler:
    """A conditional variational autoencoder of path vectors x (N, D) given conditions (N, C).

    config: whose width, batch, updates, rates and seed it shares with the flow.
    """
    mean, axes, inverse = whitening(x)
    graph, params = nnx.split(Autoencoder(x.shape[1], condition.shape[1], config.width, rngs=nnx.Rngs(config.seed)))
    data = jnp.asarray((x - mean) @ inverse, jnp.float32), jnp.asarray(condition, jnp.float32)
    key = jax.random.key(config.seed)
    fitted = _fit(params, data, key, graph, dataclasses.replace(config, seed=0))
    decode = jax.jit(lambda z, given: nnx.merge(graph, fitted).decode(z, given))

    def draw(key: jax.Array, given: np.ndarray) -> np.ndarray:
        latent = jax.random.normal(key, (len(given), LATENT))
        return np.asarray(decode(latent, jnp.asarray(given, jnp.float32))) @ axes + mean

    return draw


@partial(jax.jit, static_argnames=("graph", "config"))
def _fit(params: Any, data: tuple[jax.Array, jax.Array], key: jax.Array, graph: Any, config: FlowConfig) -> Any:
    """Parameters after config.steps updates."""
    x, condition = data

    def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], None]:
        params, state = carry
        pick, noise = jax.random.split(key)
        rows = jax.random.randint(pick, (config.batch,), 0, len(x))
        drawn = jax.random.normal(noise, (config.batch, LATENT))
        gradient = jax.grad(lambda p: nnx.merge(graph, p).loss(x[rows], condition[rows], drawn))(params)
        update, state = optimiser(config).update(gradient, state, params)
        return (optax.apply_updates(params, update), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimiser(config).init(params)), jax.random.split(key, config.steps))
    return params
