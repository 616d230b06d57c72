"""The audit of a twin: clean for the shipped arms, and it finds what is wrong with a twin or odd about a file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armctl.audit import verdict as audit
from armctl.audit.exercise import make_swing, policy
from armctl.audit.gradients import gradient_parity, growth
from armctl.audit.raw_file import raw_differences
from armctl.audit.rollouts import record, replay, state_parity
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.robots import ROBOTS

STEPS, WINDOW = 100, 8
"""Control steps of rollouts and of gradients: the same in all tests, which then find each other's programs on disk."""


@pytest.mark.parametrize("robot", ROBOTS)
def test_functions_of_the_twin_are_pybullets(robot):
    """Without names and shapes, so that arms with as many joints share what is compiled."""
    chain = load_chain(robot)
    bare = {"name": "arm", "tip": "tip", "joint_names": tuple(f"j{i}" for i in range(chain.n)), "shapes": ()}
    assert max(state_parity(replace(chain, **bare)).values()) < 1e-12


@pytest.mark.parametrize("robot", ROBOTS)
def test_shipped_files_mean_the_same_to_plain_pybullet(robot):
    assert raw_differences(load_chain(robot)) == []


def test_another_arm_is_found_out():
    """A twin with a link a tenth of a percent heavier than PyBullet's."""
    chain = load_chain("planar3")
    mass = chain.mass.copy()
    mass[1] *= 1.001
    config, swing = ServoConfig(control="torque"), make_swing(chain)
    episode = record(chain, config, Scenario(), policy(chain, config, swing), STEPS, q0=swing.q0)
    same, _ = replay(chain, episode)
    other, _ = replay(replace(chain, mass=mass), episode)
    assert np.abs(same - episode.q).max() < 1e-10
    assert np.abs(other - episode.q).max() > 1e-5


def test_oddities_of_a_file_are_named(urdf):
    text = Path(load_chain("planar3").source).read_text()
    assert text.count("<inertial>") == text.count("</inertial>") > 3
    start = text.index("<inertial>", text.index('<link name="tool">'))
    bare = text[:start] + text[text.index("</inertial>", start) + len("</inertial>") :]
    said = " ".join(raw_differences(load_chain(urdf(bare))))
    assert "Link 'tool' weighs 0 kg in the file; PyBullet gives it 1 kg" in said
    assert "simulates another arm" in said


@pytest.mark.parametrize("robot", ["planar3", "gen3"])
@pytest.mark.parametrize("control", ["torque", "velocity", "position", "ee_twist"])
def test_exercises_stay_within_the_limits(robot, control):
    chain, config = load_chain(robot), ServoConfig(control=control)
    swing = make_swing(chain)
    episode = record(chain, config, Scenario(), policy(chain, config, swing), 150, q0=swing.q0)
    assert ((chain.lower < episode.q) & (episode.q < chain.upper)).all()
    assert np.abs(episode.q - swing.q0).max() > 0.03


@pytest.mark.slow
def test_gradient_is_pybullets_and_growth_is_what_a_perturbation_does():
    chain, config = load_chain("planar3"), ServoConfig(control="torque")
    found = gradient_parity(chain, config, WINDOW)
    assert found["cosine"] > 0.999999
    assert found["relative_error"] < 1e-6
    swing = make_swing(chain)
    episode = record(chain, config, Scenario(), policy(chain, config, swing), STEPS, q0=swing.q0)
    factors = growth(chain, episode)
    assert set(factors) == {1, 2, 5, 10, 20, 50, 100}
    moved = []
    for direction in np.eye(3):
        moved_episode = replace(episode, q0=episode.q0 + 1e-7 * direction)
        q, qd = replay(chain, moved_episode)
        moved.append(np.concatenate([q[19] - episode.q[19], qd[19] - episode.qd[19]]) / 1e-7)
    assert 0.1 * factors[20] < np.linalg.norm(moved, 2) < 1.001 * factors[20]


def test_verdict_says_what_is_wrong():
    row = {
        "control": "torque",
        "motor": "servo",
        "seconds": 1.0,
        "limits_reached": False,
        "finite": True,
        "growth": 2.0,
    }
    row |= {"error_float64_rad": 1e-3, "error_float32_rad": 1e-3, "ok": False}
    found = {
        "states": {"mass_matrix": 1e-2},
        "rollouts": [row],
        "gradients": [
            {"control": "torque", "cosine": 0.5, "relative_error": 1.0, "difference_error": 1e-9, "ok": False}
        ],
        "growth": {"torque": {"1": 50.0}},
    }
    said = " ".join(audit.verdict(found))
    for words in ("another arm", "rounding does not explain", "disagrees", "e-fold every"):
        assert words in said


def test_doctor_prints_the_audit(monkeypatch, capsys):
    """With a single short control mode, so that the test does not compile them all."""
    from armctl import cli

    monkeypatch.setattr(audit, "DRIVES", (("torque", "servo"),))
    monkeypatch.setattr(audit, "GRADED", ("torque",))
    monkeypatch.setattr(audit, "WINDOW", WINDOW)
    monkeypatch.setattr(audit, "SECONDS", (0.1, 0.01 * STEPS))
    assert cli.main(["doctor", "--twin", "--robot", "planar3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert {row["seconds"] for row in found["rollouts"]} == {0.1, 1.0}
    from armctl.commands.twin_report import text

    assert "The twin is PyBullet's arm." in text(found)
    assert "The twin is NOT PyBullet's arm" in text({**found, "ok": False})
