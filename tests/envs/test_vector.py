"""Vector environments."""

from multiprocessing import active_children

import gymnasium as gym
import numpy as np

from armctl.envs.vector import make_vec

REACH = "armctl/Planar3Reach-v0"


def test_batch_equals_loop():
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 2, 3)).astype(np.float32)
    batch = make_vec(REACH, 2, control="torque")
    batch.reset(seed=[4, 9])
    rows = [batch.step(a)[0]["observation"] for a in actions]
    batch.close()
    for i, seed in enumerate((4, 9)):
        env = gym.make(REACH, control="torque")
        env.reset(seed=seed)
        for k in range(10):
            np.testing.assert_array_equal(env.step(actions[k, i])[0]["observation"], rows[k][i])
        env.close()


def test_one_environment_needs_no_process():
    envs = make_vec(REACH, 1)
    assert not active_children()
    observation, _ = envs.reset(seed=0)
    assert observation["observation"].shape == (1, 6 + 9 + 6)
    envs.close()
