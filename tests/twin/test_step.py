"""The twin is the plant: the same commands give the same motion in JAX and in PyBullet."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import rigid, twin
from armctl.arm import load_arm
from armctl.envs.bullet.plant import Plant
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.robots import ROBOTS, plain_arm
from tests.twin.rollouts import STRESS, plant_rollout, random_torque, twin_rollout


@pytest.mark.parametrize("robot", ROBOTS)
def test_torque_mode_follows_pybullet_for_500_physics_steps(robot, x64):
    chain = load_chain(robot)
    plant, commands = plant_rollout(robot, "torque", Scenario(), random_torque(chain))
    assert np.abs(plant["q"] - chain.home).max() > 0.05
    said = twin_rollout(robot, "torque", Scenario(), commands)
    assert not said["limit"].any()
    assert np.abs(said["q"] - plant["q"]).max() < 1e-8
    assert np.abs(said["qd"] - plant["qd"]).max() < 1e-7


@pytest.mark.parametrize("scenario", [Scenario(), STRESS], ids=["nominal", "stress"])
@pytest.mark.parametrize("control", ["velocity", "position", "ee_twist"])
@pytest.mark.parametrize("robot", ROBOTS)
def test_servo_modes_follow_pybullet_for_one_second(robot, control, scenario, x64):
    chain = load_chain(robot)
    rng = np.random.default_rng(1)
    full = {"velocity": 0.3 * chain.velocity, "position": 0.003 * chain.velocity, "ee_twist": 0.1 * np.ones(6)}[control]

    def policy(k, q, qd):
        return full * np.sin(0.13 * k + np.arange(len(full))) + 0.1 * full * rng.normal(size=len(full))

    plant, commands = plant_rollout(robot, control, scenario, policy)
    said = twin_rollout(robot, control, scenario, commands)
    assert np.abs(plant["q"] - chain.home).max() > 0.02
    assert not said["limit"].any()
    assert np.abs(said["q"] - plant["q"]).max() < 1e-7


def test_torque_mode_follows_pybullet_under_stress(x64):
    plant, commands = plant_rollout("panda", "torque", STRESS, random_torque(load_chain("panda"), stiffness=100.0))
    said = twin_rollout("panda", "torque", STRESS, commands)
    assert not said["limit"].any()
    assert np.abs(said["q"] - plant["q"]).max() < 1e-7


def test_saturating_servo_follows_pybullet(x64):
    chain = load_chain("panda")
    flip = [np.sign(np.sin(2 * np.pi * k / 10 + np.arange(7))) * chain.velocity for k in range(100)]
    plant, commands = plant_rollout("panda", "velocity", STRESS, lambda k, q, qd: flip[k])
    said = twin_rollout("panda", "velocity", STRESS, commands)
    assert (said["saturation"] > 0).mean() > 0.3
    np.testing.assert_allclose(said["saturation"], plant["saturation"], atol=1e-12)
    assert not said["limit"].any()
    assert np.abs(said["q"] - plant["q"]).max() < 1e-7


def test_noise_draws_are_the_plants():
    chain, arm = load_chain("panda"), load_arm("panda")
    noisy = Scenario(position_noise=1e-3, velocity_noise=1e-2, seed=7)
    plant = Plant(chain, ServoConfig(control="velocity"))
    plant.reset(noisy, chain.home, np.zeros(7))
    state = twin.reset(arm, ServoConfig(control="velocity"), jnp.asarray(chain.home))
    seen = twin.measured(plant_params(chain, noisy), state)
    want = plant.measure()
    plant.close()
    assert np.abs(np.asarray(seen.q) - want.q).max() < 1e-6
    assert np.abs(np.asarray(seen.qd) - want.qd).max() < 1e-6
    assert np.abs(want.q - chain.home).max() > 1e-5


def test_limit_flag_is_raised_where_the_joint_stops(x64):
    chain = load_chain("panda")
    seconds = (chain.upper - chain.home) / chain.velocity
    joint = int(np.argmin(seconds))
    ramp = np.tile(np.eye(7)[joint] * chain.velocity, (100, 1))
    limit = twin_rollout("panda", "velocity", Scenario(), ramp)["limit"]
    first = int(np.argmax(limit))
    assert limit[first:].all()
    assert seconds[joint] < 0.01 * (first + 1) < seconds[joint] + 0.1  # the servo needs a moment to come up to speed


@pytest.mark.parametrize("robot", ROBOTS)
def test_joint_stops_are_pybullets(robot, x64):
    """Torques that drive several joints into their stops at once, and back."""
    chain = load_chain(robot)
    up = chain.upper - chain.home < chain.home - chain.lower
    beyond = np.where(up, chain.upper + 0.3, chain.lower - 0.3)

    def policy(k, q, qd):
        goal = np.where(np.isfinite(beyond) & (k < 80), beyond, chain.home)
        tau = rigid.inverse_dynamics(chain, q, qd, 80.0 * (goal - q) - 12.0 * qd)
        return np.clip(tau, -chain.effort, chain.effort)

    plant, commands = plant_rollout(robot, "torque", Scenario(), policy)
    stopped = np.sum((plant["q"] <= chain.lower) | (plant["q"] >= chain.upper), axis=1)
    assert stopped.max() >= 2
    said = twin_rollout(robot, "torque", Scenario(), commands)
    assert np.abs(said["q"] - plant["q"]).max() < 1e-6  # impacts amplify rounding


def test_batch_equals_loop_and_scenarios_batch(x64):
    chain, arm, config = load_chain("planar3"), plain_arm("planar3"), ServoConfig(control="velocity")
    scenarios = [replace(STRESS, payload_mass=m, latency=k) for m, k in ((0.0, 0), (1.5, 2), (3.0, 1))]
    params = stack_params([plant_params(chain, s) for s in scenarios])
    commands = np.linspace(-0.3, 0.3, 18).reshape(6, 3)

    @jax.jit
    def together(params, q):
        def step(state, command):
            return twin.step(arm, config, params, state, jnp.broadcast_to(command, q.shape))[0], None

        return jax.lax.scan(step, twin.reset(arm, config, q, params=params), commands)[0].q

    batch = together(params, jnp.tile(chain.home, (3, 1)))
    padded = np.concatenate([commands, np.zeros((94, 3))])  # the length for which the runner is compiled already
    for i, scenario in enumerate(scenarios):
        alone = twin_rollout("planar3", "velocity", scenario, padded)["q"][5]
        np.testing.assert_allclose(batch[i], alone, rtol=0, atol=1e-13)


def test_statistics_of_a_step_cost_no_gradient(x64):
    """Saturation and load are for rewards; a loss on the motion alone must not pull them into its backward pass."""
    chain, arm, config = load_chain("planar3"), plain_arm("planar3"), ServoConfig(control="torque")
    params = plant_params(chain, Scenario())

    def load(command):
        return jnp.sum(twin.step(arm, config, params, twin.reset(arm, config, chain.home), command)[1].load)

    assert not jax.jit(jax.grad(load))(jnp.ones(3)).any()
