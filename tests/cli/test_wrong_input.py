"""The command line on wrong input: one sentence, exit status 2, and nothing harmed."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import armctl.envs  # noqa: F401  (registers the environments)
from armctl import cli
from armctl.motion.files import save_reference
from armctl.urdf import load_chain
from tests.cli.cases import BENCH, TUNE, content, motion, refused


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["tun"], ["tun", "tune"]),
        (["train", "tracer"], ["tracer", "tracker"]),
        (["robots", "--jsn"], ["--jsn", "--json"]),
        (["sample", "--count", "many"], ["--count", "many"]),
        (["bench", "--control-dt"], ["--control-dt"]),
        (["tune"], ["CONTROLLER"]),
        (["report"], ["DIR"]),
        (["doctor", "--robot", "pandaa"], ["pandaa", "planar3"]),
        (["suite", "shapes", "--robot", "no/such.urdf"], ["no/such.urdf"]),
        (["tune", "computed_torq", "--robot", "planar3"], ["computed_torq", "computed_torque"]),
        (["tune", "diff_ik", "--robot", "planar3", "--scenario", "storm"], ["storm", "payload"]),
        (["tune", "diff_ik", "--robot", "planar3", "--updates", "0"], ["updates is 0"]),
        (["tune", "diff_ik", "--robot", "planar3", "--references", "0"], ["references is 0"]),
        (["tune", "diff_ik", "--robot", "planar3", "--resume", "--overwrite"], ["--resume", "--overwrite"]),
        (["tune", "diff_ik", "--robot", "planar3", "--data", "nowhere"], ["nowhere"]),
        (["train", "generator", "--robot", "planar3", "--motions", "0"], ["motions is 0"]),
        (["train", "generator", "--robot", "planar3", "--sampler", "rk4"], ["rk4", "heun"]),
        ([*BENCH, "--controllers", "computed_torq"], ["computed_torq", "computed_torque"]),
        ([*BENCH, "--controllers", "diff_ik,diff_ik"], ["diff_ik,diff_ik"]),
        ([*BENCH, "--controllers", "diff_ik", "--suite", "shape"], ["shape", "iso9283"]),
        (["bench", "--robot", "planar3", "--scenarios", "storm"], ["storm", "payload"]),
        (["bench", "--grid", "--scenarios", "nominal"], ["--scenarios nominal", "--scenarios grid,NAME"]),
        (["suite", "shape", "--robot", "planar3"], ["shape", "iso9283"]),
        (["suite", "generated", "--robot", "planar3"], ["generated", "armctl sample"]),
        (["sample", "--robot", "planar3", "--speed", "1.5"], ["1.5", "(0, 1]"]),
        (
            ["sample", "--robot", "planar3", "--speed", "0.001"],
            ["--speed is 0.001", "1000 times", "at least 0.01"],
        ),
        (["sample", "--robot", "planar3", "--speed", "nan"], ["--speed is nan", "(0, 1]"]),
        (["demo", "--robot", "planar3", "--speed", "1e-9"], ["speed is 1e-09", "at least 0.01"]),
        (["tune", "diff_ik", "--robot", "planar3", "--gain-rate", "nan"], ["gain_rate is nan", "finite"]),
        (["tune", "diff_ik", "--robot", "planar3", "--objective.effort", "inf"], ["effort is inf", "finite"]),
        (["train", "generator", "--robot", "planar3", "--learning-rate", "inf"], ["learning_rate is inf", "finite"]),
        (["sample", "--robot", "planar3", "--family", "zigzag"], ["zigzag", "figure_eight"]),
        (["sample", "--robot", "planar3", "--count", "0"], ["--count is 0"]),
        (["sample", "--robot", "planar3", "--generator", "nowhere"], ["nowhere"]),
        (["sample", "--robot", "planar3", "--control-dt", "nan"], ["--control-dt is nan"]),
        ([*BENCH, "--seed", "-1"], ["--seed is -1"]),
        ([*BENCH, "--limit", "-3"], ["--limit is -3"]),
        ([*BENCH, "--control-dt", "0.0123"], ["control_dt 0.0123"]),
        ([*TUNE, "--seed", "-1"], ["--seed is -1"]),
        ([*TUNE, "--control-dt", "0"], ["--control-dt is 0"]),
        ([*TUNE, "--preview", "0"], ["preview is 0"]),
        (["suite", "corpus", "--robot", "planar3", "--limit", "0"], ["--limit is 0"]),
        (["suite", "corpus", "--robot", "planar3", "--seed", "-1"], ["--seed is -1"]),
        (["report", "nowhere"], ["nowhere"]),
        (["audit"], ["CONTROLLER"]),
        (["audit", "computed_torq", "--robot", "planar3"], ["computed_torq", "computed_torque"]),
        (["audit", "computed_torque", "--robot", "planar3", "--scenario", "storm"], ["storm", "payload"]),
        (["audit", "computed_torque", "--robot", "planar3", "--episodes", "0"], ["episodes is 0"]),
        (["audit", "computed_torque", "--robot", "planar3", "--seconds", "0.1"], ["seconds is 0.1"]),
        (["audit", "computed_torque", "--robot", "planar3", "--seed", "-1"], ["--seed is -1"]),
        (["audit", "computed_torque", "--robot", "planer3"], ["planer3", "planar3"]),
        (["improve"], ["SUITE"]),
        (["improve", "nowhere", "--robot", "planar3"], ["nowhere"]),
        (["improve", "nowhere", "--robot", "planar3", "--aim", "nicer"], ["nicer", "shorter, smoother, clearer"]),
        (["improve", "nowhere", "--robot", "planar3", "--aim", "easier"], ["easier only for a controller"]),
        (["improve", "nowhere", "--robot", "planar3", "--trust", "0"], ["trust is 0", "(0, 1]"]),
        (["export"], ["CONTROLLER"]),
        (["export", "nowhere"], ["nowhere", "computed_torque"]),
        (["export", "diff_ik", "--to", "rust"], ["rust", "numpy, onnx, c"]),
        (["export", "diff_ik", "--robot", "pandaa"], ["pandaa", "planar3"]),
        (["export", "mppi", "--robot", "planar3"], ["PathIntegral", "operation"]),
    ],
)
def test_wrong_words_are_one_sentence_and_write_nothing(capsys, tmp_path, argv, words):
    refused(capsys, argv, *words)
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not a reference", ["bad.csv"]),
        ("t,q1,q2,q3\n0,0,0,0\n0.1,0,nan,0\n", ["bad.csv", "line 3"]),
        ("t,q1,q2,q3\n0,0,0,0\n0.1,0,9,0\n", ["bad.csv", "q2 = 9.000 at t = 0.100 s", "limits"]),
        (
            "t,x,y,z,qx,qy,qz,qw\n0,0.5,0,0.5,0,0,0,1\n0.5,3,0,0.5,0,0,0,1\n",
            ["bad.csv", "leaves the workspace of planar3 at t = "],
        ),
    ],
)
def test_unusable_references_are_named(capsys, tmp_path, text, words):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bad.csv").write_text(text)
    before = content(tmp_path)
    refused(capsys, [*BENCH, "--controllers", "computed_torque", "--suite", "mine"], *words)
    refused(capsys, [*TUNE, "--data", "mine"], *words)
    refused(capsys, ["suite", "mine", "--robot", "planar3", "--out", "copy"], *words)
    assert content(tmp_path) == before


def test_a_corrupt_reference_file_is_named(capsys, tmp_path):
    save_reference(motion("cut", 0.3), tmp_path / "mine" / "cut.npz")
    whole = (tmp_path / "mine" / "cut.npz").read_bytes()
    (tmp_path / "mine" / "cut.npz").write_bytes(whole[:200])
    refused(capsys, [*BENCH, "--controllers", "computed_torque", "--suite", "mine"], "cut.npz")


def test_an_action_that_is_not_finite_is_one_sentence(capsys):
    env = gym.make("armctl/Planar3Reach-v1")
    env.reset(seed=0)
    assert cli.guarded(lambda: env.step(np.full(3, np.nan))) == 2
    env.close()
    assert capsys.readouterr().err == "armctl: Entry 0 of the action is nan; give finite numbers in [-1, 1].\n"


def test_ctrl_c_says_how_to_go_on(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert cli.guarded(interrupted, "bench") == 130
    assert "--resume" in capsys.readouterr().err
    assert cli.guarded(interrupted, "sample") == 130
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["sample"], ["demo"], ["train", "generator", "--audit"]])
def test_nothing_that_certifies_starts_with_an_arm_that_is_not_measured(argv, tmp_path, capsys):
    mesh = '<collision><geometry><mesh filename="gone.stl"/></geometry></collision></link>'
    text = Path(load_chain("planar3").source).read_text()
    (tmp_path / "arm.urdf").write_text(text.replace("</link>", mesh, 1))
    refused(capsys, [*argv, "--robot", tmp_path / "arm.urdf", "--out", tmp_path / "out"], "could not be measured")
    assert not (tmp_path / "out").exists()
