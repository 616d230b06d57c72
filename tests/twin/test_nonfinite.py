"""Where a rollout broke: the entry named is the first one that is not finite, and rolling by hand finds the same."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest

from armctl import twin
from armctl.arm import load_arm
from armctl.envs.vector import make_vec
from armctl.plant.effects.effect import Effect
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin import nonfinite
from armctl.urdf import load_chain

CHAIN, ARM = load_chain("planar3"), load_arm("planar3")
SERVO = ServoConfig(control="torque")
STEPS, BATCH = 6, 4


@dataclass(frozen=True)
class Fuse(Effect, name="fuse"):
    """Torques that cease to be numbers at some time."""

    time: float

    def prepare(self, chain):
        """Its inverse, () 1/s, so that zero means never."""
        return np.asarray(1 / self.time)

    @staticmethod
    def torque(p, memory, tau, q, qd, time, dt):
        """Not a number from then on."""
        xp = q.__array_namespace__()
        return xp.where(((time + dt / 2) * p >= 1)[..., None], xp.nan, tau), memory


@jax.jit
def roll(params, start, commands):
    def step(state, command):
        # joint stops would hold an arm that is to break
        state, _ = twin.step(ARM, SERVO, params, state, command, stops=False)
        return state, state

    return jax.lax.scan(step, start, commands)[1]


def diagnosed(params, start, commands):
    states = roll(params, start, commands)
    return nonfinite.diagnose(ARM, SERVO, params, start, commands, states, stops=False)


def setting(**changes):
    """Four arms at home under gravity compensation; changes: leaves of their plants."""
    params = stack_params([plant_params(CHAIN, Scenario(payload_mass=0.1 * i)) for i in range(BATCH)])
    params = jax.tree.map(np.array, params._replace(**changes))
    start = twin.reset(ARM, SERVO, np.tile(CHAIN.home, (BATCH, 1)), params=params)
    return params, start, np.zeros((STEPS, BATCH, 3), np.float32)


def test_a_finite_rollout_has_no_breakdown():
    assert diagnosed(*setting()) is None


def test_the_arm_whose_plant_is_not_finite_is_named_with_the_parameter():
    params, start, commands = setting()
    params.mass[2, 1] = np.nan
    broken = diagnosed(params, start, commands)
    assert (broken.arm, broken.step, broken.physics_step, broken.quantity, broken.arms) == (2, 0, 0, "qd", 1)
    assert "mass[1] is not finite" in str(broken)


def test_a_command_that_is_not_finite_is_named_before_what_it_does():
    params, start, commands = setting()
    commands[3, 1, 2] = np.nan
    broken = diagnosed(params, start, commands)
    assert str(broken) == "Arm 1 of the batch: command of joint 3 became nan at control step 3 (physics step 15)."


@pytest.mark.parametrize("physics_step", [10, 13])
def test_the_physics_step_is_named(physics_step):
    params, start, commands = setting()
    rates = np.array([0.0, 1 / (physics_step * SERVO.physics_dt), 0.0, 0.0], np.float32)
    broken = diagnosed(params._replace(effects={"fuse": rates}), start, commands)
    assert (broken.arm, broken.arms, broken.quantity, broken.index) == (1, 1, "torque", (0,))
    assert (broken.step, broken.physics_step) == (physics_step // SERVO.substeps, physics_step)


def test_cause_comes_before_effect_and_early_before_late():
    trace = {"cause": np.zeros((4, 3)), "effect": np.zeros((4, 3, 2))}
    assert nonfinite.first_break(trace) is None
    trace["effect"][2, 0, 1] = np.inf
    broken = nonfinite.first_break(trace)
    assert (broken.quantity, broken.step, broken.arm, broken.index, broken.value) == ("effect", 2, 0, (1,), np.inf)
    trace["cause"][2, 1] = np.nan
    assert nonfinite.first_break(trace).quantity == "cause"
    trace["effect"][1, 2, 0] = -np.inf
    broken = nonfinite.first_break(trace)
    assert (broken.quantity, broken.step, broken.arm, broken.arms) == ("effect", 1, 2, 3)


def test_the_vector_environment_says_which_arm_broke():
    drawn = iter([Scenario(effects=(Fuse(0.03),)), Scenario()])
    options = {"bank_size": 2, "control": "torque", "scenario": lambda rng: next(drawn)}
    env = make_vec("armctl/Planar3Track-v1", 6, backend="twin", seed=1, **options)
    env.reset(seed=1)
    for _ in range(8):
        observation, _, _, truncated, info = env.step(np.zeros((6, 3), np.float32))
        assert np.isfinite(observation["observation"]).all()
        if truncated.any():
            break
        assert "breakdown" not in info
    np.testing.assert_array_equal(info["_breakdown"], truncated)
    assert 0 < truncated.sum() < 6
    left = [x for part in env._episodes for x in jax.tree.leaves(part.state)]
    assert all(np.isfinite(x).all() for x in left)  # what was lost leaves nothing behind
    for i, said in enumerate(info["breakdown"]):
        assert said.startswith(f"Arm {i}: qd of joint") if truncated[i] else said == ""
    env.reset(options={"reset_mask": ~truncated})  # of the others: those that are lost still wait for theirs
    _, _, _, _, info = env.step(np.zeros((6, 3), np.float32))
    assert "breakdown" not in info
    steps = np.concatenate([np.ravel(part.step) for part in env._episodes])
    np.testing.assert_array_equal(steps, np.where(truncated, 0, 1))
    env.close()
