"""Classifier two-sample test: how well can a small network tell generated from held-out? (Lopez-Paz & Oquab 2017)."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

HIDDEN, STEPS, FOLDS = 64, 150, 5


def c2st(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Held-out accuracy of telling x (N, D) from y (M, D), 5-fold cross-validated.

    The larger sample is thinned to the size of the smaller, so that chance is 0.5.
    -> accuracy (0.5 = indistinguishable, 1 = different) and its binomial standard error.
    """
    rng = np.random.default_rng(seed)
    size = min(len(x), len(y))
    pooled = np.concatenate([s[rng.permutation(len(s))[:size]] for s in (x, y)])
    pooled = (pooled - pooled.mean(0)) / np.maximum(pooled.std(0), 1e-9)
    label = np.repeat([1.0, 0.0], size)
    fold = np.concatenate([rng.permutation(size), rng.permutation(size)]) % FOLDS
    held = fold == np.arange(FOLDS)[:, None]
    keys = jax.random.split(jax.random.key(seed), FOLDS)
    logits = _fit_and_score(jnp.asarray(pooled, jnp.float32), jnp.asarray(label, jnp.float32), jnp.asarray(held), keys)
    correct = (np.asarray(logits) > 0) == (label > 0.5)
    accuracy = float(correct[held].mean())
    return accuracy, float(np.sqrt(max(accuracy * (1 - accuracy), 1e-12) / (2 * size)))


@jax.jit
@functools.partial(jax.vmap, in_axes=(None, None, 0, 0))
def _fit_and_score(x: jax.Array, label: jax.Array, held: jax.Array, key: jax.Array) -> jax.Array:
    """Train on the rows not held out -> the logits (N,) of all rows."""
    optimiser = optax.adamw(3e-3, weight_decay=0.1)
    k1, k2 = jax.random.split(key)
    params = {
        "w1": jax.random.normal(k1, (x.shape[1], HIDDEN)) / jnp.sqrt(x.shape[1]),
        "b1": jnp.zeros(HIDDEN),
        "w2": jax.random.normal(k2, (HIDDEN,)) / jnp.sqrt(HIDDEN),
        "b2": jnp.zeros(()),
    }

    def loss(p: dict[str, jax.Array]) -> jax.Array:
        return jnp.mean(optax.sigmoid_binary_cross_entropy(_logits(p, x), label), where=~held)

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        p, state = carry
        update, state = optimiser.update(jax.grad(loss)(p), state, p)
        return (optax.apply_updates(p, update), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimiser.init(params)), None, length=STEPS)
    return _logits(params, x)


def _logits(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    return jax.nn.silu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]
