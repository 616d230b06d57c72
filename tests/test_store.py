"""Run folders: nothing is replaced silently, nothing is lost, corrupt files are named."""

from dataclasses import dataclass

import numpy as np
import pytest

from armctl import store
from armctl.errors import UsageError


@dataclass(frozen=True)
class Config:
    seed: int = 0
    steps: int = 3
    jobs: int = 1


def test_existing_run_is_refused_and_unharmed(tmp_path):
    run = store.create_run(tmp_path / "run", Config())
    store.write_json(run / "summary.json", {"value": 1})
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(UsageError, match=r"run.*--resume.*--overwrite"):
        store.create_run(run, Config())
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_overwrite_keeps_the_old_run_until_the_new_one_is_finished(tmp_path):
    run = store.create_run(tmp_path / "run", Config())
    store.write_json(run / "summary.json", {"value": 1})
    store.create_run(run, Config(steps=4), overwrite=True)
    (kept,) = [folder for folder in tmp_path.iterdir() if folder.name.startswith(".run.replaced-")]
    assert store.read_json(kept / "summary.json") == {"value": 1}
    store.finish_run(run)
    assert [folder.name for folder in tmp_path.iterdir()] == ["run"]
    assert store.read_config(run)["steps"] == 4


def test_overwrite_leaves_a_foreign_folder_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(UsageError, match="thesis"):
        store.create_run(tmp_path / "thesis", Config(), overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_resume_needs_the_same_configuration(tmp_path):
    run = store.create_run(tmp_path / "run", Config())
    store.create_run(run, Config(jobs=2), resume=True)
    with pytest.raises(UsageError, match="steps=3, not 5"):
        store.create_run(run, Config(steps=5), resume=True)


def test_config_records_seeds_and_versions(tmp_path):
    record = store.read_json(store.create_run(tmp_path / "run", Config(seed=7)) / "config.json")
    assert record["seeds"] == {"seed": 7}
    assert {"python", *store.PACKAGES} == set(record["versions"])


def test_json_takes_numpy_and_keeps_the_old_file_on_failure(tmp_path):
    path = tmp_path / "a.json"
    store.write_json(path, {"x": np.float32(0.5), "y": np.arange(3), "z": np.nan})
    assert store.read_json(path) == {"x": 0.5, "y": [0, 1, 2], "z": None}
    with pytest.raises(TypeError):
        store.write_json(path, {"x": object()})
    assert store.read_json(path)["x"] == 0.5
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_torn_last_row_is_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    store.append_rows(path, [{"step": 1, "loss": 0.5}])
    store.append_rows(path, [{"step": 2, "loss": 0.25}])
    path.write_bytes(path.read_bytes() + b"3,0.1")
    assert [row["step"] for row in store.read_rows(path)] == ["1", "2"]
    store.append_rows(path, [{"step": 3, "loss": 0.125}])
    assert [row["loss"] for row in store.read_rows(path)] == ["0.5", "0.25", "0.125"]


def test_rows_for_other_columns_are_refused_and_nothing_is_lost(tmp_path):
    path = tmp_path / "rows.csv"
    store.append_rows(path, [{"a": 1, "b": 2}])
    before = path.read_bytes()
    for row in ({"a": 1, "c": 2}, {"a": 1}):
        with pytest.raises(UsageError, match="other columns"):
            store.append_rows(path, [row])
    assert path.read_bytes() == before


def test_arrays_round_trip_and_corruption_is_named(tmp_path):
    path = tmp_path / "params.npz"
    store.save_arrays(path, {"layer/kernel": np.eye(3), "step": 4})
    assert np.array_equal(store.load_arrays(path)["layer/kernel"], np.eye(3))
    data = path.read_bytes()
    for broken in (b"", b"nonsense", data[: len(data) // 2], data[:60] + b"\0" * 40 + data[100:]):
        path.write_bytes(broken)
        with pytest.raises(UsageError, match=r"params\.npz"):
            store.load_arrays(path)
    with pytest.raises(UsageError, match="does not exist"):
        store.load_arrays(tmp_path / "absent.npz")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match=r"bad\.json"):
        store.read_json(tmp_path / "bad.json")


def test_a_run_that_was_killed_as_it_began_may_begin_again(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.json.123.tmp").write_text("{")
    assert store.unstarted(run)
    store.create_run(run, Config())
    assert not store.unstarted(run)
    with pytest.raises(UsageError, match="already exists"):
        store.create_run(run, Config())


def test_a_folder_is_of_the_kind_that_its_summary_says(tmp_path):
    assert store.kind_of(tmp_path) is None
    for told, kind in (({"kind": "references"}, "references"), ({"value": 1}, None), ([1], None)):
        store.write_json(tmp_path / "summary.json", told)
        assert store.kind_of(tmp_path) == kind
