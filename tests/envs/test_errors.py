"""Bad input: one clear sentence that names the value and the remedy."""

from decimal import Decimal

import gymnasium as gym
import numpy as np
import pytest

from armctl.envs.reach import ReachEnv
from armctl.envs.vector import make_vec
from armctl.errors import UsageError

REACH = "armctl/Planar3Reach-v1"


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"robot": "pandaa"}, "pandaa.*planar3"),
        ({"control": "speed"}, "speed.*torque"),
        ({"reward": "huge"}, "huge.*dense"),
        ({"scenario": "storm"}, "storm.*payload"),
        ({"scenario": 3}, "3.*Scenario"),
        ({"motor": "steam"}, "steam.*servo"),
        ({"control_dt": 0.003}, "0.003.*multiple"),
        ({"preview": -1}, "preview is -1"),
        ({"preview": 2}, "preview is 2.*desired_goal"),
        ({"tolerance": -0.1}, "-0.1.*above 0"),
        ({"tolerance": "wide"}, "wide.*metres"),
        ({"tolerance": (0.1, 0.1, 0.1)}, "metres"),
        ({"tolerance": (0.1, 0.1), "position_only": True}, "metres alone"),
        ({"region": "kitchen"}, "kitchen.*workspace"),
        ({"region": (0.1, 0.2)}, r"\(0.1, 0.2\).*corners"),
        ({"region": ((3, 3, 3), (4, 4, 4))}, "planar3 reaches no goal.*3, 3, 3.*move it"),
        ({"goal": (0.3, 0.0, 0.3)}, "0.3.*position_only=True"),
        ({"goal": (0.3, 0.0, 0.3, 0, 0, 0, 2)}, "length 2.*unit"),
        ({"goal": (9.0, 0.0, 0.3), "position_only": True}, "9.* m from the first joint of planar3"),
        ({"goal": "there"}, "there.*seven"),
        ({"observe": "smell"}, "smell.*image"),
        ({"camera": "roof"}, "roof.*wrist"),
        ({"camera": {"size": 3}}, "'size'.*width"),
        ({"camera": {"width": 0}}, "width is 0.*pixels"),
        ({"camera": {"fov": 60}}, "fov is 60.*rad"),
    ],
)
def test_wrong_arguments(kwargs, words):
    with pytest.raises(UsageError, match=words):
        gym.make(REACH, **kwargs)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (np.array([0.0, np.nan, 0.0]), "Entry 1.*nan"),
        (np.array([0.0, 0.0, np.inf]), "Entry 2.*inf"),
        (np.zeros(4), r"shape \(4,\).*3"),
        ("left", "str"),
        ([0.1, [0.2, 0.3], 0.1], "list; give 3 numbers"),
    ],
)
def test_wrong_actions(action, words):
    env = gym.make(REACH)
    env.reset(seed=0)
    with pytest.raises(UsageError, match=words):
        env.step(action)
    env.close()


def test_numbers_of_any_kind_are_actions():
    env, wanted = gym.make(REACH).unwrapped, np.array([1.0, 0.0, -2.0])
    kinds = (wanted, wanted.astype(np.float16), wanted.astype(object), [1, 0, -2], (True, False, Decimal(-2)))
    rewards = []
    for action in kinds:
        env.reset(seed=0)
        rewards.append(env.step(action)[1])
    assert len(set(rewards)) == 1
    env.close()


def test_a_closed_environment_says_so():
    env = gym.make(REACH).unwrapped
    env.reset(seed=0)
    env.close()
    for call in (lambda: env.step(np.zeros(3)), lambda: env.reset(seed=0)):
        with pytest.raises(UsageError, match="is closed; make a new one"):
            call()


def test_wrong_references(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        gym.make("armctl/Planar3Track-v1", reference=str(tmp_path / "nowhere.npz"))
    with pytest.raises(UsageError, match="int"):
        gym.make("armctl/Planar3Track-v1", reference=3)
    panda = gym.make("armctl/PandaTrack-v1")
    panda.reset(seed=0)
    with pytest.raises(UsageError, match=r"7.*3"):
        gym.make("armctl/Planar3Track-v1", reference=panda.unwrapped.reference)
    panda.close()


def test_wrong_vectors():
    with pytest.raises(UsageError, match="0"):
        make_vec(REACH, 0)
    with pytest.raises(UsageError, match="gpu"):
        make_vec(REACH, 2, backend="gpu")


def test_unknown_render_mode():
    with pytest.raises(UsageError, match=r"ascii.*rgb_array"):
        ReachEnv("planar3", render_mode="ascii")


def test_a_window_without_a_display(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(UsageError, match=r"DISPLAY.*rgb_array"):
        gym.make(REACH, render_mode="human")
