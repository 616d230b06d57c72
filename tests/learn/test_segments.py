"""Checkpointing a long window changes its memory and nothing else."""

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

ARM = load_arm("planar3")


def test_a_segmented_window_has_the_same_loss_and_gradient():
    """In double precision, to its rounding: the steps between are the same ones, rolled again."""
    with jax.enable_x64(True):
        task = jax.tree.map(np.asarray, tune.make_task(CHAIN, references(), CONFIG))
        task = jax.tree.map(lambda x: x.astype(np.float64) if x.dtype == np.float32 else x, task)
        controller = controllers.make("computed_torque", ARM)
        setting = tune.training_setting(ARM, controller.control, task, CONFIG)
        episodes = rollout.start(setting, task, controller, jax.random.key(1), 2, 6)
        graph, params, rest = nnx.split(controller, nnx.Param, ...)
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)

        def loss(params, segment):
            module = nnx.merge(graph, params, rest)
            _, (loss, _) = rollout.advance(setting, task, module, episodes, Objective(), 1.0, 6, segment)
            return jnp.mean(loss)

        value = jax.jit(jax.value_and_grad(loss), static_argnums=1)
        whole = value(params, 0)
        for segment in (1, 3):
            again = value(params, segment)
            for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_a_segment_that_does_not_divide_the_window_is_refused():
    assert train.TrainConfig(horizon=24, segment=6).segment == 6
    for segment in (-1, 7, 48):
        with pytest.raises(UsageError, match=f"segment is {segment}, no divisor of horizon, 24"):
            train.TrainConfig(horizon=24, segment=segment)
