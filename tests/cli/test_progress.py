"""What takes its time says how much is left, on stderr, and leaves stdout to one JSON document."""

import json
import re

import numpy as np
import pytest

from armctl import cli
from armctl.commands import console
from tests.cli.cases import BENCH, SMALL_FLOW, TUNE

BAR = r"\d+/{} \[[\d:]+<00:00"
PLANAR = ["--robot", "planar3"]


def refused_constant(name):
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(
    "argv",
    [
        ["robots"],
        ["doctor", "--scenarios", *PLANAR],
        ["suite", "iso9283", *PLANAR, "--limit", "1", "--out", "iso"],
        ["suite", "reach", *PLANAR, "--limit", "1", "--out", "reach"],
        ["record", *PLANAR, "--seconds", "1", "--out", "log.npz"],
        ["export", "diff_ik", *PLANAR, "--out", "plain"],
        ["completion"],
    ],
)
def test_json_is_one_document(capsys, argv):
    assert cli.main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=refused_constant)


def test_what_is_not_finite_is_null(capsys):
    console.show({"a": np.array([1.0, np.nan]), "b": float("inf")}, "", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": [1.0, None], "b": None}


@pytest.mark.slow
def test_a_tuned_and_benched_controller_too(capsys, tmp_path):
    argv = [*TUNE, "--references", "2", "--out", "run", "--json"]
    assert cli.main(argv) == 0
    out, err = capsys.readouterr()
    assert json.loads(out, parse_constant=refused_constant)["updates"] == 2
    assert re.search("make motions of planar3.* " + BAR.format(10), err)
    assert re.search("tune computed_torque.* " + BAR.format(2), err)
    assert cli.main([*BENCH, "--controllers", "run", "--limit", "1", "--out", "bench", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out, parse_constant=refused_constant)["report"] == "bench/report.html"
    assert re.search("bench.* " + BAR.format(1), err)


@pytest.mark.slow
def test_proposals_of_a_generator_too(capsys, tmp_path):
    assert cli.main(["train", "generator", *PLANAR, "--motions", "60", *SMALL_FLOW, "--out", "flow", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out, parse_constant=refused_constant)["robot"] == "planar3"
    assert re.search("make motions of planar3.* " + BAR.format(60), err)
    argv = ["suite", "generated", "--generator", "flow", *PLANAR, "--limit", "2", "--out", "found", "--json"]
    assert cli.main(argv) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out, parse_constant=refused_constant)["references"]) == 2
    assert "compiling the flow, about" in err
    assert re.search("certify.* " + BAR.format(2), err)


@pytest.mark.parametrize("ended", [False, True])
def test_stages_are_told_above_a_bar_that_ends_full(capsys, ended):
    with console.stages(5, "work", ended=ended) as tell:
        tell("one")
        tell("two")
    said = capsys.readouterr().err
    assert re.findall("one|two", said) == ["one", "two"]
    assert "work: 100%" in said
    assert "2/2" in said
