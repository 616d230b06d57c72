"""A tuned run at the command line: it ends in a report, it resumes, and what is wrong with one is one sentence."""

import hashlib
import json

import numpy as np
import pytest

from armctl import cli, store
from tests.cli.cases import BENCH, TUNE, content, refused


def test_a_bench_of_a_tuned_run_ends_in_a_report(capsys, made, tmp_path):
    argv = [*BENCH, "--controllers", f"computed_torque,better={made / 'tuned'}", "--suite", str(made / "motions")]
    assert cli.main([*argv, "--out", "bench", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary["controllers"]) == {"computed_torque", "better"}
    assert summary["controllers"]["better"]["episodes"] == 2
    assert "2 updates" in summary["given"]["better"]["tuning_budget"]
    assert (tmp_path / summary["report"]).read_text().startswith("<!")
    assert {"config.json", "episodes.csv", "summary.json", "report.html"} <= {
        p.name for p in (tmp_path / "bench").iterdir()
    }
    assert cli.main(["report", "bench", "--no-animation"]) == 0
    out, _ = capsys.readouterr()
    assert "better" in out
    assert "report.html" in out


def test_a_resumed_run_equals_an_uninterrupted_one(made, tmp_path, monkeypatch):
    """Stopped by Ctrl-C after the first of two chunks, then resumed."""
    from armctl.commands import training

    def stop(progress, row):
        raise KeyboardInterrupt

    argv = [*TUNE, "--data", str(made / "motions"), "--out", "run"]
    monkeypatch.setattr(training, "advance", stop)
    assert cli.main(argv) == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert [row["update"] for row in store.read_rows(tmp_path / "run" / "metrics.csv")] == ["1"]
    assert cli.main([*argv, "--resume"]) == 0
    assert [row["update"] for row in store.read_rows(tmp_path / "run" / "metrics.csv")] == ["1", "2"]
    once, twice = (store.load_arrays(folder / "params.npz") for folder in (made / "tuned", tmp_path / "run"))
    assert once.keys() == twice.keys()
    for name in once:
        np.testing.assert_array_equal(once[name], twice[name])


@pytest.mark.slow
def test_seeds_are_runs_of_their_own_the_best_one_first(capsys, made, tmp_path):
    """In two processes; the first is what this process has made of it."""
    argv = [*TUNE, "--data", str(made / "motions"), "--seeds", "0", "1", "--jobs", "2", "--out", "both", "--json"]
    assert cli.main(argv) == 0
    rows = json.loads(capsys.readouterr().out)
    scores = [row.get("validation_score", row["position_rms_mm"]) for row in rows]
    assert scores == sorted(scores)
    assert {row["folder"] for row in rows} == {"both/0", "both/1"}
    first, second = (store.load_arrays(tmp_path / "both" / seed / "params.npz") for seed in "01")
    alone = store.load_arrays(made / "tuned" / "params.npz")
    assert all(np.array_equal(first[name], alone[name]) for name in alone)
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_an_existing_folder_is_refused_and_unharmed(capsys, made, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis.txt").write_text("years of work")
    before = content(tmp_path), content(made)
    for out in (made / "tuned", tmp_path / "kept"):
        refused(capsys, [*TUNE, "--data", made / "motions", "--out", out], out, "already exists", "--resume")
        refused(capsys, [*BENCH, "--suite", made / "motions", "--out", out], out, "already exists", "--resume")
        refused(capsys, ["train", "generator", "--robot", "planar3", "--out", out], out, "already exists")
        refused(capsys, ["sample", "--robot", "planar3", "--out", out], out, "already exists", "--overwrite")
        refused(capsys, ["suite", "shapes", "--robot", "planar3", "--out", out], out, "already exists", "--overwrite")
    for words in ([*TUNE], [*BENCH], ["sample", "--robot", "planar3"], ["train", "generator", "--robot", "planar3"]):
        refused(capsys, [*words, "--out", tmp_path / "kept", "--overwrite"], "left alone")
    refused(capsys, [*TUNE, "--out", tmp_path / "kept" / "thesis.txt"], "is a file")
    other = [*TUNE, "--data", made / "motions", "--out", made / "tuned", "--resume", "--seed", "5"]
    refused(capsys, other, "seed=0, not 5")
    assert (content(tmp_path), content(made)) == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("params.npz", lambda data: data[: len(data) // 2]),
        ("params.npz", lambda data: b""),
        ("config.json", lambda data: data[: len(data) // 2]),
        ("config.json", lambda data: b"{}"),
    ],
)
def test_a_corrupt_checkpoint_is_refused(capsys, made, tmp_path, file, damage):
    run = tmp_path / "run"
    run.mkdir()
    for path in (made / "tuned").iterdir():
        (run / path.name).write_bytes(path.read_bytes())
    (run / file).write_bytes(damage((run / file).read_bytes()))
    before = content(tmp_path)
    refused(capsys, [*BENCH, "--controllers", "run", "--suite", made / "motions", "--out", "out"], "run")
    refused(capsys, ["sample", "--robot", "planar3", "--generator", "run", "--out", "out"], "run")
    assert content(tmp_path) == before


def test_parameters_that_are_not_finite_are_refused(capsys, made, tmp_path):
    for path in (made / "tuned").iterdir():
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    arrays = store.load_arrays(tmp_path / "run" / "params.npz")
    store.save_arrays(tmp_path / "run" / "params.npz", {name: value * np.nan for name, value in arrays.items()})
    refused(capsys, [*BENCH, "--controllers", "run", "--suite", made / "motions"], "run", "not finite")


def test_a_run_of_another_arm_is_refused(capsys, made):
    argv = ["bench", "--robot", "ur5e", "--controllers", made / "tuned", "--suite", made / "motions"]
    refused(capsys, argv, "planar3", "ur5e")


def test_a_run_is_exported_with_its_hashes_and_not_over_anything(capsys, made, tmp_path):
    export = ["export", str(made / "tuned"), "--out", str(tmp_path / "plain"), "--json"]
    assert cli.main(export) == 0
    assert json.loads(capsys.readouterr().out)["robot"] == "planar3"
    manifest = json.loads((tmp_path / "plain" / "manifest.json").read_text())
    whole = hashlib.sha256((made / "tuned" / "params.npz").read_bytes()).hexdigest()
    assert manifest["source"]["sha256"]["params.npz"] == whole
    before = content(tmp_path / "plain")
    refused(capsys, export, "already exists", "--overwrite")
    assert content(tmp_path / "plain") == before
    assert cli.main([*export, "--overwrite"]) == 0
