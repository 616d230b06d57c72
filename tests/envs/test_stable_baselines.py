"""The adapter to stable-baselines3: with the library where it is installed, else with a stand-in for its base class."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest

from armctl.envs.vector import make_vec
from armctl.errors import UsageError

NAME = "armctl.envs.stable_baselines"


class VecEnv:
    """What the adapter uses of stable_baselines3.common.vec_env.VecEnv."""

    def __init__(self, num_envs, observation_space, action_space):
        self.num_envs, self.observation_space, self.action_space = num_envs, observation_space, action_space
        self.reset_infos = [{} for _ in range(num_envs)]
        self._reset_seeds()
        self._reset_options()
        self.render_mode = self.get_attr("render_mode")[0]

    def _reset_seeds(self):
        self._seeds = [None] * self.num_envs

    def _reset_options(self):
        self._options = [{}] * self.num_envs

    def seed(self, seed):
        self._seeds = [seed + i for i in range(self.num_envs)]

    def set_options(self, options):
        self._options = [options] * self.num_envs

    def step(self, actions):
        self.step_async(actions)
        return self.step_wait()

    def _get_indices(self, indices):
        return range(self.num_envs) if indices is None else [indices] if isinstance(indices, int) else indices


@pytest.fixture
def adapter(monkeypatch):
    """The adapter's class."""
    if find_spec("stable_baselines3") is None:
        for name in ("stable_baselines3", "stable_baselines3.common", "stable_baselines3.common.vec_env"):
            module = ModuleType(name)
            module.__spec__, module.__path__, module.VecEnv = ModuleSpec(name, None), [], VecEnv
            monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    yield import_module(NAME).StableBaselinesVecEnv
    sys.modules.pop(NAME, None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the library imports
def test_terminal_observations_are_those_in_which_episodes_ended(adapter):
    """One environment beside it, with the same actions: its last observation, and the start of the next episode."""
    envs = make_vec("armctl/Planar3Reach-v1", 2, processes=1, max_episode_steps=4, bank_size=3, control="torque")
    single = gym.make("armctl/Planar3Reach-v1", max_episode_steps=4, control="torque")
    vec, rng = adapter(envs), np.random.default_rng(0)
    vec.seed(5)
    observation, expected = vec.reset(), single.reset(seed=6)
    assert vec.reset_infos[1] == expected[1]
    for k in range(1, 13):
        np.testing.assert_array_equal(observation["observation"][1], expected[0]["observation"])
        actions = rng.uniform(-1, 1, (2, 3)).astype(np.float32)
        observation, reward, done, infos = vec.step(actions)
        expected = single.step(actions[1])
        info = {key: x for key, x in infos[1].items() if key not in ("terminal_observation", "TimeLimit.truncated")}
        assert info == expected[4]
        assert (reward.dtype, done[1], infos[1]["TimeLimit.truncated"]) == (np.float32, k % 4 == 0, k % 4 == 0)
        assert reward[1] == np.float32(expected[1])
        assert ("terminal_observation" in infos[1]) == done[1]
        if done[1]:
            for key, value in infos[1]["terminal_observation"].items():
                np.testing.assert_array_equal(value, expected[0][key])
            expected = single.reset(seed=envs._draws.bank[envs._draws.index[1]])
    vec.close()
    single.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("backend", ["bullet", "twin"])
def test_methods_and_attributes_of_either_backend_are_reached(adapter, backend):
    options = {"processes": 1} if backend == "bullet" else {}
    vec = adapter(make_vec("armctl/Planar3Reach-v1", 3, backend=backend, reward="sparse", bank_size=2, **options))
    goals = vec.reset()["desired_goal"]
    for wanted in (None, 1, [0, 2]):
        found = vec.env_method("compute_reward", goals, goals, [{}] * 3, indices=wanted)
        assert len(found) == (3 if wanted is None else np.size(wanted))
        np.testing.assert_array_equal(found[0], [0, 0, 0])
    assert vec.get_attr("dt", indices=[0, 2]) == [0.01, 0.01]
    assert vec.env_is_wrapped(gym.Wrapper, indices=[1]) == [False]
    if backend == "bullet":
        vec.set_attr("dt", 0.5, indices=1)
        assert vec.get_attr("dt") == [0.01, 0.5, 0.01]
        vec.set_attr("nickname", "new", indices=[0])  # nobody had one before
        assert vec.get_attr("nickname", indices=0) == ["new"]
    else:
        with pytest.raises(UsageError, match="twin"):
            vec.set_attr("dt", 0.5)
    vec.close()


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch):
    module = import_module(NAME)
    monkeypatch.setattr(module, "INSTALLED", False)
    with pytest.raises(UsageError, match=r"pip install \"armctl\[rl\]\""):
        module.StableBaselinesVecEnv(None)
