"""`armctl record` and `armctl identify`: from a moving arm to an identified one, and wrong input in one sentence."""

import json

import numpy as np
import pytest

from armctl import cli
from armctl.identify.log import load_log, save_log
from armctl.urdf import load_chain
from tests.cli.cases import content, refused

# the arm and the sizes of tests/identify/test_record.py, whose programs are then the same: either finds them on disk
CHAIN = load_chain("panda")
RECORD = ["record", "--robot", "panda", "--scenario", "payload_ideal", "--seconds", "2.0", "--seed", "3"]
IDENTIFY = ["identify", "--robot", "panda", "--window", "25", "--latency", "0"]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A recorded log."""
    path = tmp_path_factory.mktemp("log") / "log.npz"
    assert cli.main([*RECORD, "--out", str(path)]) == 0
    return path


def test_a_recorded_arm_is_identified_and_can_be_named_as_robot(capsys, log, tmp_path):
    assert cli.main([*IDENTIFY, str(log), "--out", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "noise" in err
    summary = json.loads(out)
    mass, x, *_ = summary["parameters"]
    truth = load_log(log, CHAIN).truth
    assert abs(mass["estimate"] - truth.payload_mass) < 1e-6
    assert abs(x["estimate"] - x["truth"]) < 1e-6
    assert {"arm.urdf", "config.json", "identify.png", "summary.json"} == set(content(tmp_path / "run"))
    before = content(tmp_path)
    refused(capsys, [*IDENTIFY, log, "--out", "run"], "run", "already exists", "--overwrite")
    assert content(tmp_path) == before
    heavier = load_chain(tmp_path / "run" / "arm.urdf").mass[-1] - CHAIN.mass[-1]
    assert abs(heavier - truth.payload_mass) < 1e-6
    argv = ["record", "--robot", str(tmp_path / "run" / "arm.urdf"), "--seconds", "1.0", "--out", "again.npz"]
    assert cli.main(argv) == 0
    assert cli.main([*IDENTIFY, str(log), "--out", "run", "--overwrite"]) == 0
    assert "payload mass" in capsys.readouterr().out


def test_an_existing_log_is_kept_unless_told_otherwise(capsys, log):
    before = log.read_bytes()
    refused(capsys, [*RECORD, "--out", log], "already exists", "--overwrite")
    assert log.read_bytes() == before
    assert cli.main([*RECORD, "--out", str(log), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 201


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["record", "--robot", "planar3", "--scenario", "storm"], ["storm", "payload"]),
        (["record", "--robot", "planar3", "--seconds", "0.1"], ["0.1 s", "1 to 600 s"]),
        (["record", "--robot", "planar3", "--seconds", "nan"], ["nan s"]),
        (["record", "--robot", "planar3", "--out", "log.csv"], ["log.csv", ".npz"]),
        (["record", "--robot", "planar3", "--seed", "-1"], ["--seed is -1"]),
        (["record", "--robot", "planar3", "--control-dt", "0.0033"], ["0.0033"]),
        (["identify"], ["No log is given"]),
        (["identify", "nowhere.npz"], ["nowhere.npz"]),
        ([*IDENTIFY, "LOG", "--groups", "mass"], ["'mass'", "payload, friction, inertia"]),
        ([*IDENTIFY, "LOG", "--groups", ","], ["--groups"]),
        ([*IDENTIFY, "LOG", "--window", "2"], ["window is 2"]),
        ([*IDENTIFY, "LOG", "--window", "500"], ["500", "201"]),
        (["identify", "LOG", "--robot", "panda", "--latency", "-1"], ["latency is -1"]),
        (["identify", "LOG", "--robot", "planar3"], ["q has shape", "planar3"]),
    ],
)
def test_wrong_words_are_one_sentence_and_write_nothing(capsys, log, tmp_path, argv, words):
    refused(capsys, [log if word == "LOG" else word for word in argv], *words)
    assert content(tmp_path) == {}


def test_a_damaged_log_is_named_with_its_sample(capsys, log, tmp_path):
    good = load_log(log, CHAIN)
    good.qd[42, 1] = np.nan
    save_log(good, tmp_path / "bad.npz")
    (tmp_path / "cut.npz").write_bytes(log.read_bytes()[:200])
    before = content(tmp_path)
    refused(capsys, [*IDENTIFY, "bad.npz"], "bad.npz", "qd is not finite at sample 42")
    refused(capsys, [*IDENTIFY, log, "cut.npz"], "cut.npz")
    assert content(tmp_path) == before
