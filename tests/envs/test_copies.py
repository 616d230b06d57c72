"""A copy of an environment goes on as the original would, in a world of its own."""

import copy
import gc
import pickle

import gymnasium as gym
import numpy as np
import pytest

from armctl.envs.reach import ReachEnv
from armctl.envs.track import TrackEnv
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario

EVERYTHING = Scenario(
    payload_mass=0.5,
    payload_switch=0.1,
    coulomb=0.5,
    viscous=0.1,
    actuator_lag=0.02,
    latency=2,
    position_noise=1e-3,
    wrench=(3.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    wrench_start=0.02,
    wrench_duration=0.3,
)
CASES = {
    "torque": {"control": "torque", "scenario": EVERYTHING},
    "twist": {"control": "ee_twist"},
    "position": {"control": "position", "scenario": "stress"},
    "motors, position": {"control": "position", "motor": "bullet"},
    "motors, velocity": {"control": "velocity", "motor": "bullet", "scenario": EVERYTHING},
}
COPIERS = {"deepcopy": copy.deepcopy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}


def rollout(env, steps, seed):
    rng, rows = np.random.default_rng(seed), []
    for _ in range(steps):
        observation, reward, *_ = env.step(0.5 * rng.uniform(-1, 1, env.action_space.shape))
        rows.append(np.concatenate([*observation.values(), [reward]]))
    return np.array(rows)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("make", "how"), [(ReachEnv, "deepcopy"), (TrackEnv, "pickle")])
def test_a_copy_goes_on_alike_and_alone(make, case, how):
    env = make("planar3", **CASES[case])
    env.reset(seed=0)
    rollout(env, 8, seed=1)
    twin, later = COPIERS[how](env), copy.deepcopy(env)
    ours = rollout(env, 20, seed=2)
    np.testing.assert_allclose(rollout(twin, 20, seed=2), ours, atol=1e-9)
    for one in (env, twin):  # what is drawn next is the same too
        one.reset()
    assert env.targets == twin.targets
    env.close()
    np.testing.assert_allclose(rollout(later, 20, seed=2), ours, atol=1e-9)  # untouched by either
    twin.close()
    later.close()


def test_a_copy_under_wrappers_neither_steps_nor_ends_the_original():
    env = gym.make("armctl/PandaReach-v1")
    first, _ = env.reset(seed=0)
    other = copy.deepcopy(env)
    for _ in range(10):
        other.step(np.full(7, 0.5))
    np.testing.assert_allclose(env.step(np.zeros(7))[0]["observation"][:7], first["observation"][:7], atol=1e-3)
    del other
    gc.collect()
    env.reset(seed=1)
    env.close()


def test_a_copy_draws_pictures_of_its_own():
    env = ReachEnv("planar3", observe="image")
    before, _ = env.reset(seed=0)
    other = copy.deepcopy(env)
    env.step(np.ones(3))
    seen, _ = other.reset(seed=0)
    np.testing.assert_array_equal(seen["rgb"], before["rgb"])
    env.close()
    other.close()


def test_a_copy_of_a_closed_environment_is_closed():
    env = ReachEnv("planar3")
    env.close()
    other = copy.deepcopy(env)
    with pytest.raises(UsageError, match="make a new one"):
        other.reset()
    other.close()


def test_what_has_a_window_is_not_copied():
    env = ReachEnv("planar3")
    env.render_mode = "human"
    with pytest.raises(UsageError, match="window"):
        copy.deepcopy(env)
    env.close()
