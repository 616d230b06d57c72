"""The closed loop's Jacobian is the derivative it says it is, and tells a stable loop from one that is not."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl import controllers
from armctl.arm import load_arm
from armctl.errors import UsageError
from armctl.learn import rollout, stability, tune
from tests.learn.runs import CHAIN, CONFIG, SMALL, references

ARM, HORIZON = load_arm("planar3"), SMALL.horizon


@pytest.fixture(scope="module")
def loop():
    """Controller, setting, task and episodes of a closed loop, and what rolls them over a window."""
    task = tune.make_task(CHAIN, references(), CONFIG)
    controller = controllers.make("computed_torque", ARM)
    setting = tune.training_setting(ARM, "torque", CONFIG)
    episodes = rollout.start(setting, task, controller, jax.random.key(1), 3, HORIZON)
    graph, _, *rest = nnx.split(controller, nnx.Param, ...)

    @jax.jit
    def advance(params, episodes):
        module = nnx.merge(graph, params, *rest)
        return rollout.advance(setting, task, module, episodes, SMALL.objective, 1.0, HORIZON)[0]

    return controller, setting, task, episodes, advance


@pytest.mark.slow
def test_it_is_the_derivative_of_the_window(loop):
    controller, setting, task, episodes, advance = loop
    params = nnx.state(controller, nnx.Param)
    found = stability.jacobians(lambda x: advance(params, x), episodes, step=1e-3)

    def end(x):
        state = episodes.state._replace(q=x[:, :3], qd=x[:, 3:])
        moved = episodes._replace(state=state)
        after, _ = rollout.advance(setting, task, controller, moved, SMALL.objective, 1.0, HORIZON)
        return jnp.concatenate([after.state.q, after.state.qd], axis=-1)

    x = jnp.concatenate([episodes.state.q, episodes.state.qd], axis=-1)
    pull = jax.jit(lambda x, row: jax.vjp(end, x)[1](row)[0])
    exact = np.stack([pull(x, jnp.tile(row, (3, 1))) for row in jnp.eye(6)], axis=1)
    assert found.shape == (3, 6, 6)
    np.testing.assert_allclose(found, exact, rtol=2e-3, atol=2e-3 * np.abs(exact).max())


def test_gains_make_disturbances_die_out_and_without_them_they_stay(loop):
    controller, _, _, episodes, advance = loop
    params = nnx.state(controller, nnx.Param)
    tuned, _ = stability.rates(stability.jacobians(lambda x: advance(params, x), episodes), HORIZON)
    slack = jax.tree.map(lambda x: x - 20.0, params)  # logarithms of the gains
    free, _ = stability.rates(stability.jacobians(lambda x: advance(slack, x), episodes), HORIZON)
    assert tuned.max() < 0.98 < free.min()


def test_known_matrices():
    rotation = np.array([[0.0, -0.5], [0.5, 0.0]])
    shear = np.array([[1.0, 3.0], [0.0, 1.0]])
    contraction, amplification = stability.rates(np.array([rotation, shear, rotation * np.nan]), 2)
    np.testing.assert_allclose(contraction, [np.sqrt(0.5), 1.0, np.nan])
    assert amplification[0] == pytest.approx(0.5)
    assert amplification[1] > 3.0
    assert np.isnan(amplification[2])


def test_fewer_than_no_episodes_are_refused():
    with pytest.raises(UsageError, match="validation is -1"):
        replace(SMALL, validation=-1)
