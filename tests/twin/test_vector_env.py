"""The vector environment of twin arms is the PyBullet environment, many at a time."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from armctl.envs.reach import ReachEnv
from armctl.envs.track import TrackEnv
from armctl.envs.vector import make_vec
from armctl.errors import UsageError
from armctl.motion.sampling import random_reference
from armctl.plant.scenario import Scenario
from armctl.twin.vector_env import TwinVectorEnv
from armctl.urdf import load_chain

SCENARIO = Scenario(payload_mass=0.5, viscous=0.3, latency=1, position_noise=1e-4, velocity_noise=1e-3, seed=5)


def assert_same(bullet, twin, index, tolerance=1e-4):
    """One arm's observation and info on either side; a quaternion may change sign where its w is about zero."""
    for key, value in bullet[0].items():
        seen = twin[0][key][index]
        if key != "observation" and np.dot(seen[3:], value[3:]) < 0:
            seen = np.concatenate([seen[:3], -seen[3:]])
        np.testing.assert_allclose(seen, value, atol=tolerance, err_msg=key)
    info, batch = bullet[-1], twin[-1]
    assert set(batch) == {*info, *(f"_{key}" for key in info)}
    for key in set(info) - {"reward_terms"}:
        np.testing.assert_allclose(batch[key][index], info[key], atol=tolerance, err_msg=key)
    for key, value in info["reward_terms"].items():
        np.testing.assert_allclose(batch["reward_terms"][key][index], value, atol=tolerance, err_msg=key)


def follow(bullet, twin, steps, rng, amplitude):
    """Step both with the same actions and compare every step."""
    for _ in range(steps):
        action = amplitude * rng.uniform(-1, 1, bullet.action_space.shape).astype(np.float32)
        one = bullet.step(action)
        many = twin.step(np.tile(action, (twin.num_envs, 1)))
        assert_same(one, many, 1)
        np.testing.assert_allclose(many[1][1], one[1], atol=1e-4)
        assert (many[2][1], many[3][1]) == (one[2], one[3])
    return many


def test_tracking_matches_pybullet_step_for_step_and_restarts_in_the_next_step():
    chain = load_chain("planar3")
    reference = random_reference(chain, np.random.default_rng(0), dt=0.01, duration=0.4)
    bullet = TrackEnv("planar3", scenario=SCENARIO, reference=reference)
    twin = make_vec("armctl/Planar3Track-v1", 3, backend="twin", scenario=SCENARIO, reference=reference)
    first, again = bullet.reset(seed=0), twin.reset(seed=0)
    assert_same(first, again, 1)
    last = follow(bullet, twin, 40, np.random.default_rng(1), 0.2)
    assert last[3].all()
    restarted = twin.step(np.ones(twin.action_space.shape, np.float32))
    assert not restarted[1].any()
    assert not restarted[3].any()
    assert_same(bullet.reset(), restarted, 1)
    bullet.close()
    twin.close()


def test_reaching_matches_pybullet_step_for_step():
    options = {"control": "position", "reward": "sparse", "tolerance": (0.3, 0.5)}
    bullet = ReachEnv("planar3", **options)
    twin = make_vec("armctl/Planar3Reach-v1", 2, backend="twin", bank_size=4, seed=3, **options)
    (observation, _), _ = twin.reset(seed=0), bullet.reset(seed=0)
    goal = observation["desired_goal"][1]
    assert_same(bullet.reset(options={"goal": goal}), twin.reset(options={"goal": goal}), 0)
    follow(bullet, twin, 25, np.random.default_rng(1), 0.5)
    bullet.close()


@pytest.mark.parametrize("reward", ["dense", "sparse"])
def test_reaching_for_a_position_matches_pybullet_step_for_step(reward):
    options = {"position_only": True, "tolerance": 0.3, "reward": reward, "goal": (0.5, 0.0, 0.4)}
    bullet = ReachEnv("planar3", **options)
    twin = make_vec("armctl/Planar3Reach-v1", 2, backend="twin", bank_size=4, **options)
    assert twin.single_observation_space == bullet.observation_space
    assert_same(bullet.reset(seed=0), twin.reset(seed=0), 1)
    follow(bullet, twin, 25, np.random.default_rng(1), 0.5)
    goal = (0.4, 0.0, 0.6)
    assert_same(bullet.reset(options={"goal": goal}), twin.reset(options={"goal": goal}), 1)
    assert_same(bullet.reset(), twin.reset(), 1)  # of that one episode only
    bullet.close()


def test_the_goals_of_both_backends_lie_in_the_region():
    low, high = np.array([0.3, -0.1, 0.3]), np.array([0.6, 0.1, 0.5])
    options = {"region": (low, high), "position_only": True}
    twin = make_vec("armctl/Planar3Reach-v1", 8, backend="twin", bank_size=16, **options)
    bullet = ReachEnv("planar3", **options)
    for goals in (twin.reset(seed=0)[0]["desired_goal"], bullet.reset(seed=0)[0]["desired_goal"]):
        assert ((goals >= low - 1e-3) & (goals <= high + 1e-3)).all()
    bullet.close()


def test_bullet_motors_match_pybullet_step_for_step():
    load = Scenario(payload_mass=1.0, actuator_strength=0.3)
    reference = random_reference(load_chain("planar3"), np.random.default_rng(0), dt=0.01, duration=0.4)
    settings = {"control": "velocity", "motor": "bullet", "scenario": load, "reference": reference}
    bullet = TrackEnv("planar3", **settings)
    twin = make_vec("armctl/Planar3Track-v1", 2, backend="twin", **settings)
    assert_same(bullet.reset(seed=0), twin.reset(seed=0), 1)
    last = follow(bullet, twin, 25, np.random.default_rng(1), 1.0)
    assert last[4]["torque_saturation"][1] > 0
    bullet.close()


@pytest.mark.parametrize(
    ("id", "options"),
    [
        ("armctl/Planar3Reach-v1", {"max_episode_steps": 3}),
        ("armctl/Planar3Reach-v1", {"max_episode_steps": 3, "region": "everywhere", "position_only": True}),
        ("armctl/Planar3Reach-v1", {"max_episode_steps": 3, "region": ((0.3, -0.1, 0.3), (0.6, 0.1, 0.5))}),
        ("armctl/Planar3Track-v1", {"duration": 0.03}),
    ],
)
def test_both_backends_draw_the_same_goals_and_plants_from_one_seed(id, options):
    """Three arms and a bank of two, so that one starts the bank anew; into the third episode."""
    common = {"control": "torque", "scenario": "payload", "bank_size": 2}
    bullet = make_vec(id, 3, processes=1, **common, **options)
    twin = make_vec(id, 3, backend="twin", **common, **options)
    rng = np.random.default_rng(0)
    for seed in (5, [8, 2, 9]):
        seen = [envs.reset(seed=seed) for envs in (bullet, twin)]
        for k in range(8):
            for key in ("desired_goal", "observation"):  # where the arm gets to is the plant's doing
                np.testing.assert_allclose(seen[1][0][key], seen[0][0][key], atol=1e-4, err_msg=f"{key} {k}")
            actions = 0.3 * rng.uniform(-1, 1, (3, 3)).astype(np.float32)
            seen = [envs.step(actions) for envs in (bullet, twin)]
            np.testing.assert_array_equal(seen[1][3], seen[0][3])
        assert len(bullet._draws.bank) == np.size(seed) + (np.size(seed) == 1)
    bullet.close()
    twin.close()


def test_a_goal_of_a_reset_is_that_of_the_arms_it_starts_on_either_backend():
    """One goal after another while the arms before go on with theirs, then goals of the bank again."""
    first, second = (0.5, 0.0, 0.4), (0.4, 0.0, 0.6)
    kinds = ({"backend": "twin"}, {"processes": 1})
    seen = []
    for kind in kinds:
        envs = make_vec("armctl/Planar3Reach-v1", 3, position_only=True, bank_size=5, max_episode_steps=4, **kind)
        rows = [envs.reset(seed=3)[0]]
        for goal, arms in ((first, [0, 1]), (second, [1, 2])):
            mask = np.isin(np.arange(3), arms)
            rows.append(envs.reset(options={"goal": goal, "reset_mask": mask})[0])
        np.testing.assert_allclose(rows[-1]["desired_goal"], [first, second, second], atol=1e-6)
        rows += [envs.step(np.full((3, 3), 0.1, np.float32))[0] for _ in range(6)]
        seen.append(rows)
        envs.close()
    for twin, bullet in zip(*seen, strict=True):
        for key, value in bullet.items():
            np.testing.assert_allclose(twin[key], value, atol=1e-4, err_msg=key)
    assert (np.abs(twin["desired_goal"] - [first, second, second]).max(axis=1) > 1e-3).all()


@pytest.fixture(scope="module")
def torque_arms():
    env = make_vec("armctl/Planar3Track-v1", 5, backend="twin", control="torque", scenario="stress", bank_size=6)
    yield env
    env.close()


def test_obeys_the_vector_interface(torque_arms):
    env = torque_arms
    single = TrackEnv("planar3", control="torque")
    assert env.single_action_space == single.action_space
    assert env.single_observation_space == single.observation_space
    assert env.observation_space == batch_space(single.observation_space, 5)
    np.testing.assert_array_equal(env.action_scale, single.action_scale)
    single.close()
    assert isinstance(env, gym.vector.VectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    env.action_space.seed(0)
    observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert (reward.shape, reward.dtype) == ((5,), np.float64)
    assert terminated.dtype == truncated.dtype == bool
    assert not terminated.any()


def test_same_seed_same_rollout_and_arms_differ(torque_arms):
    env, rollouts = torque_arms, []
    for seed in (7, 7, 8):
        rows = [env.reset(seed=seed)[0]["observation"]]
        env.action_space.seed(0)
        rows += [env.step(env.action_space.sample())[0]["observation"] for _ in range(5)]
        rollouts.append(np.array(rows))
    np.testing.assert_array_equal(rollouts[0], rollouts[1])
    assert np.abs(rollouts[0] - rollouts[2]).max() > 1e-3
    assert np.ptp(rollouts[0][0], axis=0).max() > 1e-3


def test_a_mask_restarts_some_arms_and_leaves_the_others_where_they_are(torque_arms):
    env = torque_arms
    env.reset(seed=1)
    moved = env.step(np.ones((5, 3), np.float32))[0]
    mask = np.array([False, True, False, False, True])
    observation, info = env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(info["_position_error"], mask)
    np.testing.assert_allclose(observation["observation"][~mask], moved["observation"][~mask], atol=1e-6)
    assert (np.abs(observation["observation"][mask] - moved["observation"][mask]).max(axis=1) > 1e-3).all()
    again = env.step(np.ones((5, 3), np.float32))[0]
    assert (again["observation"] != observation["observation"]).any(axis=1).all()


def test_full_torque_stays_finite_and_inside_the_joint_limits(torque_arms):
    env, chain = torque_arms, torque_arms.chain
    env.reset(seed=0)
    for k in range(150):
        push = np.sign(np.sin(0.1 * k)) * np.ones(env.action_space.shape, np.float32)
        observation, reward, _, _, info = env.step(push)
        q = observation["observation"][:, :3]
        assert np.isfinite(observation["observation"]).all()
        assert np.isfinite(reward).all()
    assert (q > chain.lower - 0.1).all()
    assert (q < chain.upper + 0.1).all()
    assert info["torque_saturation"].max() == 1.0


def test_relabelled_rewards_are_those_of_the_step(torque_arms):
    env = torque_arms
    env.reset(seed=0)
    observation, reward, _, _, info = env.step(0.1 * np.ones((5, 3), np.float32))
    infos = [{"reward_terms": {k: v[i] for k, v in info["reward_terms"].items() if k[0] != "_"}} for i in range(5)]
    again = env.compute_reward(observation["achieved_goal"], observation["desired_goal"], infos)
    np.testing.assert_allclose(again, reward, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"motor": "bullet", "control": "torque"}, "servo"),
        ({"motor": "steam"}, "bullet"),
        ({"render_mode": "rgb_array"}, "backend"),
        ({"observe": "both"}, "backend"),
        ({"observe": "smell"}, "state"),
        ({"position_only": True}, "make a Reach"),
        ({"region": ((0, 0, 0), (1, 1, 1))}, "make a Reach"),
        ({"control": "telepathy"}, "torque"),
        ({"reward": "love"}, "dense"),
        ({"scenario": "mars"}, "payload"),
        ({"scenario": 3}, "payload"),
        ({"preview": -1}, "0 or more"),
        ({"bank_size": 0}, "at least 1"),
        ({"bank_size": 2.5}, "at least 1"),
        ({"seed": -1}, "at least 0"),
        ({"duration": -1.0}, "control step"),
        ({"duration": float("nan")}, "control step"),
        ({"max_episode_steps": 50}, "make a Reach"),
        ({"wings": 2}, "takes no wings; it takes reference"),
    ],
)
def test_bad_options_are_named(options, said):
    with pytest.raises(UsageError, match=said):
        make_vec("armctl/Planar3Track-v1", 2, backend="twin", **{"bank_size": 1, **options})


def test_bad_ids_and_actions_are_named(torque_arms):
    with pytest.raises(UsageError, match="takes no reference"):
        make_vec("armctl/Planar3Reach-v1", 2, backend="twin", bank_size=1, reference="mine.npz")
    with pytest.raises(UsageError, match="leave it out"):
        make_vec("armctl/Planar3Reach-v1", 2, backend="twin", bank_size=1, preview=2)
    for options, said in (({"duration": 2.0}, "make a Track"), ({"max_episode_steps": 0}, "1 or more")):
        with pytest.raises(UsageError, match=said):
            make_vec("armctl/Planar3Reach-v1", 2, backend="twin", bank_size=1, **options)
    with pytest.raises(UsageError, match="reach, track"):
        TwinVectorEnv("planar3", task="fly")
    with pytest.raises(UsageError, match="PandaTrack"):
        make_vec("armctl/PandaDance-v1", 2, backend="twin")
    torque_arms.reset(seed=0)
    with pytest.raises(UsageError, match="arm 2"):
        torque_arms.step(np.where(np.arange(5)[:, None] == 2, np.nan, np.zeros((5, 3))))
    with pytest.raises(UsageError, match="shape"):
        torque_arms.step(np.zeros((5, 4)))
    with pytest.raises(UsageError, match="str"):
        torque_arms.step("forward")
    for seed in (1.5, [1.5] * 5, "ab", [1, 2], -3):
        with pytest.raises(UsageError, match="whole number"):
            torque_arms.reset(seed=seed)
    with pytest.raises(UsageError, match="make_vec"):
        torque_arms.reset(options={"scenario": Scenario()})
