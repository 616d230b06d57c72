"""Learned torques: position and velocity each by a network of its own, every period that is looked for within reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl.arm import load_arm
from armctl.controllers.learned_torques import PERIODS, LearnedTorques, harmonics

ARM = load_arm("planar3")
RNG = np.random.default_rng(0)
Q, QD = (jnp.asarray(RNG.uniform(-2, 2, (50, 3)), jnp.float32) for _ in range(2))


def test_one_feature_is_of_position_and_the_other_of_velocity():
    torques = LearnedTorques(ARM, seed=3)
    both, slow, elsewhere = torques(Q, QD), torques(Q, 0.1 * QD), torques(Q + 0.3, QD)
    assert both.shape == (50, 3, 2)
    np.testing.assert_array_equal(both[..., 0], slow[..., 0])
    np.testing.assert_array_equal(both[..., 1], elsewhere[..., 1])
    assert np.abs(both[..., 0] - elsewhere[..., 0]).min() > 0
    assert np.abs(both[..., 1] - slow[..., 1]).min() > 0


def test_every_joint_has_weights_of_its_own():
    torques = LearnedTorques(ARM, seed=3)
    moved = Q.at[:, 1].add(0.3)
    changed = np.abs(torques(moved, QD) - torques(Q, QD)).max(axis=(0, 2))
    assert changed[1] > 0
    assert changed[0] == changed[2] == 0


@pytest.mark.parametrize("period", range(PERIODS[0], PERIODS[1] + 1))
def test_a_ripple_of_any_of_the_periods_is_a_linear_map_of_the_inputs(period):
    q = np.linspace(-3, 3, 400)[:, None]
    inputs = np.asarray(harmonics(jnp.asarray(q)))[:, 0]
    wave = np.sin(period * q[:, 0] + 1.0)
    fit = inputs @ np.linalg.lstsq(inputs, wave, rcond=None)[0]
    np.testing.assert_allclose(fit, wave, atol=1e-4)


def test_gradient_steps_on_a_torque_error_find_a_ripple():
    graph, weights = nnx.split(LearnedTorques(ARM, seed=0))
    truth = jnp.sin(6 * Q + 1.0)

    @jax.jit
    def step(weights):
        error, slope = jax.value_and_grad(lambda w: jnp.mean((nnx.merge(graph, w)(Q, QD)[..., 0] - truth) ** 2))(
            weights
        )
        return jax.tree.map(lambda x, dx: x - dx, weights, slope), error

    weights, start = step(weights)
    for _ in range(300):
        weights, error = step(weights)
    assert error < 0.01 * start
