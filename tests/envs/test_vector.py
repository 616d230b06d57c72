"""Vector environments in PyBullet: several arms in one process, several processes, and what becomes of them."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from armctl.envs.arms_vector_env import ArmsVectorEnv
from armctl.envs.vector import make_vec
from armctl.errors import UsageError, WorkerError

REACH, TRACK = "armctl/Planar3Reach-v1", "armctl/Planar3Track-v1"


def assert_equal(a, b):
    """Two observations to the bit."""
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def arm(tree, i):
    """One arm's part of what a vector environment gives, less the masks."""
    if isinstance(tree, dict):
        return {key: arm(x, i) for key, x in tree.items() if key[0] != "_"}
    return tree[i]


@pytest.fixture(scope="module")
def five():
    """Five arms of two processes, tracking references of 6 steps under loads of their own."""
    envs = make_vec(TRACK, 5, processes=2, control="torque", scenario="payload", duration=0.06, bank_size=4)
    yield envs
    envs.close()


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


def test_every_episode_is_that_of_a_single_environment_with_the_seed_it_was_drawn_by(five):
    single = gym.make(TRACK, control="torque", scenario="payload", duration=0.06)
    rng = np.random.default_rng(0)
    observation, info = five.reset(seed=7)
    for i in (0, 3, 4):  # in either process, and the first arm beyond the bank
        expected = single.reset(seed=7 + i % 4)
        assert_equal(arm(observation, i), expected[0])
        assert arm(info, i) == expected[1]
    single.reset(seed=7 + 3)
    for k in range(1, 15):
        actions = rng.uniform(-1, 1, (5, 3)).astype(np.float32)
        starts = k in (7, 14)
        observation, reward, terminated, truncated, info = five.step(actions)
        if starts:
            seed = five._draws.bank[five._draws.index[3]]
            assert 7 <= seed < 11
            expected = (*single.reset(seed=seed), 0.0, False)
        else:
            seen, value, _, cut, said = single.step(actions[3])
            expected = (seen, said, value, cut)
        assert_equal(arm(observation, 3), expected[0])
        assert (arm(info, 3), reward[3], truncated[3]) == expected[1:]
        assert not terminated.any()
        assert truncated[3] == (k in (6, 13))
    single.close()


def test_obeys_the_vector_interface(five):
    single = gym.make(TRACK, control="torque")
    assert isinstance(five, gym.vector.VectorEnv)
    assert five.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert (five.single_action_space, five.single_observation_space) == (single.action_space, single.observation_space)
    assert five.observation_space == batch_space(single.observation_space, 5)
    single.close()
    observation, info = five.reset(seed=1)
    assert five.observation_space.contains(observation)
    five.action_space.seed(0)
    observation, reward, terminated, truncated, info = five.step(five.action_space.sample())
    assert five.observation_space.contains(observation)
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float64, bool, bool)
    assert (info["self_collision"].dtype, info["position_error"].dtype) == (bool, np.float64)
    assert info["_position_error"].all()
    assert info["reward_terms"]["_position"].all()


def test_what_a_step_returned_is_not_written_to_by_the_next(five):
    before = five.reset(seed=1)
    copies = [before[0]["observation"].copy(), before[1]["position_error"].copy()]
    five.step(np.ones((5, 3), np.float32))
    np.testing.assert_array_equal(before[0]["observation"], copies[0])
    np.testing.assert_array_equal(before[1]["position_error"], copies[1])


def test_a_mask_restarts_some_arms_and_leaves_the_others_where_they_are(five):
    five.reset(seed=1)
    moved = five.step(np.ones((5, 3), np.float32))[0]
    mask = np.array([False, True, False, False, True])
    observation, info = five.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(info["_position_error"], mask)
    np.testing.assert_array_equal(observation["observation"][~mask], moved["observation"][~mask])
    assert (observation["observation"][mask] != moved["observation"][mask]).any()
    np.testing.assert_array_equal(five.call("step_index"), [1, 0, 1, 1, 0])


def test_attributes_of_the_environments_are_read_called_and_set(five):
    five.reset(seed=1)
    np.testing.assert_array_equal(np.array(five.call("tip"))[4], five.call("tip", arms=[4])[0])
    five.set_attr("nickname", list("abcde"))
    assert five.get_attr("nickname") == tuple("abcde")
    assert five.call("nickname", arms=[3, 1]) == ("d", "b")
    five.set_attr("nickname", "x", arms=[1, 4])
    assert five.get_attr("nickname") == tuple("axcdx")
    with pytest.raises(UsageError, match="2 values of nickname for 5"):
        five.set_attr("nickname", ["a", "b"])


@pytest.mark.parametrize(
    ("reset", "said"),
    [
        ({"options": {"wind": 1}}, "wind"),
        ({"options": {"reset_mask": [True] * 5}}, "reset_mask"),
        ({"options": {"reset_mask": np.zeros(5, bool)}}, "reset_mask"),
        ({"options": {"reset_mask": np.arange(5) < 2}, "seed": 3}, "no seed"),
        ({"seed": [1, 2]}, "5 of them"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_bad_resets_are_named_and_a_good_one_heals(five, reset, said):
    five.reset(seed=0)
    with pytest.raises(UsageError, match=said):
        five.reset(**reset)
    five.reset(seed=0)
    five.step(np.zeros((5, 3), np.float32))


def test_bad_actions_and_arguments_are_named(five):
    five.reset(seed=0)
    with pytest.raises(UsageError, match="arm 2"):
        five.step(np.where(np.arange(5)[:, None] == 2, np.nan, np.zeros((5, 3))))
    with pytest.raises(UsageError, match="shape"):
        five.step(np.zeros((5, 4)))
    for options, said in (({"processes": 0}, "processes is 0"), ({"bank_size": 0}, "bank_size is 0")):
        with pytest.raises(UsageError, match=said):
            make_vec(REACH, 2, **options)
    with pytest.raises(UsageError, match="Box"):
        make_vec("CartPole-v1", 2)
    envs = make_vec(REACH, 2, processes=1)
    with pytest.raises(UsageError, match="reset"):
        envs.step(np.zeros((2, 3), np.float32))
    envs.close()
    with pytest.raises(UsageError, match="closed"):
        envs.reset()


@pytest.mark.parametrize("options", [{}, {"seed": 3}])
def test_without_a_seed_the_episodes_are_those_of_the_constructor_or_random(options):
    rows = []
    for _ in range(2):
        envs = make_vec(REACH, 2, processes=1, bank_size=2**20, **options)
        rows.append(envs.reset()[0]["desired_goal"])
        envs.close()
    assert (rows[0] == rows[1]).all() == bool(options)


class Talker(gym.Env):
    """Observes its steps, and says more in some of them than in others."""

    observation_space, action_space = gym.spaces.Box(0, 9, (1,)), gym.spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {"count": 0, "score": 0}

    def step(self, action):
        self.count += 1
        if self.count == 3:
            raise RuntimeError("The talker is lost for words.")
        more = {"word": "two"} if self.count == 2 else {}
        return (
            np.full(1, self.count, np.float32),
            float(action[0]),
            self.count == 4,
            False,
            {"count": self.count, "score": self.count / 4} | more,
        )


def test_other_observations_infos_and_errors_pass_too():
    envs = ArmsVectorEnv(Talker, 2, processes=1)
    observation, info = envs.reset(seed=0)
    assert observation.shape == (2, 1)
    info = envs.step(np.ones((2, 2)))[-1]
    assert "word" not in info
    np.testing.assert_array_equal(info["score"], [0.25, 0.25])  # whole at the reset
    observation, _, _, _, info = envs.step(np.ones((2, 2)))
    np.testing.assert_array_equal(observation[:, 0], [2, 2])
    np.testing.assert_array_equal(info["count"], [2, 2])
    assert list(info["word"]) == ["two", "two"]
    assert info["_word"].all()
    with pytest.raises(RuntimeError, match="lost for words"):
        envs.step(np.ones((2, 2)))
    with pytest.raises(UsageError, match="reset"):
        envs.step(np.ones((2, 2)))
    envs.close()


class TwoThings(Exception):
    """Cannot be made from its text alone, and so not be unpickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class Thrower(Talker):
    """Raises in its first step what its parent cannot read, where it is the first arm."""

    def step(self, action):
        if action[0] > 0:
            raise TwoThings("this", "that")
        return super().step(action)


def test_an_error_that_cannot_be_read_leaves_no_answer_behind():
    envs = ArmsVectorEnv(Thrower, 2, processes=2)
    envs.reset(seed=0)
    with pytest.raises(WorkerError, match="cannot be read"):
        envs.step(np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert envs.call("count", arms=[1]) == (1,)  # that of the step, and not what the step said
    observation, _ = envs.reset(seed=0)
    np.testing.assert_array_equal(observation, 0)
    envs.close()


def test_pictures_and_a_goal_pass_through_processes():
    given = {"goal": (0.5, 0.0, 0.4, 0.0, 0.0, 0.0, 1.0)}
    envs, single = make_vec(REACH, 2, processes=2, observe="both"), gym.make(REACH, observe="both")
    observation, _ = envs.reset(seed=3, options=given)
    assert envs.observation_space.contains(observation)
    assert_equal(arm(observation, 1), single.reset(seed=4, options=given)[0])
    envs.close()
    single.close()


def test_one_environment_needs_no_process():
    envs = make_vec(REACH, 1)
    assert all(not worker.name.startswith("arms 0-0") for worker in active_children())
    observation, _ = envs.reset(seed=0)
    assert observation["observation"].shape == (1, 6 + 9)
    envs.close()


def memory_files():
    """This process's named shared memory, and what it has open."""
    own = [name for name in os.listdir("/dev/shm") if name.startswith(f"pym-{os.getpid()}-")]
    return sorted(own), len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what is open as Linux shows it")
def test_a_dead_worker_is_named_in_a_sentence_and_nothing_is_left():
    make_vec(REACH, 1).close()
    before, others = memory_files(), set(active_children())
    envs = make_vec(REACH, 4, processes=3)
    envs.reset(seed=0)
    first, second = (worker.pid for worker in envs._workers[:-1])
    os.kill(second, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"arms 2 to 2 has ended by SIGKILL; .*make a new one") as caught:
        envs.step(np.zeros((4, 3), np.float32))
    assert str(caught.value).count(". ") == 0
    assert set(active_children()) == others
    assert not Path(f"/proc/{first}").exists()
    with pytest.raises(UsageError, match="closed"):
        envs.step(np.zeros((4, 3), np.float32))
    envs.close()
    envs = make_vec(REACH, 2)
    envs.close()
    envs.close()
    del envs
    files, opened = memory_files()
    assert files == before[0]
    assert opened <= before[1] + 4  # the fork server's own


UNGUARDED = """
from armctl.envs.vector import make_vec
make_vec("armctl/Planar3Reach-v1", 2, processes=2).reset(seed=0)
"""


def test_a_script_that_forgets_its_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode != 0
    assert 'make a new one, in a script under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


SCRIPT = """
import numpy as np, os, signal, sys
from armctl.envs.vector import make_vec
if __name__ == "__main__":
    envs = make_vec("armctl/Planar3Reach-v1", 3, processes=3)
    envs.reset(seed=0)
    print(*(worker.pid for worker in envs._workers[:-1]), flush=True)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up as Linux shows them")
@pytest.mark.parametrize("end", ["forget", "kill"])
def test_workers_end_with_a_parent_that_does_not_close(end, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script), end], capture_output=True, text=True)
    assert (done.returncode == 0) == (end == "forget"), done.stderr
    assert "Traceback" not in done.stderr
    pids = done.stdout.split()
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
