"""Laws of conditions: what is asked is what comes back, alone and several at once."""

import dataclasses

import numpy as np
import pytest

from armctl import geometry, rigid
from armctl.errors import UsageError
from armctl.generator import FlowConfig, load_model, propose, save_model, train_flow
from armctl.generator.difficulty import FEATURES, Critic, Dial, described, features
from armctl.generator.vias import onto, places
from armctl.motion.corpus import build_corpus
from armctl.motion.postures import TipPose
from armctl.motion.spline import basis
from armctl.urdf import load_chain

CONFIG = FlowConfig(width=48, embedding=16, blocks=1, steps=200, batch=64, sampler_steps=8)
START, GOAL = np.array([0.4, -0.6, 0.5]), np.array([-0.5, 0.4, 0.8])


@pytest.fixture(scope="module")
def chain():
    return load_chain("planar3")


@pytest.fixture(scope="module")
def model(chain):
    """Of a corpus whose motions count as the more difficult the faster they are."""
    corpus = build_corpus(chain, 200, 0)
    weights = np.zeros(1 + 2 * len(FEATURES))
    weights[1 + FEATURES.index("rms joint speed / limit")] = 1.0
    critic = Critic(np.zeros(len(FEATURES)), np.ones(len(FEATURES)), weights, 1.0, 1.0)
    dial = Dial(critic, np.sort(critic.predict(described(corpus, chain))), "payload", ("diff_ik",))
    return train_flow(corpus, CONFIG, chain=chain, difficulty=dial)


def test_start_goal_via_and_duration_hold_together(chain, model):
    via = (START + GOAL) / 2 + np.array([0.25, -0.2, 0.1])
    found, stats = propose(model, chain, 4, start=START, goal=GOAL, via=[via], duration=3.0, seed=2)
    assert set(stats.broken) <= {"via", "duration", "self_collision", "velocity", "acceleration", "jerk"}
    for motion in found:
        np.testing.assert_allclose(motion.q[[0, -1]], [START, GOAL], atol=1e-5)
        assert motion.duration == pytest.approx(3.0, abs=motion.dt)
        assert np.linalg.norm(motion.q - via, axis=1).min() < 0.01
        assert motion.meta["certificate"]["valid"]
    assert len({motion.q.tobytes() for motion in found}) == 4  # one wish, many ways


def test_a_pose_is_met_to_a_millimetre_and_a_tenth_of_a_degree(chain, model):
    T = rigid.forward_kinematics(chain, GOAL)
    pose = geometry.matrix_to_pose(T)
    found, _ = propose(model, chain, 3, start="home", goal=TipPose(pose[:3], pose[3:]), seed=1)
    for motion in found:
        end = rigid.forward_kinematics(chain, motion.q[-1])
        assert np.linalg.norm(end[:3, 3] - T[:3, 3]) < 1e-3
        assert np.degrees(geometry.orientation_angle(end[:3, :3], T[:3, :3])) < 0.1


@pytest.mark.parametrize("asked", [0.15, 0.85])
def test_difficulty_is_what_was_asked(chain, model, asked):
    found, stats = propose(model, chain, 6, difficulty=asked, seed=4)
    hard = [motion.meta["difficulty"] for motion in found]
    np.testing.assert_allclose(hard, asked, atol=0.05 + 1e-6)
    again = model.dial.percentile(np.stack([features(motion, chain) for motion in found]))
    np.testing.assert_allclose(again, asked, atol=0.12)  # on the grid of the reference, not of the path
    assert stats.acceptance_rate > 0.2


def test_a_model_keeps_its_dial(chain, model, tmp_path):
    loaded = load_model(save_model(model, tmp_path))
    assert (loaded.dial.scenario, loaded.dial.panel) == (model.dial.scenario, model.dial.panel)
    np.testing.assert_array_equal(loaded.dial.errors, model.dial.errors)
    once, twice = (propose(one, chain, 2, difficulty=0.5)[0] for one in (model, loaded))
    assert all(np.array_equal(a.q, b.q) for a, b in zip(once, twice, strict=True))


def test_what_contradicts_or_cannot_be_is_refused_before_work(chain, model):
    for wishes, words in [
        ({"duration": 2.0, "speed": 0.5}, "both say how fast"),
        ({"duration": -1.0}, "duration is -1 s"),
        ({"difficulty": 1.5}, "difficulty is 1.5, outside"),
        ({"via": [START] * 5}, "5 via points; one path passes at most 4"),
        ({"goal": "pose 5 0 0"}, "goal .* is out of reach"),
        ({"start": np.full(3, 9.0)}, "start has joint"),
        ({"goal": GOAL, "start": START, "duration": 0.05}, "duration .*give a longer duration"),
    ]:
        with pytest.raises(UsageError, match=words):
            propose(model, chain, 1, **wishes)
    with pytest.raises(UsageError, match="has not learned what is difficult"):
        propose(dataclasses.replace(model, dial=None, contexts=0 * model.contexts), chain, 1, difficulty=0.5)


def test_rows_of_the_basis_pass_via_points_exactly(chain, model):
    rng = np.random.default_rng(0)
    points, vias = rng.normal(size=(5, 14, 3)), rng.normal(size=(5, 2, 3))
    s = places(points[:, 0], points[:, -1], vias)
    assert ((s > 0) & (s < 1)).all()
    assert (np.diff(s, axis=1) > 0).all()
    rows = np.stack([basis(14, one) for one in s])
    moved = onto(points, rows, vias)
    np.testing.assert_allclose(rows @ moved, vias, atol=1e-9)
    np.testing.assert_array_equal(moved[:, [0, -1]], points[:, [0, -1]])
