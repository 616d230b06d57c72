"""A judgement says what a policy achieves, on the same episodes each time."""

import numpy as np
import pytest

from armctl.rl import checkpoints
from armctl.rl.judge import judge


class Arms:
    """A VecEnv of two arms whose errors are known: arm i ends episodes of 3 steps with an error of i + 1 mm."""

    num_envs = 2

    def seed(self, seed):
        self.seeded = seed

    def reset(self):
        self.k = 0
        return np.zeros((2, 1))

    def step(self, actions):
        np.testing.assert_array_equal(actions, 7.0)
        self.k += 1
        left = 3 - self.k % 3 if self.k % 3 else 0
        infos = [
            {"is_success": i == 0 and not left, "position_error": 1e-3 * (i + 1 + left), "orientation_error": 0.1}
            for i in range(2)
        ]
        return np.full((2, 1), 1.0 * self.k), np.full(2, 0.5), np.full(2, not left), infos


class Model:
    def predict(self, observation, deterministic):
        assert deterministic
        return np.full((2, 1), 7.0), None


def test_of_reaching_the_end_counts_and_of_tracking_the_whole_way():
    ended = judge(Model(), Arms(), 4, tracking=False)
    assert ended.success == 0.5
    np.testing.assert_allclose(
        [ended.position_error_mm, ended.orientation_error_deg, ended.reward], [1.5, np.rad2deg(0.1), 1.5]
    )
    whole = judge(Model(), Arms(), 4, tracking=True)
    rms = [np.sqrt(np.mean(np.square([3, 2, 1]))), np.sqrt(np.mean(np.square([4, 3, 2])))]
    np.testing.assert_allclose([whole.position_error_mm, whole.success], [np.mean(rms), 1 / 6])


def test_a_state_is_there_whole_or_not_at_all(tmp_path):
    def write(folder):
        (folder / "policy.zip").write_text("policy")
        (folder / checkpoints.REPLAY).write_text("experience")

    def fail(folder):
        (folder / "policy.zip").write_text("torn")
        raise KeyboardInterrupt

    for steps in (100, 200, 300):
        checkpoints.keep(tmp_path, steps, write)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.keep(tmp_path, 400, fail)
    assert checkpoints.kept(tmp_path) == [100, 200, 300]
    checkpoints.tidy(tmp_path, best=100)
    assert checkpoints.kept(tmp_path) == [100, 300]
    assert not (checkpoints.place(tmp_path, 100) / checkpoints.REPLAY).exists()
    assert (checkpoints.place(tmp_path, 300) / checkpoints.REPLAY).exists()
