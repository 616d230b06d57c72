"""Pictures."""

import gymnasium as gym
import numpy as np
import pytest

from armctl.envs.reach import ReachEnv
from armctl.errors import UsageError


def test_pictures_show_something_and_change_nothing():
    finals = []
    for mode in (None, "rgb_array"):
        env = gym.make("armctl/Planar3Reach-v1", render_mode=mode)
        env.reset(seed=0)
        pictures = []
        for _ in range(3):
            observation = env.step(np.ones(3))[0]["observation"]
            pictures.append(env.render() if mode else None)
        finals.append(observation)
        env.close()
    np.testing.assert_array_equal(*finals)
    assert pictures[0].shape == (360, 480, 3)
    assert pictures[0].dtype == np.uint8
    assert pictures[0].std() > 5
    assert np.any(pictures[0] != pictures[-1])


def test_there_is_no_picture_before_the_first_reset():
    env = ReachEnv("planar3", render_mode="rgb_array")
    with pytest.raises(UsageError, match="reset"):
        env.render()
    env.close()
