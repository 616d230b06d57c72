"""Policies of stable-baselines3 are asked as they were trained, and others are refused."""

import json
from zipfile import ZipFile

import gymnasium as gym
import numpy as np
import pytest

import armctl
from armctl.arm import load_arm
from armctl.bench.own_controller import load_own
from armctl.bench.records import read_table, read_tracks
from armctl.bench.suite import load_suite
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from tests.bench.own import CONFIG, bench


class Model:
    """What stable-baselines3's models have: spaces and `predict`; it moves the first joint."""

    def __init__(self, preview=2, size=3, flat=False, env=None):
        env = env or gym.make("armctl/Planar3Track-v1", preview=preview)
        space = env.observation_space
        self.observation_space = gym.spaces.flatten_space(space) if flat else space
        self.action_space = gym.spaces.Box(-1, 1, (size,), np.float32)
        self.seen = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert self.observation_space.contains(observation)
        assert deterministic
        assert (state is None) == bool(episode_start.all())
        return 0.2 * np.eye(3)[0], "memory"


@pytest.mark.parametrize("flat", [False, True])
def test_models_of_stable_baselines_are_asked_as_they_were_trained(flat, tmp_path):
    summary = bench({"model": Model(flat=flat)}, tmp_path / "run", {"nominal": Scenario()})
    assert not summary["controllers"]["model"]["failures"]
    given = summary["given"]["model"]
    assert (given["control"], given["preview"], given["family"]) == ("velocity", 2, "learned")
    track = read_tracks(tmp_path / "run", read_table(tmp_path / "run")["model"])[0]
    moved = np.abs(track.q - track.q[0]).max(axis=0)
    assert moved[0] > 0.1 > 0.05 > moved[2]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("position_only", [False, True])
def test_models_that_were_trained_to_reach_are_known_by_what_they_observe(flat, position_only, tmp_path):
    model = Model(flat=flat, env=gym.make("armctl/Planar3Reach-v1", position_only=position_only))
    suites = {"goal": load_suite("goal", armctl.load_chain("planar3"), limit=1)}
    summary = bench({"model": model}, tmp_path / "run", {"nominal": Scenario()}, suites=suites)
    assert not summary["controllers"]["model"]["failures"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model(size=4), "The Model policy gives 4 numbers; control 'velocity' of an arm of 3 joints takes 3"),
        (type("Odd", (Model,), {})(preview=0), None),
    ],
)
def test_policies_of_other_arms_are_refused(model, said, tmp_path):
    if said is None:
        model.observation_space, said = gym.spaces.Box(-1, 1, (5,)), "The policy observes Box"
    with pytest.raises(UsageError, match=said):
        bench({"model": model}, tmp_path / "run")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the library imports
@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("", "not a policy that stable-baselines3 or sbx saved"),
        ("rllib.sac.policies", "holds a policy of 'rllib'"),
        ("sbx.nothing.policies", "needs sbx.NOTHING; install it with: pip install sbx-rl"),
    ],
)
def test_files_that_are_no_policies_are_refused(home, said, tmp_path):
    path = tmp_path / "policy.zip"
    if home:
        with ZipFile(path, "w") as archive:
            archive.writestr("data", json.dumps({"policy_class": {"__module__": home}}))
    else:
        path.write_text("no zip")
    with pytest.raises(UsageError, match=said):
        load_own(str(path), load_arm("planar3"), CONFIG)
    with pytest.raises(UsageError, match="names control 'force'"):
        load_own(f"{path}:force", load_arm("planar3"), CONFIG)


def test_what_another_program_calls_config_json_is_no_run(tmp_path):
    (tmp_path / "config.json").write_text('{"algo": "sac"}')
    (tmp_path / "policy.zip").write_text("no zip")
    with pytest.raises(UsageError, match="not a policy that stable-baselines3"):
        load_own(str(tmp_path / "policy.zip"), load_arm("planar3"), CONFIG)


def test_a_policy_of_another_arm_is_refused_by_its_run(tmp_path):
    record = {"config": {"robot_name": "panda", "recipe": {"environment": {}}}}
    (tmp_path / "config.json").write_text(json.dumps(record))
    checkpoint = tmp_path / "checkpoints" / "000000100"
    checkpoint.mkdir(parents=True)
    for place in (tmp_path, checkpoint):
        (place / "policy.zip").write_text("no zip")
        with pytest.raises(UsageError, match="was trained for panda, not planar3"):
            load_own(str(place / "policy.zip"), load_arm("planar3"), CONFIG)


def test_a_policy_that_stable_baselines_saved_is_benched(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    env = gym.make("armctl/Planar3Track-v1", control="torque", preview=1, duration=0.2)
    sb3.PPO("MultiInputPolicy", env, n_steps=16, batch_size=16).learn(16).save(tmp_path / "ppo.zip")
    name, policy = load_own(f"{tmp_path / 'ppo.zip'}:torque", load_arm("planar3"), CONFIG)
    summary = bench({name: policy}, tmp_path / "run", {"nominal": Scenario()})
    assert summary["given"]["ppo"]["control"] == "torque"
    assert not summary["controllers"]["ppo"]["failures"]


def test_models_with_other_spaces_are_refused(tmp_path):
    model = Model()
    model.action_space = gym.spaces.Discrete(3)
    with pytest.raises(UsageError, match="gives Discrete"):
        bench({"model": model}, tmp_path / "run")
    seeing = Model(env=gym.make("armctl/Planar3Track-v1", observe="both"))
    with pytest.raises(UsageError, match="put one that sees pictures into a class of your own"):
        bench({"model": seeing}, tmp_path / "run")
