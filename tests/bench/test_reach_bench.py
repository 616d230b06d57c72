"""Reaching in the bench: by a plan, by a goal alone, by a policy of Reach, and beside tracking."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import armctl
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table, read_tracks
from armctl.bench.suite import load_suite
from armctl.commands.console import bench_table
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.report.page import write_report
from tests.bench.arms import CHAIN, Follow
from tests.bench.own import CONFIG, SUITES, Constant, bench


class Reacher(Constant):
    """Drives the tip straight to the goal that Reach shows."""

    task = "reach"

    def __init__(self, position_only=False):
        super().__init__(None, "ee_twist", {"position_only": position_only})

    def act(self, observation):
        away = observation["desired_goal"][:3] - observation["achieved_goal"][:3]
        return np.concatenate([5 * away, np.zeros(3)])


def test_goals_are_reached_by_a_plan_and_by_a_policy_of_reach(tmp_path):
    config, suites = BenchConfig(robot="planar3", batch=4), ["reach", "goal"]
    chain = armctl.load_chain("planar3")
    suites = {name: load_suite(name, chain, limit=3) for name in suites}
    both = {"follow": Follow(20.0), "reacher": Reacher(position_only=True)}
    summary = bench(both, tmp_path / "run", {"nominal": Scenario()}, config=config, suites=suites)
    cells = {(cell["suite"], cell["controller"]): cell for cell in summary["reaching"]}
    assert cells["reach", "follow"]["reached"] == cells["reach", "follow"]["reached_position"] == 1
    assert cells["goal", "reacher"]["reached_position"] == 1
    assert cells["reach", "follow"]["goal_error_mm"]["iqm"] < 2
    rows = read_table(tmp_path / "run")["follow"]
    tracks = read_tracks(tmp_path / "run", rows)
    for row, track in zip(rows, tracks, strict=True):
        assert row["path_length_m"] == pytest.approx(
            np.linalg.norm(np.diff(track.pose[:, :3], axis=0), axis=1).sum(), abs=1e-3
        )
    # both begin at home, wherever the reference is
    for name in both:
        for track in read_tracks(tmp_path / "run", read_table(tmp_path / "run")[name]):
            np.testing.assert_allclose(track.q[0], chain.home, atol=1e-6)
    assert "Reaching" in write_report(tmp_path / "run", animation=False).read_text()
    assert "position alone" in bench_table(summary)


def test_a_policy_of_reach_needs_goals(tmp_path):
    with pytest.raises(UsageError, match="'mine' reaches for goals, and 'near' of suite 'short' has none"):
        bench({"mine": Reacher()}, tmp_path / "run")
    with pytest.raises(UsageError, match="start at once: give 0"):
        bench({"mine": Reacher()}, tmp_path / "run", config=replace(CONFIG, settle=0.5))
    wrong = Reacher()
    wrong.task = "dance"
    with pytest.raises(UsageError, match="task 'dance'; set it to 'track' or 'reach'"):
        bench({"mine": wrong}, tmp_path / "run")
    with pytest.raises(UsageError, match="tolerance and position_only are of the task 'reach'"):
        bench({"mine": Constant(0, "torque", {"position_only": True})}, tmp_path / "run")


def test_references_with_goals_or_starts_that_are_none_are_refused(tmp_path):
    still = SUITES["short"][0]
    for meta, said in (
        ({"goal": [0.1, 0.2, 0.3]}, "goal is"),
        ({"start": [0.0]}, r"has start \[0.0\]"),
        ({"goal": [9.0, 0, 0, 0, 0, 0, 1]}, "it reaches"),
    ):
        bad = replace(still, meta=meta)
        with pytest.raises(UsageError, match=said):
            bench({"mine": Constant(np.zeros(3))}, tmp_path / "run", suites={"bad": [bad]})
    other = armctl.Reference.from_joints(armctl.load_chain("panda"), 0.01, np.zeros((9, 7)))
    with pytest.raises(UsageError, match="has 7 joints, planar3 has 3"):
        bench({"mine": Constant(np.zeros(3))}, tmp_path / "run", suites={"bad": [other]})
    away = replace(still, meta={"start": CHAIN.home.tolist()})
    with pytest.raises(UsageError, match=r"no first pose to hold for settle=0\.1 s"):
        bench({"mine": Follow(2.0)}, tmp_path / "run", config=replace(CONFIG, settle=0.1), suites={"bad": [away]})
    with pytest.raises(UsageError, match="which the twin does not know"):
        armctl.make_vec("armctl/Planar3Track-v1", 2, backend="twin", reference=away)
    env = gym.make("armctl/Planar3Track-v1", reference=away, settle=0.1)
    with pytest.raises(UsageError, match="no first pose to hold"):
        env.reset(seed=0)
    goal = replace(still, meta={"goal": still.pose[-1].tolist()})
    with pytest.raises(UsageError, match="starts elsewhere; bench it on the suites"):
        bench({"mine": Reacher()}, tmp_path / "run", suites={"bad": [goal]})


def test_tracking_and_reaching_in_one_table(tmp_path):
    suites = {**SUITES, "goal": load_suite("goal", armctl.load_chain("planar3"), limit=1)}
    summary = bench({"follow": Follow(20.0)}, tmp_path / "run", {"nominal": Scenario()}, suites=suites)
    text = bench_table(summary)
    assert "position RMSE mm" in text
    assert "position alone" in text
