"""The tracker that learns on finds torques that repeat with the posture, within its bounds, and takes them back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl.arm import load_arm
from armctl.controllers import make
from armctl.controllers.saved import parameters, with_parameters
from armctl.controllers.tracker_online import LARGEST, harmonics
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.learn.tune import TuneConfig, training_setting
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references
from armctl.plant.observe import Measurement
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.twin.episodes import Task, single
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
RIPPLE = Scenario(ripple=(0.4, 0.3, 0.2), ripple_harmonic=5.0, ripple_phase=1.0)
STEPS = 1600


@pytest.fixture(scope="module")
def learned():
    """Controller, memory after sixteen seconds on an arm with ripple and on one without, joint positions (T, 2, n)."""
    rng = np.random.default_rng(0)
    motions = [random_reference(CHAIN, rng, dt=0.01, duration=16.0) for _ in range(2)]
    task = single(Task(stack_references(motions), stack_params([plant_params(CHAIN, x) for x in (RIPPLE, Scenario())])))
    controller = make("tracker_online", load_arm("planar3"))
    setting = training_setting(controller.arm, "torque", TuneConfig(robot="planar3"))
    episodes = rollout.whole(setting, task, controller)
    step = rollout.stepper(setting, task, controller, episodes, Objective(), 1.0)

    def keep(episodes, _):
        after, _ = step(episodes, None)
        return after, after.state.q

    after, q = jax.jit(lambda x: jax.lax.scan(keep, x, length=STEPS))(episodes)
    return controller, after.carry, np.asarray(q)


def test_ripple_is_found_on_the_arm_that_has_it(learned):
    _, carry, q = learned
    found = np.sum(np.asarray(carry.habit) * np.asarray(harmonics(jnp.asarray(q))), axis=-1)
    torque = -np.asarray(RIPPLE.ripple) * np.sin(5.0 * q[:, 0] + 1.0)
    alike = [np.corrcoef(found[:, 0, i], torque[:, i])[0, 1] for i in range(3)]
    assert min(alike) > 0.3
    assert np.median(alike) > 0.85
    assert np.abs(found[:, 1]).max() < 0.1 * np.abs(found[:, 0]).max()


def test_what_is_learned_is_bounded(learned):
    controller, carry, _ = learned
    size = np.linalg.norm(np.asarray(carry.habit), axis=-1)
    assert (size <= LARGEST * np.asarray(controller.arm.effort) * (1 + 1e-5)).all()


def test_it_is_remembered_until_it_is_forgotten(learned):
    controller, carry, _ = learned
    assert not np.asarray(controller.init_carry((2,)).habit).any()
    controller.remember(jax.tree.map(lambda x: x[0], carry))
    for row in np.asarray(controller.init_carry((2,)).habit):
        np.testing.assert_array_equal(row, carry.habit[0])
    controller.forget()
    assert not np.asarray(controller.init_carry((2,)).habit).any()


@pytest.mark.slow
def test_it_begins_as_the_tracker_that_was_trained():
    """With the same parameters, and nothing learned yet, to the rounding of another program."""
    arm = load_arm("planar3")
    tracker = make("tracker", arm, seed=3)
    online = with_parameters(make("tracker_online", arm), parameters(tracker))
    rng = np.random.default_rng(1)
    bank = stack_references([random_reference(CHAIN, rng, dt=0.01, duration=1.0)])
    w = jax.tree.map(lambda x: jnp.asarray(x[0, : tracker.preview + 1], jnp.float32), bank.samples)
    m = Measurement(w.q[0] + 0.01, w.qd[0])
    commands = [one(one.init_carry(), m, w)[1] for one in (tracker, online)]
    np.testing.assert_allclose(*commands, rtol=1e-5, atol=1e-5)
