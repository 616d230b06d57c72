"""The commands themselves: results that are whole, runs that resume, a start that imports nothing heavy."""

import json
import subprocess
import sys

import numpy as np
import pytest

import armctl.envs  # noqa: F401  (registers the environments)
from armctl import cli, store
from armctl.commands.bench import load_scenarios
from armctl.motion.files import save_reference
from armctl.plant.presets import PRESETS
from armctl.plant.scenario import Scenario
from tests.cli.cases import SMALL, SMALL_FLOW, TUNE, content, motion, refused


@pytest.mark.slow
def test_sampled_references_come_from_a_small_generator_that_is_announced(capsys, monkeypatch, tmp_path):
    from armctl.commands import references

    monkeypatch.setattr(references, "SMALL", SMALL)
    argv = ["sample", "--robot", "planar3", "--count", "2", "--speed", "0.5", "--out", "found"]
    assert cli.main([*argv, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "training a small one" in err
    summary = json.loads(out)
    assert summary["eta"] == {"min": 0.5, "median": 0.5, "max": 0.5}
    assert len(list((tmp_path / "found").glob("*.npz"))) == 2
    assert cli.main(["suite", "found", "--robot", "planar3", "--out", "copy"]) == 0
    assert cli.main(["suite", "found", "--robot", "planar3", "--out", "copy", "--overwrite", "--limit", "1"]) == 0
    assert len(list((tmp_path / "copy").glob("*.npz"))) == 1


def test_a_trained_generator_is_a_run_folder(capsys, tmp_path):
    argv = ["train", "generator", "--robot", "planar3", "--motions", "60", *SMALL_FLOW, "--out", "flow", "--json"]
    assert cli.main(argv) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["updates"] == SMALL["steps"]
    files = content(tmp_path / "flow")
    assert {"config.json", "metrics.csv", "params.npz", "summary.json"} == set(files)
    assert store.read_config(tmp_path / "flow")["robot"] == "planar3"
    assert cli.main([*argv, "--resume"]) == 0
    assert files["params.npz"] == content(tmp_path / "flow")["params.npz"]
    (tmp_path / "flow" / "summary.json").unlink()  # as if it had been killed while it was written
    assert cli.main([*argv, "--resume"]) == 0
    for name in ("metrics.csv", "params.npz"):
        assert files[name] == content(tmp_path / "flow")[name]
    assert cli.main([*TUNE, "--data", "flow", "--references", "2", "--fresh", "2", "--out", "gains"]) == 0
    assert [float(row["acceptance_rate"]) > 0 for row in store.read_rows(tmp_path / "gains" / "metrics.csv")] == [
        True
    ] * 2
    capsys.readouterr()
    refused(capsys, [*argv, "--resume", "--seed", "1"], "seed=0, not 1")


def test_one_demonstration_trains_a_generator_and_that_it_validates_itself_is_said(capsys, tmp_path):
    save_reference(motion("only", 0.2), tmp_path / "mine" / "only.npz")
    argv = ["train", "generator", "--robot", "planar3", "--data", "mine", *SMALL_FLOW, "--out", "flow", "--json"]
    assert cli.main(argv) == 0
    out, err = capsys.readouterr()
    assert np.isfinite(json.loads(out)["validation_loss"])
    assert "1 demonstration(s), too few to hold one back" in err


def test_robots_and_doctor(capsys):
    assert cli.main(["robots", "--json"]) == 0
    arms = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"panda", "iiwa14", "ur5e", "xarm6", "gen3", "planar3"} <= set(arms)
    assert all(row["source"] and row["reach_m"] > 0 and row["payload_range_kg"] > 0 for row in arms.values())
    assert cli.main(["doctor", "--robot", "planar3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ok"]
    assert {"pybullet", "jax", "cache folder", "twin parity"} <= {row["check"] for row in result["checks"]}


def test_doctor_prints_what_presets_draw(capsys):
    assert cli.main(["doctor", "--scenarios", "--robot", "ur5e", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["presets"]) == list(PRESETS)
    assert found["presets"]["latency"]["fields"]["latency"] == "{0, 1, 2, 3}"
    assert found["sizes"]["payload range"] == pytest.approx(6.9, abs=0.05)


def test_scenarios_of_a_bench_are_presets_or_a_file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text("[grid]\npayload_mass = [0.0, 1.0]\n")
    assert load_scenarios("nominal,combined") == ["nominal", "combined"]
    assert load_scenarios(str(path)) == Scenario.grid(payload_mass=[0.0, 1.0])


def test_doctor_says_what_is_wrong(capsys, monkeypatch, tmp_path):
    from armctl.commands import doctor

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "file" / "below"))
    kept = {name: doctor.CHECKS[name] for name in ("python", "cache folder")}
    monkeypatch.setattr(doctor, "CHECKS", kept)
    assert cli.main(["doctor", "--robot", "planar3"]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["import armctl", "from armctl import cli; cli.main(['--help'])"])
def test_starting_up_imports_nothing_heavy(code):
    heavy = ["jax", "flax", "pybullet", "matplotlib", "scipy"]
    check = f"import sys; print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}; {check}"], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_program_itself_ends_with_the_exit_status():
    argv = [sys.executable, "-m", "armctl.cli", "robots"]
    done = subprocess.run([*argv, "--jsn"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "armctl: Unrecognized options: --jsn (perhaps --json); see 'armctl robots --help'.\n"
    done = subprocess.run([*argv, "--json"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)


def test_the_compilation_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    import os

    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cli.set_compilation_cache()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "xdg" / "armctl" / "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    cli.set_compilation_cache()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(capsys, name):
    assert cli.main([*name.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: armctl {name}")
    assert err == ""
