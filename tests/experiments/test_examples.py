"""Every example runs, in a small size or on the planar arm, and what it prints makes sense; all keep to their form."""

import ast
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "experiments/examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
PLANAR = ("--robot", "planar3")


@pytest.fixture
def example(monkeypatch, capsys):
    """What an example prints, by its number and the words after its name."""

    def run(number: int, *words) -> str:
        monkeypatch.setattr(sys, "argv", [EXAMPLES[number - 1].name, *map(str, words)])
        runpy.run_path(str(EXAMPLES[number - 1]), run_name="__main__")
        return capsys.readouterr().out

    return run


def numbers(pattern: str, text: str) -> np.ndarray:
    """The numbers where a pattern has `#`, a row per match (flat where it has one `#`); commas are left out of both."""
    found = np.array(re.findall(pattern.replace("#", r"(-?[\d.,]+(?:e[-+]?\d+)?)"), text.replace(",", "")), float)
    assert len(found), f"no {pattern!r} in {text}"
    return found


def test_numbering_has_no_gaps():
    assert [path.name[:3] for path in EXAMPLES] == [f"{number:02d}_" for number in range(1, len(EXAMPLES) + 1)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_keep_to_their_form(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"python experiments/examples/{path.name}\n" in (ast.get_docstring(ast.parse(text)) or "") + "\n"
    assert f"[{path.name}]({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_load_shows_when_an_environment_is_stepped(example):
    said = example(1, *PLANAR)
    (bare, loaded), (most, _) = numbers(r"# mm rms and # mm at most", said).T
    assert 0 < bare < 2 < 10 < loaded
    assert bare < most < 10
    assert "sum of {'position'" in said


def test_torques_found_in_the_twin_bring_pybullet_to_rest_at_the_goal(example):
    said = example(2, *PLANAR)
    errors = numbers(r"Newton steps: # rad", said)
    assert errors[0] == pytest.approx(0.1)
    assert errors[-1] < 1e-5
    assert (numbers(r"PyBullet under these torques: # rad from it at # rad/s", said) < 1e-4).all()


def test_an_arm_of_ones_own_has_a_twin(example):
    said = example(3)
    assert "lamp: 2 joints from base to bulb" in said
    assert "No acceleration limit in the file" in said
    (joints,) = re.findall(r"joints are at \[(.*)\] rad", said)
    assert (np.abs(np.array(joints.split(), float)) > 0.1).all()
    assert numbers(r"the twin's # rad", said) < 1e-12


def test_a_reference_of_ones_own_is_certified_and_followed(example):
    said = example(4, *PLANAR)
    duration, shortest = numbers(r"feasible in # s in # s at best", said)[0]
    assert 0 < shortest < duration == 3
    nominal, loaded = (numbers(rf"{plant} mine # mm rms diff_ik # mm rms", said)[0] for plant in ("nominal", "1 kg"))
    assert nominal.max() < 0.5
    assert 5 < loaded.min() < loaded.max() < 50


@pytest.mark.slow
def test_a_controller_is_trained_and_benched(example, tmp_path):
    words = ("--controllers", "computed_torque", "--updates", 4, "--episodes", 2, "--out", tmp_path / "runs")
    said = example(5, *PLANAR, *words)
    assert numbers(r"update +#: +# mm rms in the twin", said)[:, 0].tolist() == [4]
    middle, low, high = numbers(r"computed_torque: # mm rms in PyBullet 95 % interval # to # mm", said)[0]
    assert 0 < low <= middle <= high < 200
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"computed_torque", "bench"}


@pytest.mark.slow
def test_generated_goals_are_certified_and_as_difficult_as_asked_for(example, tmp_path):
    small = ("--motions", 100, "--flow.steps", 60, "--flow.blocks", 1, "--flow.width", 32, "--flow.sampler", "euler")
    said = example(6, *PLANAR, *small, "--count", 3, "--speed", 0.7, "--out", tmp_path / "runs")
    duration, speed = numbers(r": # s speed #", said).T
    assert len(duration) == len(list((tmp_path / "runs/goals").glob("*.npz"))) == 3
    assert (duration > 0.1).all()
    assert speed == pytest.approx(0.7, abs=0.02)
    assert ((shares := numbers(r"feasible are # % of all as the flow makes them # %", said)) <= 100).all()
    assert shares[0, 1] > 20


@pytest.mark.slow
def test_a_payload_is_found(example):
    said = example(7, *PLANAR)
    found = numbers(r"payload (?:mass|x|z): # ± # \w+ \(95 %\) in truth #", said)
    assert len(found) == 3
    assert (np.abs(found[:, 0] - found[:, 2]) < 1e-3).all()
    assert (found[:, 1] < 1e-3).all()
    assert "delay of the commands: 1 control steps in truth 1" in said.replace(",", "")
    assert "hardly tell payload y" in said  # along the planar arm's axes, which no motion of it shows


def test_twins_and_processes_are_alike(example):
    said = example(8, *PLANAR, "--twins", 16, "--processes", 2)
    count, rate, least, most, middle = numbers(r": # arms # control steps/s errors from # to # mm rms .* # mm", said).T
    assert count.tolist() == [16, 2]
    assert (rate > 10).all()
    assert ((least > 0) & (least <= middle) & (middle <= most) & (most < 100)).all()


def test_an_effect_of_ones_own_acts_alike_in_plant_and_twin(example):
    said = example(9, *PLANAR)
    (bullet, by_differences), (angle, gradient) = numbers(r"# rad changing by # rad per N m/rad", said)
    (free,) = numbers(r"\(# rad without springs\)", said)
    assert abs(bullet) < 0.9 * abs(free)
    assert angle == bullet
    assert gradient == pytest.approx(by_differences, rel=1e-3)
