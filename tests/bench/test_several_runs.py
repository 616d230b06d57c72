"""Benches are compared on the episodes that they share, and on no others."""

import json
import shutil

import numpy as np
import pytest

from armctl import cli, store
from armctl.bench import run, stats
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table
from armctl.bench.several_runs import compare_runs, labels
from armctl.bench.summary import column, strata
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.report.several_runs import write_comparison
from tests.bench.arms import Follow, reach

NEAR, FAR, LONG = reach("near", 0.2, 31), reach("far", 0.4, 41), reach("long", 0.6, 51)


def bench(out, rivals, references, plants=("nominal", "payload"), **config):
    run.run_bench(
        rivals, {"short": references}, plants, out, config=BenchConfig("planar3", **config), progress=False
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    first = bench(root / "a", {"follow": Follow(8.0), "mine": Follow(4.0)}, [NEAR, FAR])
    second = bench(root / "b", {"follow": Follow(20.0), "yours": Follow(2.0)}, [FAR, LONG], hold=0.2)
    return first, second


def rows(folder, name):
    return [row for row in read_table(folder)[name] if row["reference"] == "far"]


def test_only_shared_episodes_count_and_pair(runs):
    found = compare_runs(runs)
    assert set(found["controllers"]) == {"a/follow", "a/mine", "b/follow", "b/yours"}
    assert {label: (of["episodes"], of["shared"]) for label, of in found["runs"].items()} == {"a": (4, 2), "b": (4, 2)}
    assert {block["episodes"] for block in found["controllers"].values()} == {2}
    (same,) = found["same"]
    a, b = rows(runs[1], "follow"), rows(runs[0], "follow")
    assert (same["controller"], same["run"], same["against"], same["pairs"]) == ("follow", "b", "a", 2)
    x, y = column(a, "position_rmse_mm"), column(b, "position_rmse_mm")
    assert same["position_rmse_mm"]["difference"] == stats.paired_difference(x, y, strata(a))
    assert found["controllers"]["b/follow"]["position_rmse_mm"]["iqm"] == pytest.approx(np.mean(x))
    assert found["comparison"]["subject"].startswith("a/")


def test_what_differs_is_said(runs):
    differences = compare_runs(runs)["differences"]
    assert differences.pop("hold") == {"a": "0.5", "b": "0.2"}
    (name,) = differences
    assert name.startswith("parameters and code of follow")


def test_a_run_against_its_copy_differs_in_nothing(runs, tmp_path):
    copy = shutil.copytree(runs[0], tmp_path / "copy")
    found = compare_runs([runs[0], copy])
    assert found["differences"] == {}
    for one in found["same"]:
        assert one["position_rmse_mm"]["difference"] == {"iqm": 0.0, "low": 0.0, "high": 0.0, "count": 4}


def test_a_plant_of_another_kind_under_the_same_name_is_another_episode(runs, tmp_path):
    heavy = bench(tmp_path / "heavy", {"follow": Follow(8.0)}, [NEAR], {"nominal": Scenario(payload_mass=0.5)})
    with pytest.raises(UsageError, match="a, heavy share no episode"):
        compare_runs([runs[0], heavy])


def test_what_cannot_be_compared_is_said(runs, tmp_path):
    other = bench(tmp_path / "other", {"follow": Follow(8.0)}, [FAR], seed=7)
    with pytest.raises(UsageError, match=r"a, other share no episode .* differ in seed \(0, 7\); run them"):
        compare_runs([runs[0], other])
    for folders, said in (
        ([runs[0]], "two run folders or more"),
        ([runs[0], runs[1], runs[0]], "named twice"),
        ([runs[0], tmp_path], "does not exist"),
    ):
        with pytest.raises(UsageError, match=said):
            compare_runs(folders)
    with pytest.raises(UsageError, match="The subject is 'mine'; choose one of the bench: a/follow"):
        compare_runs(runs, "mine")
    assert compare_runs(runs, "b/yours")["comparison"]["subject"] == "b/yours"


def test_labels_are_as_short_as_tells_runs_apart():
    assert list(labels(["runs/a", "runs/b"])) == ["a", "b"]
    assert list(labels(["x/run", "y/run"])) == ["x/run", "y/run"]


def test_the_page_is_written_where_it_is_said(runs, tmp_path):
    page = write_comparison(runs)
    assert page == runs[0] / "compared-with-b.html"
    assert "http" not in page.read_text().replace("http://www.w3.org", "")
    assert write_comparison(runs) == page
    named = write_comparison(runs, tmp_path / "pages")
    assert named == tmp_path / "pages" / "comparison.html"
    with pytest.raises(UsageError, match="already exists"):
        write_comparison(runs, tmp_path / "pages")
    assert write_comparison(runs, named, overwrite=True).read_text() == page.read_text()
    assert store.read_json(named.with_suffix(".json"))["runs"]["b"]["folder"] == str(runs[1])


def test_the_command_prints_and_writes_the_comparison(runs, tmp_path, capsys):
    argv = ["report", *map(str, runs), "--out", str(tmp_path / "page.html")]
    assert cli.main(argv) == 0
    said = capsys.readouterr().out
    assert {"a/follow", "b/follow", "hold", str(tmp_path / "page.html")} <= set(said.split())
    assert cli.main([*argv, "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"][0]["pairs"] == 2
    assert cli.main(["report", str(runs[0]), "--out", "x.html"]) == 2
    assert cli.main(["report"]) == 2
