"""Training that breaks down says what broke."""

import re
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl import controllers
from armctl.arm import load_arm
from armctl.controllers import saved
from armctl.errors import NonFiniteError
from armctl.learn import diagnosis, train, tune
from armctl.learn.learner import TrainConfig
from tests.learn.runs import CHAIN, CONFIG, references

ARM = load_arm("planar3")


FEW = replace(
    CONFIG, train=TrainConfig(updates=6, batch=8, horizon=6, chunk=3, gain_rate=0.1, validation=0, patience=2)
)


def made(task):
    """The setting of a task whose references have names."""
    return tune.training_setting(ARM, "torque", FEW)._replace(names=tuple(f"motion-{i}" for i in range(6)))


@pytest.fixture(scope="module")
def stopped():
    """The error that ends a training in which every other plant has a link without a mass, so that no window is without
    one, nor without sound ones; and the controller's parameters before and after it."""
    task, controller = tune.make_task(CHAIN, references(), FEW), controllers.make("computed_torque", ARM)
    task.plants.mass[1::2, 1] = np.nan
    before = saved.parameters(controller)
    with pytest.raises(NonFiniteError) as raised:
        train.train(controller, made(task), task, FEW.train)
    return raised.value, before, saved.parameters(controller)


@pytest.mark.slow
def test_non_finite_updates_stop_training_and_keep_the_last_good_parameters(stopped):
    error, before, after = stopped
    assert "stopped at update 3: 3 gradients in a row" in str(error)
    assert before.keys() == after.keys()
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.slow
def test_training_names_the_arm_whose_plant_is_to_blame(stopped):
    said, broken = str(stopped[0]), stopped[0].breakdown
    assert int(re.findall(r"planar3, plant (\d+), reference 'motion-\d'", said)[0]) % 2 == 1
    assert "mass[1] is not finite; correct the plant" in said
    assert "learning_rate" not in said
    assert (broken.quantity, broken.step, broken.physics_step) == ("qd", 0, 0)
    assert 1 <= broken.arms < FEW.train.batch


def test_a_gain_that_overflows_is_seen_in_the_command():
    task, controller = tune.make_task(CHAIN, references(), FEW), controllers.make("computed_torque", ARM)
    saved.with_parameters(controller, {k: v + np.float32(100) for k, v in saved.parameters(controller).items()})
    learner = train.begin(controller, made(task), task, FEW.train)
    broken = diagnosis.explain(controller, made(task), task, FEW.train, None, learner)
    assert (broken.quantity, broken.step, broken.physics_step, broken.arms) == ("command", 0, 0, FEW.train.batch)
    assert "Lower learning_rate (0.01) or gain_rate (0.1)" in diagnosis.remedy(made(task), FEW.train, broken)


def test_a_gradient_that_overflows_in_a_finite_rollout_is_named_as_that():
    adjoint = np.ones((10, 4, 3), np.float32)
    adjoint[:6, 2, 1] = np.inf  # it grows going back in time: past step 6 it is lost
    grads = nnx.State({"log_kp": nnx.Param(jnp.full(3, jnp.nan))})
    broken = diagnosis.gradient_break(adjoint, grads)
    assert (broken.quantity, broken.step, broken.arm) == ("gradient of the loss in q", 5, 2)
    assert "The rollout itself is finite" in broken.cause
    assert "log_kp" in broken.cause
