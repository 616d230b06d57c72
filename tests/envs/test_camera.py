"""Pictures."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from armctl import rigid
from armctl.envs.bullet.camera import Camera
from armctl.envs.bullet.view import FAR, View, as_view, camera_pose
from armctl.envs.reach import ReachEnv
from armctl.envs.track import TrackEnv
from armctl.errors import UsageError
from armctl.motion.goals import draw_goals
from armctl.motion.sampling import random_configuration
from armctl.registration import ROBOTS
from armctl.urdf import load_chain

ASIDE = (0.3, 0.5, 1.0, 1.0, 0.0, 0.0, 0.0)
"""Pose of a camera a metre over the floor beside the arm: it looks straight down, with its x axis along the world's."""


@pytest.mark.parametrize("make", [ReachEnv, TrackEnv])
@pytest.mark.parametrize("observe", ["image", "both"])
@pytest.mark.parametrize("camera", ["front", "wrist", {"at": ASIDE, "width": 40, "height": 24}])
def test_check_env_with_pictures(make, observe, camera):
    env = make("planar3", observe=observe, camera=camera, render_mode="rgb_array")
    keys = {"rgb", "depth"} | ({"observation", "achieved_goal", "desired_goal"} if observe == "both" else set())
    assert set(env.observation_space) == keys
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_the_same_seed_gives_the_same_pictures_and_the_same_motion_as_without(camera):
    runs, states = [], []
    for observe in ("both", "both", "state"):
        env = ReachEnv("panda", observe=observe, camera=camera)
        env.reset(seed=3)
        env.action_space.seed(0)
        seen = [env.step(env.action_space.sample())[0] for _ in range(5)]
        states.append([one["observation"] for one in seen])
        runs.append([one.get("rgb") for one in seen] + [one.get("depth") for one in seen])
        env.close()
    for one, other in zip(*runs[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(states[0], states[2])
    assert np.any(runs[0][0] != runs[0][4])


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_arm_and_target_is_in_front_of_the_front_camera(robot):
    chain = load_chain(robot)
    q = np.concatenate([chain.home[None], random_configuration(chain, np.random.default_rng(1), 300)])
    joints = rigid.link_poses(chain, q)[..., :3, 3].reshape(-1, 3)
    tips, goals = rigid.forward_kinematics(chain, q)[:, :3, 3], draw_goals(chain, np.random.default_rng(1), 50)[:, :3]
    for view in (View(), View(width=480, height=360), View(width=100, height=200, fov=0.5)):
        T = camera_pose(chain, view, chain.home)
        x, y, z = T[:3, :3].T @ (np.concatenate([joints, tips, goals]) - T[:3, 3]).T
        assert (z > 0).all()
        up = np.abs(y / z).max() / np.tan(view.fov / 2)
        side = np.abs(x / z).max() / (np.tan(view.fov / 2) * view.width / view.height)
        assert 0.8 < max(side, up) < 1  # all is in the picture, which is no wider than need be


def orange(rgb):
    """Pixels of the target's ball."""
    red, green, blue = np.moveaxis(rgb.astype(int), -1, 0)
    return (red > 130) & (red > 2 * green) & (red > 2 * blue) & (green > 1.5 * blue)


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_pictures_show_arm_and_target(robot):
    chain = load_chain(robot)
    camera, seen = Camera(chain, oriented=False), 0
    goals = draw_goals(chain, np.random.default_rng(2), 8)
    empty = [*chain.home[:0], 0, 0, -5, 0, 0, 0, 1]
    camera.place(chain.home, empty)
    without = camera.picture(View())[0]
    for goal in goals:
        camera.place(chain.home, goal)
        rgb, _ = camera.picture(View())
        seen += np.sum(np.any(rgb != without, axis=-1)) >= 3
    assert seen >= 7  # one may hide behind the arm
    camera.place(chain.home + 0.5, empty)
    assert np.sum(np.any(camera.picture(View())[0] != without, axis=-1)) > 40
    camera.close()


def test_depth_is_in_metres_along_the_axis():
    camera = Camera(load_chain("planar3"), oriented=False)
    camera.place(np.zeros(3), [0.3, 0.5, 0.4, 0, 0, 0, 1])
    view = as_view({"at": ASIDE, "width": 65, "height": 65})
    rgb, depth = camera.picture(view)
    assert depth.shape == (65, 65, 1)
    assert depth[0, 0, 0] == pytest.approx(1.001, abs=2e-3)  # the floor
    assert depth[32, 32, 0] == pytest.approx(0.6 - 0.035, abs=4e-3)  # the ball
    assert orange(rgb)[32, 32]
    sky = as_view({"at": (0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0)})  # looks up
    assert (camera.picture(sky)[1] == FAR).all()
    camera.close()


@pytest.mark.parametrize(("move", "shift"), [((0.1, 0.0), (0, 1)), ((0.0, -0.1), (1, 0))])
def test_x_of_a_picture_is_the_camera_s_x_and_y_points_down(move, shift):
    camera = Camera(load_chain("planar3"), oriented=False)
    camera.place(np.zeros(3), [0.3 + move[0], 0.5 + move[1], 0.4, 0, 0, 0, 1])
    row, column = np.argwhere(orange(camera.picture(as_view(ASIDE))[0])).mean(axis=0) - 31.5
    assert (abs(row) > 3, abs(column) > 3) == (shift[0] == 1, shift[1] == 1)
    assert row + column > 3
    camera.close()


def test_the_wrist_camera_sees_what_the_tool_approaches():
    chain = load_chain("panda")
    camera, tip = Camera(chain, oriented=False), rigid.forward_kinematics(chain, chain.home)
    for ahead in (0.1, 0.2, 0.3):
        camera.place(chain.home, [*(tip[:3, 3] + ahead * tip[:3, 2]), 0, 0, 0, 1])
        assert orange(camera.picture(View("wrist"))[0]).sum() > 5
    camera.close()


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


def test_goals_and_cameras_survive_the_json_of_a_spec():
    options = {"camera": View("wrist", 32, 48), "region": ((0.3, 0, 0.3), (0.5, 0, 0.5)), "tolerance": (0.02, 0.3)}
    env = gym.make("armctl/Planar3Reach-v1", observe="both", **options)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space == env.observation_space
    for one, other in zip(env.reset(seed=0)[0].values(), again.reset(seed=0)[0].values(), strict=True):
        np.testing.assert_array_equal(one, other)
    env.close()
    again.close()
