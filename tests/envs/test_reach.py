"""Goals of reaching: where they lie, what counts, and that observations do not know them."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from armctl import geometry, rigid
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.self_collision import apart_at_home
from armctl.envs.reach import ReachEnv
from armctl.motion.goals import draw_goals, draw_postures
from armctl.registration import ROBOTS
from armctl.urdf import load_chain
from tests.robots import random_chain


def test_a_relabelled_transition_agrees_with_its_observation():
    """What another goal would have shown in the same states is the same, so that HER may exchange the goal alone."""
    env, seen = ReachEnv("panda", reward="sparse"), []
    for goal in ((0.5, 0.2, 0.4, 0, 1, 0, 0), (0.4, -0.3, 0.3, 1, 0, 0, 0)):
        env.reset(seed=0, options={"goal": goal})
        env.action_space.seed(0)
        seen.append([env.step(env.action_space.sample())[0] for _ in range(30)])
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one["observation"], other["observation"])
        np.testing.assert_array_equal(one["achieved_goal"][:3], other["achieved_goal"][:3])
        assert not np.array_equal(one["desired_goal"], other["desired_goal"])
    reached = seen[0][-1]["achieved_goal"]
    assert env.compute_reward(reached, reached, None) == 0
    np.testing.assert_array_equal(env.compute_reward(np.array([reached] * 3), np.array([reached] * 3), None), 0)
    np.testing.assert_array_equal(env.compute_reward(reached[None], reached[None], [None]), 0)
    env.close()


@pytest.mark.parametrize("robot", ROBOTS)
def test_goals_lie_in_front_of_the_arm_low_and_clear(robot):
    chain = load_chain(robot)
    goals = draw_goals(chain, np.random.default_rng(0), 64)
    home = rigid.forward_kinematics(chain, chain.home)
    assert (goals[:, :2] @ home[:2, 3] > 0).all()
    assert (goals[:, 2] > 0).all()
    tools = geometry.quat_to_matrix(goals[:, 3:])[..., 2]
    assert (tools @ home[:3, 2] > 0).all()
    everywhere = draw_goals(chain, np.random.default_rng(0), 200, "everywhere")
    assert (everywhere[:, :2] @ home[:2, 3] < 0).any()
    assert np.median(everywhere[:, 2]) > np.median(goals[:, 2])


@settings(deadline=None, max_examples=10, phases=[Phase.explicit, Phase.generate])  # shrinking is slow here
@given(
    robot=st.sampled_from(["panda", "xarm6"]),
    middle=st.tuples(st.floats(0.35, 0.5), st.floats(-0.2, 0.2), st.floats(0.2, 0.4)),
    size=st.tuples(*[st.floats(0.0, 0.3)] * 3),
    seed=st.integers(0, 99),
)
def test_positions_fill_a_box_however_small(robot, middle, size, seed):
    low, high = (np.array(middle) + sign * np.array(size) / 2 for sign in (-1, 1))
    goals = draw_goals(load_chain(robot), np.random.default_rng(seed), 12, (high, low))  # corners in any order
    assert ((goals[:, :3] >= low - 1.1e-3) & (goals[:, :3] <= high + 1.1e-3)).all()
    np.testing.assert_allclose(np.linalg.norm(goals[:, 3:], axis=-1), 1, atol=1e-9)


def test_positions_in_a_box_are_uniform():
    goals = draw_goals(load_chain("panda"), np.random.default_rng(0), 400, ((0.35, -0.2, 0.2), (0.55, 0.2, 0.5)))
    ranks = (goals[:, :3] - [0.35, -0.2, 0.2]) / [0.2, 0.4, 0.3]
    np.testing.assert_allclose(ranks.mean(axis=0), 0.5, atol=0.06)
    np.testing.assert_allclose(ranks.std(axis=0), 12**-0.5, atol=0.04)


def test_an_arm_that_works_nowhere_in_front_has_goals_everywhere():
    goals = draw_goals(random_chain(seed=3), np.random.default_rng(0), 8)
    assert np.isfinite(goals).all()


def test_only_the_position_counts():
    env = ReachEnv("panda", position_only=True, goal=(0.4, 0.1, 0.5), reward="sparse")
    observation, info = env.reset(seed=0)
    np.testing.assert_array_equal(observation["desired_goal"], [0.4, 0.1, 0.5])
    assert observation["achieved_goal"].shape == (3,)
    assert info["orientation_error"] == 0
    observation, _ = env.reset(options={"goal": env.tip()})  # a pose will do too
    np.testing.assert_allclose(observation["desired_goal"], env.tip()[:3], atol=1e-12)
    observation, reward, _, _, info = env.step(np.zeros(7))
    assert (reward, info["is_success"]) == (0, True)
    env.close()


@pytest.mark.parametrize(("tolerance", "success"), [(0.11, True), (0.09, False), ((0.11, 0.3), True)])
def test_the_tolerance_decides(tolerance, success):
    env = ReachEnv("planar3", reward="sparse", tolerance=tolerance)
    env.reset(seed=0)
    goal = np.add(env.tip(), [0.1, 0, 0, 0, 0, 0, 0])
    observation, info = env.reset(options={"goal": goal})
    assert info["is_success"] == success
    assert env.compute_reward(observation["achieved_goal"], goal, None) == success - 1
    env.close()


@pytest.mark.parametrize("region", ["workspace", ((0.3, -0.2, 0.2), (0.5, 0.2, 0.4))])
def test_postures_of_goals_are_clear_although_spheres_may_say_otherwise(region):
    chain = load_chain("xarm6")
    q = draw_postures(chain, np.random.default_rng(0), 40, region)
    assert ((q > chain.lower) & (q < chain.upper)).all()
    body = ArmBody(chain, collisions=True)
    pairs = apart_at_home(body)
    for one in q:
        body.place(one)
        assert min(body.distance(*pair, 0.1) for pair in pairs) > 0
    body.close()


def test_the_first_goal_follows_from_the_seed():
    env = ReachEnv("panda")
    first = [env.reset(seed=seed)[0]["desired_goal"] for seed in (1, 2, 1)]
    np.testing.assert_array_equal(first[0], first[2])
    assert not np.array_equal(first[0], first[1])
    env.close()


@pytest.mark.parametrize("options", [{"position_only": True}, {"region": "everywhere"}, {"tolerance": (0.02, 0.5)}])
def test_check_env_of_every_kind_of_goal(options):
    env = gym.make("armctl/Planar3Reach-v1", disable_env_checker=True, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_v0_is_an_alias_that_says_so():
    code = "import gymnasium, armctl\nfor _ in range(3): print(gymnasium.make('armctl/Planar3Reach-v0').unwrapped)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("ReachEnv") == 3
    # Gymnasium's own words, once; Python forgets what it has said when the first import changes its filters
    assert 1 <= done.stderr.count("upgrading to version `v1`") <= 2
