"""The twin in single precision stays close to PyBullet."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics, twin
from armctl.audit.exercise import make_swing, policy
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.twin.step import added
from armctl.urdf import load_chain
from tests.quick import users_jit
from tests.robots import ROBOTS, plain_arm
from tests.twin.rollouts import plant_rollout, random_torque, twin_rollout


@pytest.mark.parametrize("robot", ROBOTS)
def test_torque_mode_in_single_precision(robot):
    """Torques held open loop for 1 s, the same numbers on both sides. The motion of the gen3, whose wrist is light,
    multiplies what differs 2e5-fold; the others 3e2 to 2e3-fold."""
    chain = load_chain(robot)
    random = random_torque(chain)
    single = lambda k, q, qd: random(k, q, qd).astype(np.float32).astype(float)  # noqa: E731
    plant, commands = plant_rollout(robot, "torque", Scenario(), single, q0=chain.home.astype(np.float32).astype(float))
    said = twin_rollout(robot, "torque", Scenario(), commands, np.float32)
    assert said["q"].dtype == np.float32
    assert np.abs(said["q"] - plant["q"]).max() < (2e-4 if robot == "gen3" else 2e-5)


def test_small_steps_are_not_lost_to_rounding():
    """Ten thousand steps in single precision are as good as in double, and the gradient is that of the plain sum."""
    steps = np.random.default_rng(0).uniform(0, 1e-4, (10_000, 3)).astype(np.float32)
    start = (np.float32([1.0, -2.0, 3.0]), np.zeros(3, np.float32))

    def total(steps):
        return jax.lax.scan(lambda sum_, x: (added(*sum_, x), None), start, steps)[0][0]

    exact = start[0] + steps.sum(axis=0, dtype=float)
    np.testing.assert_allclose(total(steps), exact, rtol=1e-7)
    assert np.abs(np.cumsum(np.vstack([start[0], steps]), axis=0)[-1] - exact).max() > 1e-6
    np.testing.assert_array_equal(jax.grad(lambda x: total(x).sum())(steps), np.ones_like(steps))


@lru_cache
def tracking(n):
    """Compiled closed loop in single precision, shared by all arms of n joints: computed torque along a reference."""
    config = ServoConfig(control="torque")

    def run(arm, params, q, references):
        def step(state, reference):
            q_ref, qd_ref, qdd_ref = reference
            wanted = qdd_ref + 100 * (q_ref - state.q) + 20 * (qd_ref - state.qd)
            tau = dynamics.inverse_dynamics(arm, state.q, state.qd, wanted)
            state, _ = twin.step(arm, config, params, state, jnp.clip(tau, -arm.effort, arm.effort))
            return state, state.q

        return jax.lax.scan(step, twin.reset(arm, config, q), references)[1]

    return users_jit(run)


@pytest.mark.parametrize("robot", ROBOTS)
def test_torque_mode_in_single_precision_with_the_loop_closed(robot):
    """Each side feeds back its own state, as controllers do; held torques instead amplify rounding as the arm does."""
    chain, config = load_chain(robot), ServoConfig(control="torque")
    swing = make_swing(chain)
    plant, _ = plant_rollout(robot, "torque", Scenario(), policy(chain, config, swing), q0=swing.q0)
    single = lambda x: np.asarray(x, np.float32)  # noqa: E731
    references = tuple(single(x) for x in zip(*(swing(0.01 * k) for k in range(100)), strict=True))
    params = jax.tree.map(lambda x: single(x) if x.dtype == np.float64 else x, plant_params(chain, Scenario()))
    said = np.asarray(tracking(chain.n)(plain_arm(robot).astype(np.float32), params, single(swing.q0), references))
    assert said.dtype == np.float32
    assert np.abs(plant["q"] - swing.q0).max() > 0.1
    assert np.abs(said - plant["q"]).max() < 1e-6
