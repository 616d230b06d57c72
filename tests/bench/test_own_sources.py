"""What is of the user's own by where it stands: controllers, suites and metrics of files and modules, labels."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armctl import store
from armctl.arm import load_arm
from armctl.bench.own_controller import load_own
from armctl.bench.sources import is_source, load_source
from armctl.commands.bench import find_controller, labelled
from armctl.errors import UsageError
from tests.bench.conftest import FILE
from tests.bench.own import CONFIG, Constant, bench


def test_sources(file, tmp_path, monkeypatch):
    for text, holds in (("a.py:B", True), ("a.b:C", True), ("a b:C", False), ("tracker", False), ("a.py", False)):
        assert is_source(text) is holds
    assert load_source(f"{file}:thing") == 3
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load_source("mine:thing") == 3
    broken = tmp_path / "broken.py"
    broken.write_text("import nowhere_at_all\n")
    for text, said in (
        (f"{file}:Sevro", "no 'Sevro' in .*it has Servo"),
        ("nowhere.py:A", "'nowhere.py' is no file"),
        ("nowhere:A", "no module 'nowhere'"),
        (f"{broken}:A", "cannot be imported: ModuleNotFoundError.*line 1 of broken.py"),
    ):
        with pytest.raises(UsageError, match=said):
            load_source(text)
    for text, said in ((f"{file}:furthest", "cannot be made without arguments"), (f"{file}:thing", "no method act")):
        with pytest.raises(UsageError, match=said):
            load_own(text, load_arm("planar3"), CONFIG)


@pytest.mark.parametrize(("name", "said"), [("position_rmse_mm", "has the name of a column"), ("a b", "cannot name")])
def test_metrics_that_cannot_be_columns_are_refused(name, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        bench({"mine": Constant(np.zeros(3))}, tmp_path / "run", metrics={name: len})


def test_a_metric_that_raises_stays_empty(tmp_path):
    with pytest.warns(UserWarning, match="'half' raised ZeroDivisionError"):
        summary = bench({"mine": Constant(np.zeros(3))}, tmp_path / "run", metrics={"half": lambda one: 1 / 0})
    assert summary["controllers"]["mine"]["half"]["count"] == 0


def test_workers_and_resuming_give_the_same(file, tmp_path):
    servo = load_source(f"{file}:Servo")
    once, twice = tmp_path / "once", tmp_path / "twice"
    bench({"mine": servo()}, once)
    bench({"mine": servo()}, twice, config=replace(CONFIG, jobs=2))
    table = [store.read_rows(out / "episodes.csv") for out in (once, twice)]
    for a, b in zip(*(sorted(rows, key=lambda row: (row["file"], row["slot"])) for rows in table), strict=True):
        assert {k: v for k, v in a.items() if k != "action_us"} == {k: v for k, v in b.items() if k != "action_us"}
    with pytest.raises(UsageError, match="other parameters or code of mine"):
        bench({"mine": servo(5.0)}, once, resume=True)


def test_from_the_command_line_in_a_folder_of_its_own(file, tmp_path):
    command = [
        sys.executable, "-m", "armctl", "bench", "--robot", "planar3", "--controllers", "A=mine.py:Servo,mine:Servo",
        "--suite", "mine.py:still", "--metric", "mine.py:furthest", "--scenarios", "nominal", "--out", "run",
        "--no-animation",
    ]  # fmt: skip
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = store.read_rows(tmp_path / "run" / "episodes.csv")
    assert {row["controller"] for row in rows} == {"A", "Servo"}
    assert {row["suite"] for row in rows} == {"still"}
    assert all(float(row["furthest"]) > 0 for row in rows)
    assert Path(tmp_path, "run", "report.html").exists()
    command[command.index("mine.py:still")] = "mine.py:nothing"
    done = subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True)
    assert done.returncode == 2


def test_files_of_one_name_beside_two_controllers_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for version in (1, 2):
        folder = tmp_path / f"v{version}"
        folder.mkdir()
        (folder / "gains.py").write_text(f"GAIN = {version}\n")
        (folder / "mine.py").write_text(
            f"from gains import GAIN\nimport kept.one\n\nclass P{version}:\n    gain = GAIN\n"
        )
        (folder / "kept").mkdir()
        (folder / "kept" / "one.py").write_text("")
    found = [load_source(f"{tmp_path}/v{version}/mine.py:P{version}").gain for version in (1, 2)]
    assert found == [1, 2]
    assert "kept.one" in sys.modules  # such as the packages of an environment that lies in the folder
    del sys.modules["kept.one"], sys.modules["kept"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("lr=0.1/mine.py:Servo", ("", "lr=0.1/mine.py:Servo")),
        ("A=lr=0.1/mine.py:Servo", ("A", "lr=0.1/mine.py:Servo")),
        ("A=mine.py:Servo", ("A", "mine.py:Servo")),
        ("tracker", ("", "tracker")),
    ],
)
def test_labels(entry, said, file, tmp_path, monkeypatch):
    folder = tmp_path / "lr=0.1"
    folder.mkdir()
    (folder / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    assert labelled(entry) == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("mine.py", "name the class in it, as mine.py:NAME"),
        ("computed_torqe:default", "Unknown controller 'computed_torqe'; choose one of"),
        ("no.zip", "There is no file 'no.zip'"),
    ],
)
def test_entries_that_name_nothing(entry, said, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        find_controller(entry, load_arm("planar3"), CONFIG)
