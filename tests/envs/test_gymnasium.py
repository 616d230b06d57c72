"""The environments as Gymnasium sees them."""

import gc
import subprocess
import sys
import warnings
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from armctl.envs.bullet.client import p
from armctl.envs.vector import make_vec
from armctl.errors import UsageError
from armctl.plant.effects.effect import Effect, PerJoint
from armctl.plant.reward import REWARDS
from armctl.plant.scenario import Scenario
from armctl.plant.servo import CONTROLS
from armctl.registration import env_ids

TRACK = "armctl/PandaTrack-v1"

ROLLOUT = """
import hashlib, gymnasium as gym, numpy as np
from armctl.registration import register_all
register_all()
env = gym.make({id!r}, control={control!r}, scenario="stress")
env.action_space.seed(3)
rows = [env.reset(seed=5)[0]["observation"]]
for _ in range(200):
    observation, reward, _, _, _ = env.step(env.action_space.sample())
    rows.append(np.append(observation["observation"], reward))
print(hashlib.sha256(np.concatenate(rows).tobytes()).hexdigest())
"""


@pytest.mark.parametrize("id", env_ids())
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("reward", REWARDS)
def test_check_env(id, control, reward):
    env = gym.make(id, control=control, reward=reward, disable_env_checker=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("control", ["velocity", "torque"])
def test_same_seed_same_bits_across_instances_and_processes(control, capfd):
    script = ROLLOUT.format(id=TRACK, control=control)
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for _ in range(2):
        exec(script, {})
    assert capfd.readouterr().out.split() == other.stdout.split() * 2


def test_an_episode_leaves_no_trace_in_the_next():
    env = gym.make(TRACK, scenario="payload_friction")
    runs = []
    for _ in range(2):
        rows = [env.reset(seed=1)[0]["observation"]]
        for k in range(50):
            rows.append(env.step(np.full(7, np.sin(k)))[0]["observation"])
        runs.append(np.array(rows))
        env.reset(seed=7)
        env.step(np.ones(7))
    np.testing.assert_array_equal(*runs)
    env.close()


def test_a_hundred_environments_leak_no_client():
    def connected():
        return sum(p.isConnected(i) for i in range(1024))

    before = connected()
    for k in range(100):
        env = gym.make("armctl/Planar3Reach-v1", motor=("servo", "bullet")[k % 2])
        if k % 10 == 0:
            env.reset(seed=0)
        env.close()
        env.unwrapped.close()
    assert connected() == before


@pytest.mark.parametrize("holder", ["os", "numpy", "threading"])
def test_an_arm_that_lives_to_the_end_says_nothing(holder):
    code = (
        f"import {holder} as holder\nfrom armctl.envs.bullet.body import ArmBody\nfrom armctl.urdf import load_chain\n"
        "holder.kept = ArmBody(load_chain('planar3'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_dropped_arm_frees_its_client():
    from armctl.envs.bullet.body import ArmBody
    from armctl.urdf import load_chain

    body = ArmBody(load_chain("planar3"))
    client = body.client
    assert p.isConnected(client)
    del body
    gc.collect()
    assert not p.isConnected(client)


@pytest.mark.parametrize("reward", REWARDS)
def test_relabelling_with_the_same_goal_gives_the_same_reward(reward):
    env = gym.make(TRACK, reward=reward)
    env.reset(seed=0)
    achieved, desired, infos, given = [], [], [], []
    for k in range(20):
        observation, r, _, _, info = env.step(np.full(7, 0.05 * np.cos(k)))
        achieved.append(observation["achieved_goal"])
        desired.append(observation["desired_goal"])
        infos.append(info)
        given.append(r)
        one = env.unwrapped.compute_reward(achieved[-1], desired[-1], info)
        assert one == pytest.approx(r, abs=1e-12)
        assert sum(info["reward_terms"].values()) == pytest.approx(r, abs=1e-12)
    batch = env.unwrapped.compute_reward(np.array(achieved), np.array(desired), np.array(infos))
    np.testing.assert_allclose(batch, given, atol=1e-12)
    env.close()


def test_tracking_is_truncated_at_the_end_and_never_terminates():
    env = gym.make(TRACK, duration=0.3)
    env.reset(seed=0)
    ends = [env.step(np.zeros(7))[2:4] for _ in range(30)]
    assert ends == [(False, False)] * 29 + [(False, True)]
    with pytest.raises(UsageError, match="reset"):
        env.step(np.zeros(7))
    env.close()


def test_options_overrule_the_constructor():
    env = gym.make(TRACK)
    env.reset(seed=0)
    reference = env.unwrapped.reference
    observation, _ = env.reset(options={"reference": reference, "scenario": Scenario(payload_mass=1.5)})
    assert env.unwrapped.reference is reference
    assert env.unwrapped.scenario.payload_mass == 1.5
    np.testing.assert_allclose(observation["achieved_goal"], reference.pose[0], atol=1e-9)
    np.testing.assert_array_equal(env.unwrapped.state()[0], reference.q[0])
    with pytest.raises(UsageError, match="speed"):
        env.reset(options={"speed": 2})
    env.close()


def test_scenarios_by_function():
    env = gym.make("armctl/Planar3Reach-v1", scenario=lambda rng: Scenario(payload_mass=float(rng.uniform(1, 2))))
    masses = []
    for seed in (0, 1, 0):
        env.reset(seed=seed)
        masses.append(env.unwrapped.scenario.payload_mass)
    assert masses[0] == masses[2] != masses[1]
    env.close()


def test_noise_is_measured_but_not_true():
    env = gym.make("armctl/Planar3Reach-v1", scenario=Scenario(position_noise=0.01, velocity_noise=0.01))
    env.reset(seed=0)
    env.step(np.zeros(3))
    q, qd = env.unwrapped.measure()
    true_q, true_qd = env.unwrapped.state()
    assert 0 < np.max(np.abs(q - true_q)) < 0.1
    assert 0 < np.max(np.abs(qd - true_qd)) < 0.1
    np.testing.assert_array_equal(env.unwrapped.measure()[0], q)
    env.close()


def test_the_achieved_orientation_does_not_jump():
    """The Panda's home has w = 0, where a quaternion of fixed sign would jump; the target's sign settles it."""
    env = gym.make("armctl/PandaReach-v1")
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    before = observation["achieved_goal"]
    for _ in range(60):
        after = env.step(0.3 * env.action_space.sample())[0]["achieved_goal"]
        assert after[3:] @ before[3:] > 0.99
        assert after[3:] @ observation["desired_goal"][3:] >= 0
        before = after
    env.close()


def test_actions_of_every_kind_of_number_are_the_same_action():
    env, results = gym.make("armctl/Planar3Reach-v1", control="ee_twist"), []
    single = np.array([0.25, -0.5, 1.0, 0.0, 0.125, -2.0], np.float32)
    kinds = (np.float16, np.float64, np.longdouble, object, ">f8")
    for action in (single, list(single), single.tolist(), np.ma.array(single), *map(single.astype, kinds)):
        env.reset(seed=0)
        results.append(env.step(action)[0]["observation"])
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    env.close()


@pytest.mark.parametrize("backend", ["bullet", pytest.param("twin", marks=pytest.mark.slow)])
def test_settling_comes_before_the_reference_and_counts_nothing(backend):
    options = {"settle": 0.2, "duration": 0.5, "reference": None, "scenario": Scenario(payload_mass=1.0)}
    env = make_vec("armctl/Planar3Track-v1", 1, backend=backend, **options)
    observation, info = env.reset(seed=0)
    first = observation["desired_goal"].copy()
    for k in range(1, 71):
        observation, reward, _, truncated, info = env.step(np.zeros((1, 3), np.float32))
        assert info["settling"][0] == (k < 20)
        assert (reward[0] == 0) == (k < 20)
        if k <= 20:
            np.testing.assert_allclose(observation["desired_goal"], first, atol=1e-6)
        assert truncated[0] == (k == 70)
    env.close()


def test_a_runaway_is_said():
    env = gym.make("armctl/PandaReach-v1", control="torque").unwrapped
    env.reset(seed=0)
    said = [env.step(np.array([0, 0, 0, 0, 0, 0, 1.0]))[4]["runaway"] for _ in range(60)]
    assert not said[0]
    assert any(said)
    env.close()


@dataclass(frozen=True)
class Sag(Effect, name="sag_of_a_test"):
    """An effect of a user's own."""

    stiffness: PerJoint

    def prepare(self, chain):
        return np.broadcast_to(np.asarray(self.stiffness, float), (chain.n,)).copy()


SCENARIOS = {
    "scalars": Scenario(payload_mass=2.0),
    "numbers of NumPy": Scenario(payload_mass=np.float32(2.0), coulomb=np.full(7, 0.1)),
    "vectors": Scenario(coulomb=(0.1,) * 7, payload_switch=1.0, wrench=(0, 0, 9.0, 0, 0, 0), wrench_duration=1.0),
    "effects": Scenario(effects=(Sag((1.0,) * 7),)),
    "a preset": "combined",
}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("id", ["armctl/PandaReach-v1", TRACK])
def test_a_scenario_survives_the_json_of_its_spec(id, name):
    from gymnasium.envs.registration import EnvSpec

    env = gym.make(id, scenario=SCENARIOS[name])
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    for one in (env, again):
        one.reset(seed=0)
    assert again.unwrapped.scenario == env.unwrapped.scenario
    env.close()
    again.close()


def test_a_payload_that_is_dropped_is_gone_and_comes_back_with_the_episode():
    from armctl.envs.bullet.plant import Plant
    from armctl.plant.servo import ServoConfig
    from armctl.urdf import load_chain

    chain = load_chain("planar3")
    scenario = Scenario(payload_mass=1.0, payload_switch=0.05)
    plant = Plant(chain, ServoConfig(control="torque"))
    ends = []
    for _ in range(2):
        plant.reset(scenario, chain.home, np.zeros(3))
        heavy = plant.body.mass_and_gravity(chain.home)[1]
        for _ in range(10):
            plant.step([0.0] * 3)
        light = plant.body.mass_and_gravity(chain.home)[1]
        np.testing.assert_allclose(light, plant.model.mass_and_gravity(chain.home)[1], atol=1e-9)
        assert np.abs(heavy - light).max() > 1
        ends.append(plant.q)
    np.testing.assert_array_equal(*ends)
    plant.close()
