"""A controller from outside may hold its commands for longer than the bench does."""

import numpy as np
import pytest

import armctl
from armctl import store
from armctl.bench.suite import load_suite
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from tests.bench.own import bench


class Counting:
    """Gives another velocity at every call."""

    control, task, environment = "velocity", "reach", {}

    def __init__(self, control_dt=0.0):
        self.control_dt = control_dt

    def reset(self, info):
        self.calls = 0

    def act(self, observation):
        self.calls += 1
        return np.full(3, 0.001 * self.calls)


def run(controller, out):
    suites = {"goal": load_suite("goal", armctl.load_chain("planar3"), limit=1)}
    summary = bench({"counting": controller}, out, {"nominal": Scenario()}, suites=suites)
    assert not summary["controllers"]["counting"]["failures"]
    commands = store.load_arrays(out / "tracks" / "counting-000.npz")["command"][0, :, 0]
    return commands[np.isfinite(commands)]


def test_commands_are_held_for_as_long_as_the_controller_says(tmp_path):
    held, plain = run(Counting(0.04), tmp_path / "held"), run(Counting(), tmp_path / "plain")
    steps = np.arange(len(plain))
    np.testing.assert_allclose(plain, 0.001 * (steps + 1), rtol=1e-5)
    np.testing.assert_allclose(held, 0.001 * (steps // 4 + 1), rtol=1e-5)


def test_times_that_do_not_fit_the_bench_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"'counting' holds a command for 0.025 s, no multiple of the bench's 0.01 s"):
        run(Counting(0.025), tmp_path / "run")
    tracking = Counting(0.04)
    tracking.task = "track"
    with pytest.raises(UsageError, match=r"'counting' tracks with targets 0.04 s apart, .* use --control-dt 0.04"):
        bench({"counting": tracking}, tmp_path / "run")
    assert not (tmp_path / "run").exists()
