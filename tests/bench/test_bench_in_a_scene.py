"""A bench in a scene: contact is counted in both backends, and the scene is part of what a run is."""

import numpy as np
import pytest

from armctl import store
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table, recorded_scene
from armctl.bench.run import run_bench
from armctl.bench.several_runs import compare_runs
from armctl.errors import UsageError
from armctl.rigid import forward_kinematics
from armctl.scene import Body, Scene
from tests.bench.arms import CHAIN, Follow, reach

SUITES = {"s": [reach("into", 0.6), reach("away", -0.3)]}
POST = tuple(forward_kinematics(CHAIN, SUITES["s"][0].q[40])[:3, 3].tolist())


def post(radius=0.03, position=POST):
    return Scene("post", (Body("cylinder", (radius, 0.3), position, name="post"),))


class Still:
    """From outside."""

    control = "velocity"

    def act(self, observation):
        return np.zeros(3)


def run(out, backend="bullet", controllers=None, **given):
    config = BenchConfig(robot="planar3", backend=backend, batch=2, hold=0.1)
    controllers = {"follow": Follow(5.0)} if controllers is None else controllers
    return run_bench(controllers, SUITES, ["nominal"], out, config=config, progress=False, **given)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    run(root / "free", controllers={"follow": Follow(5.0), "still": Still()})
    run(root / "bullet", controllers={"follow": Follow(5.0), "still": Still()}, scene=post())
    run(root / "twin", "twin", scene=post())
    return root


def test_contact_is_counted_where_a_body_is_in_the_way_and_the_way_is_another(runs):
    rows = {name: {row["reference"]: row for row in read_table(runs / name)["follow"]} for name in ("free", "bullet")}
    assert "scene_contact" not in rows["free"]["into"]
    assert rows["bullet"]["into"]["scene_contact"] > 5
    assert rows["bullet"]["away"]["scene_contact"] == 0
    assert rows["bullet"]["into"]["position_max_mm"] > 1.5 * rows["free"]["into"]["position_max_mm"]
    assert rows["bullet"]["away"]["position_max_mm"] == rows["free"]["away"]["position_max_mm"]
    block = store.read_json(runs / "bullet" / "summary.json")["controllers"]
    assert block["follow"]["scene_contact"] == rows["bullet"]["into"]["scene_contact"]
    assert block["follow"]["scene_contact_episodes"] == 1
    assert block["still"]["scene_contact"] == 0


def test_the_twin_flags_it_and_says_that_its_arms_pass_through(runs):
    bullet, twin = (read_table(runs / name)["follow"] for name in ("bullet", "twin"))
    assert [row["scene_contact"] > 0 for row in twin] == [row["scene_contact"] > 0 for row in bullet]
    said = store.read_json(runs / "twin" / "summary.json")["caveats"]
    assert any("pass through" in one for one in said)


def test_a_run_keeps_its_scene_and_goes_on_in_no_other(runs):
    assert recorded_scene(runs / "bullet") == post()
    assert recorded_scene(runs / "free") is None
    assert store.read_config(runs / "bullet")["scene"] == "post"
    before = (runs / "twin" / "episodes.csv").read_bytes()
    with pytest.raises(UsageError, match="in another scene 'post'"):
        run(runs / "twin", "twin", scene=post(0.02), resume=True)
    with pytest.raises(UsageError, match="scene='post', not None"):
        run(runs / "twin", "twin", resume=True)
    run(runs / "twin", "twin", scene=post(), resume=True)
    assert (runs / "twin" / "episodes.csv").read_bytes() == before


def test_runs_in_different_scenes_share_no_episode(runs):
    with pytest.raises(UsageError, match="share no episode"):
        compare_runs([runs / "free", runs / "bullet"])
    assert len(compare_runs([runs / "twin", runs / "bullet"])["controllers"]) == 3


def test_a_reference_that_starts_in_a_body_is_refused_before_anything_is_written(tmp_path):
    start = tuple(forward_kinematics(CHAIN, SUITES["s"][1].q[0])[:3, 3].tolist())
    with pytest.raises(UsageError, match=r"On reference 'into' of suite 's' link 2 of planar3 would start .* 'post'"):
        run(tmp_path / "run", scene=post(position=start))
    with pytest.raises(UsageError, match=r"no scene 'kitchen'"):
        run(tmp_path / "run", scene="kitchen")
    assert not (tmp_path / "run").exists()
