"""The command line: one sentence and exit status 2 for wrong input, nothing harmed; results that are whole."""

import hashlib
import json
import subprocess
import sys

import gymnasium as gym
import jax
import numpy as np
import pytest

import armctl.envs  # noqa: F401  (registers the environments)
from armctl import cli, store
from armctl.motion.reference import Reference, save_reference
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
TUNE = ["tune", "computed_torque", "--robot", "planar3", "--plants", "4", "--train.batch", "4", "--train.horizon", "4"]
TUNE += ["--train.chunk", "1", "--train.updates", "2"]
SMALL = {"motions": 60, "steps": 20, "width": 16, "batch": 16, "chunk": 20}
BENCH = ["bench", "--robot", "planar3", "--scenarios", "nominal", "--hold", "0", "--no-animation"]


@pytest.fixture(autouse=True, scope="module")
def _compile_once(tmp_path_factory):
    """The cache of compiled programs that the command line turns on, for runs within this process."""
    from jax.experimental.compilation_cache import compilation_cache

    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("cache")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before[0])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])
    compilation_cache.reset_cache()


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    monkeypatch.chdir(tmp_path)


def motion(name, amplitude, samples=31):
    """A rest-to-rest motion of the planar arm."""
    s = np.linspace(0, 1, samples)[:, None]
    q = np.array([0.4, 0.7, -0.5]) + amplitude * (10 * s**3 - 15 * s**4 + 6 * s**5)
    return Reference.from_joints(CHAIN, 0.01, q, name=name, meta={"family": "reach"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two references and a tuned run."""
    folder = tmp_path_factory.mktemp("made")
    for name, amplitude in (("near", 0.1), ("far", 0.3)):
        save_reference(motion(name, amplitude), folder / "motions" / f"{name}.npz")
    assert cli.main([*TUNE, "--data", str(folder / "motions"), "--out", str(folder / "tuned")]) == 0
    return folder


def content(folder):
    """Name and hash of every file under a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(capsys, argv, *words):
    """Run a command that must end in exit status 2 with one sentence that has these words, and nothing on stdout."""
    capsys.readouterr()
    assert cli.main([str(word) for word in argv]) == 2
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.startswith("armctl: ")]
    assert len(said) == 1, err
    assert err.splitlines()[-1] == said[0]
    assert "Traceback" not in err
    assert out == ""
    for word in words:
        assert str(word) in said[0]


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
        (["tune", "diff_ik", "--robot", "planar3", "--train.updates", "0"], ["updates is 0"]),
        (["tune", "diff_ik", "--robot", "planar3", "--references", "0"], ["references is 0"]),
        (["tune", "diff_ik", "--robot", "planar3", "--resume", "--overwrite"], ["--resume", "--overwrite"]),
        (["tune", "diff_ik", "--robot", "planar3", "--data", "nowhere"], ["nowhere"]),
        (["train", "generator", "--robot", "planar3", "--motions", "0"], ["motions is 0"]),
        (["train", "generator", "--robot", "planar3", "--sampler", "rk4"], ["rk4", "heun"]),
        ([*BENCH, "--controllers", "computed_torq"], ["computed_torq", "computed_torque"]),
        ([*BENCH, "--controllers", "diff_ik,diff_ik"], ["diff_ik,diff_ik"]),
        ([*BENCH, "--controllers", "diff_ik", "--suite", "shape"], ["shape", "iso9283"]),
        (["bench", "--robot", "planar3", "--scenarios", "storm"], ["storm", "payload"]),
        (["suite", "shape", "--robot", "planar3"], ["shape", "iso9283"]),
        (["suite", "generated", "--robot", "planar3"], ["generated", "armctl sample"]),
        (["sample", "--robot", "planar3", "--difficulty", "1.5"], ["1.5", "(0, 1]"]),
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


def test_a_corrupt_reference_file_is_named(capsys, made, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cut.npz").write_bytes((made / "motions" / "far.npz").read_bytes()[:200])
    refused(capsys, [*BENCH, "--controllers", "computed_torque", "--suite", "mine"], "cut.npz")


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


def test_an_action_that_is_not_finite_is_one_sentence(capsys):
    env = gym.make("armctl/Planar3Reach-v0")
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


def test_sampled_references_come_from_a_small_generator_that_is_announced(capsys, monkeypatch, tmp_path):
    from armctl.commands import references

    monkeypatch.setattr(references, "SMALL", SMALL)
    argv = ["sample", "--robot", "planar3", "--count", "2", "--difficulty", "0.5", "--out", "found"]
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
    argv = ["train", "generator", "--robot", "planar3", "--out", "flow", "--json"]
    argv += [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    assert cli.main(argv) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["steps"] == SMALL["steps"]
    files = content(tmp_path / "flow")
    assert {"config.json", "metrics.csv", "params.npz", "summary.json"} == set(files)
    assert store.read_config(tmp_path / "flow")["robot"] == "planar3"
    assert cli.main([*argv, "--resume"]) == 0
    assert files["params.npz"] == content(tmp_path / "flow")["params.npz"]
    capsys.readouterr()
    refused(capsys, [*argv, "--resume", "--seed", "1"], "seed=0, not 1")


def test_robots_and_doctor(capsys):
    assert cli.main(["robots", "--json"]) == 0
    arms = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"panda", "iiwa14", "ur5e", "xarm6", "gen3", "planar3"} <= set(arms)
    assert all(row["source"] and row["reach_m"] > 0 and row["payload_range_kg"] > 0 for row in arms.values())
    assert cli.main(["doctor", "--robot", "planar3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ok"]
    assert {"pybullet", "jax", "cache folder", "twin parity"} <= {row["check"] for row in result["checks"]}


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
