"""The twin of PyBullet's own motors is PyBullet's own motors, saturated or not."""

from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import twin
from armctl.envs.bullet.plant import Plant
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.twin import motors
from armctl.urdf import load_chain
from tests.robots import ROBOTS, plain_arm
from tests.twin.rollouts import STRESS, params_as_of_stress

WEAK = replace(STRESS, actuator_strength=0.35, payload_mass=2.0)
STEPS = 60


@lru_cache
def runner(control):
    """Compiled rollouts of one control mode, shared by all arms of as many joints and by all scenarios."""
    config = ServoConfig(control=control)

    def run(arm, params, q, commands):
        def step(state, command):
            state, info = motors.step(arm, config, params, state, command)
            return state, {"q": state.q, "qd": state.qd, "saturation": info.saturation, "torque": info.torque}

        return jax.lax.scan(step, twin.reset(arm, config, q, params=params), commands)[1]

    return jax.jit(run)


def both(robot, control, scenario, commands):
    """What plant and twin do from home under commands (K, m): dictionaries of (K, ...)."""
    chain = load_chain(robot)
    plant = Plant(chain, ServoConfig(control=control), "bullet")
    plant.reset(scenario, chain.home, np.zeros(chain.n))
    rows = []
    for command in commands:
        plant.step(command)
        rows.append({name: np.copy(getattr(plant, name)) for name in ("q", "qd", "saturation", "torque")})
    plant.close()
    said = runner(control)(plain_arm(robot), params_as_of_stress(chain, scenario), chain.home, commands)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, jax.tree.map(np.asarray, said)


@pytest.mark.parametrize("scenario", [Scenario(), WEAK], ids=["nominal", "weak"])
@pytest.mark.parametrize("control", ["velocity", "position", "ee_twist"])
@pytest.mark.parametrize("robot", ROBOTS)
def test_motors_follow_pybullet(robot, control, scenario, x64):
    chain, rng = load_chain(robot), np.random.default_rng(1)
    size = {"velocity": 0.5 * chain.velocity, "position": 0.005 * chain.velocity, "ee_twist": 0.3 * np.ones(6)}[control]
    swing = np.sin(0.2 * np.arange(STEPS)[:, None] + np.arange(len(size)))
    plant, said = both(robot, control, scenario, size * (swing + 0.3 * rng.normal(size=swing.shape)))
    assert np.abs(plant["q"] - chain.home).max() > 0.02
    for name, tolerance in {"q": 1e-11, "qd": 1e-9, "saturation": 1e-12, "torque": 1e-7}.items():
        assert np.abs(said[name] - plant[name]).max() < tolerance, name


@pytest.mark.parametrize("robot", ["panda", "xarm6", "planar3"])
def test_motors_at_their_effort_limit_follow_pybullet(robot, x64):
    chain = load_chain(robot)
    flip = np.sign(np.sin(2 * np.pi * np.arange(STEPS)[:, None] / 10 + np.arange(chain.n))) * chain.velocity
    plant, said = both(robot, "velocity", WEAK, flip)
    assert plant["saturation"].mean() > 0.3
    assert np.abs(said["q"] - plant["q"]).max() < 1e-10
    np.testing.assert_allclose(said["saturation"], plant["saturation"], atol=1e-12)


def test_gradient_through_saturated_motors_is_that_of_differences(x64):
    chain, arm, config = load_chain("planar3"), plain_arm("planar3"), ServoConfig(control="velocity")
    params = plant_params(chain, replace(WEAK, latency=0))
    base = np.array(chain.velocity) * np.array([[0.3], [0.25], [0.2]])
    direction = np.random.default_rng(0).normal(size=base.shape)

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def reached(commands):
        def step(state, command):
            state, info = motors.step(arm, config, params, state, command)
            return state, info.saturation

        state, saturation = jax.lax.scan(step, twin.reset(arm, config, jnp.array(chain.home.tolist())), commands)
        return jnp.sum(state.q * jnp.array([1.0, 2.0, -1.0])), saturation

    (_, saturation), gradient = reached(base)
    assert (saturation > 0).any()
    assert (saturation < 1).any()
    slope = float(np.sum(gradient * direction))
    ahead, back = (float(reached(base + h * direction)[0][0]) for h in (1e-6, -1e-6))
    finite = (ahead - back) / 2e-6
    assert abs(slope - finite) < 1e-5 * abs(finite)


def test_torque_control_is_refused():
    chain, config = load_chain("planar3"), ServoConfig(control="torque")
    state = twin.reset(plain_arm("planar3"), config, np.zeros(3, np.float32))
    with pytest.raises(UsageError, match="servo"):
        motors.step(plain_arm("planar3"), config, plant_params(chain, Scenario()), state, jnp.zeros(3))
