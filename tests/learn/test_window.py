"""The gradient of a window is its derivative, and checkpointing a long one changes its memory and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl import controllers
from armctl.arm import load_arm
from armctl.errors import UsageError
from armctl.learn import rollout, train, tune
from armctl.learn.losses import Objective
from tests.learn.runs import CHAIN, CONFIG, references

ARM, HORIZON = load_arm("planar3"), 6


@pytest.fixture(scope="module")
def window():
    """A controller's parameters in double precision, and the compiled function of (parameters, segment): mean loss of
    one window, as training sees it, and its gradient."""
    with jax.enable_x64(True):
        task = jax.tree.map(np.asarray, tune.make_task(CHAIN, references(), CONFIG))
        task = jax.tree.map(lambda x: x.astype(np.float64) if x.dtype == np.float32 else x, task)
        controller = controllers.make("computed_torque", ARM)
        setting = tune.training_setting(ARM, controller.control, CONFIG)
        episodes = rollout.start(setting, task, controller, jax.random.key(1), 3, HORIZON)
        graph, params, rest = nnx.split(controller, nnx.Param, ...)
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)

    def loss(params, segment):
        module = nnx.merge(graph, params, rest)
        _, (loss, _) = rollout.advance(setting, task, module, episodes, Objective(), 1.0, HORIZON, segment)
        return jnp.mean(loss)

    return params, jax.jit(jax.value_and_grad(loss), static_argnums=1)


def test_window_gradient_is_that_of_finite_differences(window, x64):
    params, value = window
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    direction = [rng.normal(size=leaf.shape) for leaf in leaves]
    gradient = jax.tree.leaves(value(params, 0)[1])
    slope = sum(float(np.sum(d * np.asarray(g))) for d, g in zip(direction, gradient, strict=True))
    h = 1e-6
    moved = [jax.tree.unflatten(tree, [x + s * h * d for x, d in zip(leaves, direction, strict=True)]) for s in (1, -1)]
    finite = float(value(moved[0], 0)[0] - value(moved[1], 0)[0]) / (2 * h)
    assert abs(slope - finite) < 1e-5 * abs(finite)


@pytest.mark.slow
@pytest.mark.parametrize("segment", [1, 3])
def test_a_segmented_window_has_the_same_loss_and_gradient(window, segment, x64):
    """In double precision, to its rounding: the steps between are the same ones, rolled again."""
    params, value = window
    for a, b in zip(jax.tree.leaves(value(params, 0)), jax.tree.leaves(value(params, segment)), strict=True):
        assert a.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_a_segment_that_does_not_divide_the_window_is_refused():
    assert train.TrainConfig(horizon=24, segment=6).segment == 6
    for segment in (-1, 7, 48):
        with pytest.raises(UsageError, match=f"segment is {segment}, no divisor of horizon, 24"):
            train.TrainConfig(horizon=24, segment=segment)
