"""Laws of tracking errors measured in the twin: PyBullet's own, whatever else is measured beside them."""

import numpy as np
import pytest

from armctl import Arm, Scenario, load_chain, run_bench, store
from armctl.bench.plan import BenchConfig
from armctl.controllers.registry import make
from armctl.learn.tracking import LOST, rms, tracking_rms
from armctl.motion.sampling import random_reference


@pytest.fixture(scope="module")
def chain():
    return load_chain("planar3")


@pytest.fixture(scope="module")
def motions(chain):
    rng = np.random.default_rng(2)
    return [random_reference(chain, rng, dt=0.01, duration=T, name=f"{T}") for T in (1.3, 0.6, 0.9)]


def test_errors_are_those_of_the_bench_in_pybullet(chain, motions, tmp_path):
    controller = make("computed_torque", Arm.from_chain(chain))
    plants = {"heavy": Scenario(payload_mass=0.4), "late": Scenario(latency=1, payload_mass=0.1)}
    found = tracking_rms(controller, chain, motions, list(plants.values()))
    config = BenchConfig(robot="planar3", hold=0.0, batch=6)
    run_bench({"one": controller}, {"own": motions}, plants, tmp_path / "bench", config=config, progress=False)
    for row in store.read_rows(tmp_path / "bench" / "episodes.csv"):
        k, plant = [m.name for m in motions].index(row["reference"]), list(plants).index(row["scenario"])
        assert 1e3 * found[k, plant] == pytest.approx(float(row["position_rmse_mm"]), rel=2e-2)


def test_an_arm_that_is_lost_counts_as_lost_whatever_it_does_then():
    square = np.array([[1e-4, 1e-4, 1e-4], [4e-4, 0.5, np.nan], [9.0, 1e-4, 1e-4]])
    np.testing.assert_allclose(rms(square, np.array([2, 3, 3])), [np.sqrt(2.5e-4), LOST, LOST])
