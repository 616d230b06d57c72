"""Planned motions end at their goals, keep every limit and touch nothing."""

import numpy as np
import pytest

import armctl
from armctl import geometry, rigid
from armctl.errors import UsageError
from armctl.geometry import orientation_angle
from armctl.motion.certificate import certify
from armctl.motion.reaching import LONG, SHARE, goal_suite, plan, reach_suite

GOALS = 4


@pytest.fixture(scope="module", params=["panda", "gen3", "planar3"])
def suite(request):
    chain = armctl.load_chain(request.param)
    return chain, reach_suite(chain, 0.01, GOALS)


def test_motions_lead_from_home_to_their_goals_and_are_certified(suite):
    chain, motions = suite
    assert len(motions) == GOALS
    for motion in motions:
        np.testing.assert_allclose(motion.q[0], chain.home)
        goal = np.array(motion.meta["goal"])
        assert np.linalg.norm(motion.pose[-1, :3] - goal[:3]) < 1e-3
        angle = orientation_angle(geometry.quat_to_matrix(motion.pose[-1, 3:]), geometry.quat_to_matrix(goal[3:]))
        assert np.degrees(angle) < 0.1
        assert motion.duration >= LONG - 1e-9
        certificate = certify(motion, chain)
        assert certificate.valid, certificate.broken
        still = np.abs(motion.qd).max(axis=1) < 1e-9
        moving = len(still) - np.argmax(~still[::-1]) - 1
        assert moving * motion.dt == pytest.approx(motion.meta["t_min"] / SHARE, abs=2 * motion.dt)


def test_the_same_seed_gives_the_same_goals_and_another_others(suite):
    chain, motions = suite
    again, others = (reach_suite(chain, 0.02, 2, seed) for seed in (0, 1))
    assert [one.meta["goal"] for one in again] == [one.meta["goal"] for one in motions[:2]]
    assert all(a.meta["goal"] != b.meta["goal"] for a, b in zip(again, others, strict=True))


def test_a_goal_alone_begins_at_home_and_stays(suite):
    chain, motions = suite
    for motion, goal in zip(motions, goal_suite(chain, 0.01, GOALS), strict=True):
        q, qd = goal.start
        np.testing.assert_array_equal(q, chain.home)
        np.testing.assert_array_equal(qd, 0)
        np.testing.assert_array_equal(goal.q, np.tile(motion.q[-1], (len(motion.q), 1)))
        np.testing.assert_array_equal(motion.start[0], motion.q[0])


def test_what_cannot_be_reached_is_said():
    chain = armctl.load_chain("panda")
    far = np.array([3.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0])
    with pytest.raises(UsageError, match=r"panda does not reach the goal \(3, 0, 0.5\)"):
        plan(chain, far, 0.01)
    below = geometry.matrix_to_pose(rigid.forward_kinematics(chain, chain.home))
    below[2] = -0.3
    with pytest.raises(UsageError, match=r"does not reach|free of collisions"):
        plan(chain, below, 0.01)


def test_a_motion_may_start_anywhere():
    chain = armctl.load_chain("planar3")
    start = np.array([0.4, 0.7, -0.5])
    goal = geometry.matrix_to_pose(rigid.forward_kinematics(chain, np.array([0.9, 0.3, 0.2])))
    motion = plan(chain, goal, 0.01, start=start)
    np.testing.assert_allclose(motion.q[0], start)
    np.testing.assert_allclose(motion.qd[[0, -1]], 0, atol=1e-9)
