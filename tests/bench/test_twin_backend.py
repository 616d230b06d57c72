"""A bench in the twin finds what the one in PyBullet finds."""

import jax.numpy as jnp
import numpy as np
import pytest

from armctl.arm import load_arm
from armctl.bench.plan import BenchConfig, make_tasks
from armctl.bench.records import read_table
from armctl.bench.run import run_bench
from armctl.chain import Chain
from armctl.controllers import Controller, make
from armctl.errors import UsageError
from armctl.motion.sampling import random_reference
from armctl.plant.scenario import Scenario
from armctl.urdf import load_chain
from tests.bench.own import bench

PLANTS = ["nominal", "payload", "noise", "pushes", "combined"]


def references(chain: Chain, count: int):
    return [
        random_reference(chain, np.random.default_rng(seed), dt=0.01, eta=0.4, name=f"motion {seed}")
        for seed in range(count)
    ]


@pytest.mark.parametrize("controller", ["computed_torque_integral", "diff_ik"])
def test_both_backends_agree_on_every_kind_of_plant(controller, tmp_path):
    chain = load_chain("planar3")
    config = {"robot": "planar3", "batch": 5, "hold": 0.1}
    controllers = {"it": make(controller, load_arm("planar3"))}
    tables = {}
    for backend in ("bullet", "twin"):
        out = tmp_path / backend
        suites = {"mine": references(chain, 1)}
        run_bench(controllers, suites, PLANTS, out, config=BenchConfig(backend=backend, **config), progress=False)
        tables[backend] = read_table(out)["it"]
    for bullet, twin in zip(tables["bullet"], tables["twin"], strict=True):
        assert bullet["scenario"] == twin["scenario"]
        assert not bullet["failure"]
        assert not twin["failure"]
        for metric, tolerance in (("position_rmse_mm", 2e-3), ("orientation_rmse_deg", 1e-3), ("effort_n2m2s", 1e-2)):
            assert twin[metric] == pytest.approx(bullet[metric], rel=1e-3, abs=tolerance), (bullet["scenario"], metric)


def test_controllers_from_outside_have_no_twin(tmp_path):
    class Still:
        control = "velocity"

        def act(self, observation):
            return np.zeros(3)

    with pytest.raises(UsageError, match="'still' is no controller in JAX"):
        bench({"still": Still()}, tmp_path / "run", config=BenchConfig(robot="planar3", backend="twin"))
    with pytest.raises(UsageError, match="backend is 'mujoco'; choose bullet or twin"):
        make_tasks(BenchConfig(robot="planar3", backend="mujoco"), load_chain("planar3"), {"one": []}, ["nominal"])
    assert not (tmp_path / "run").exists()


class Wrong(Controller):
    """Gives a number too many."""

    def __call__(self, carry, m, w):
        return carry, jnp.zeros((*m.q.shape[:-1], m.q.shape[-1] + 1))


def test_what_is_wrong_with_a_controller_is_said_of_its_episodes_as_in_pybullet(tmp_path):
    arm, said = load_arm("planar3"), {}
    for backend in ("bullet", "twin"):
        config = BenchConfig(robot="planar3", backend=backend, hold=0.1)
        controllers = {"wrong": Wrong(arm), "right": make("diff_ik", arm)}
        summary = bench(controllers, tmp_path / backend, {"nominal": Scenario()}, config=config)
        said[backend] = [one["failure"] for one in summary["controllers"]["wrong"]["failures"]]
        assert not summary["controllers"]["right"]["failures"]
        assert ("ran in the twin" in " ".join(summary["caveats"])) == (backend == "twin")
        assert "ValueError: the command has shape" in (tmp_path / backend / "tracebacks.txt").read_text()
    assert len(said["bullet"]) == 2
    assert said["bullet"] == said["twin"]
