"""A conditional mixture whose answer is known, and a small flow for it."""

import numpy as np

from armctl.generator import FlowConfig, fit_flow

SMALL = FlowConfig(width=64, embedding=32, blocks=2, steps=600, batch=128, chunk=200, learning_rate=3e-3, seed=3)


def mixture(count, seed):
    """Two modes at +-2 (sd 0.3) in x; which one is decided by c0, whose knowledge is flagged by c1; y follows c2."""
    rng = np.random.default_rng(seed)
    side, shift = rng.choice([-1.0, 1.0], count), rng.uniform(-1, 1, count)
    x = np.stack([2 * side + 0.3 * rng.normal(size=count), shift + 0.1 * rng.normal(size=count)], axis=1)
    return x, np.stack([side, np.ones(count), shift], axis=1)


def fit_mixture(config=SMALL, **options):
    return fit_flow(*mixture(2000, 0), *mixture(400, 1), config, groups=(slice(0, 2),), **options)
