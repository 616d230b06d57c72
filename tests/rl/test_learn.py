"""Policies of sbx: trained, stopped and gone on with, benched; where sbx is not installed, that is said."""

import pickle
from importlib.util import find_spec

import cloudpickle
import numpy as np
import pytest

from armctl import store
from armctl.bench.plan import BenchConfig
from armctl.commands.bench import load_controllers
from armctl.errors import NonFiniteError, UsageError
from armctl.rl.judge import Judgement
from armctl.rl.learn import train_policy
from armctl.rl.settings import RLConfig
from armctl.rl.transfer import judge_run

INSTALLED = find_spec("sbx") is not None
SMALL = """
[reach_position.environment]
max_episode_steps = 10
[reach_position.sac]
arms = 2
learning_starts = 24
gradient_steps = 1
batch_size = 8
policy_kwargs = { net_arch = [8] }
[reach_position.ppo]
arms = 4
n_steps = 8
batch_size = 16
n_epochs = 1
policy_kwargs = { net_arch = [8], activation_fn = "elu" }
"""
needs_sbx = pytest.mark.skipif(not INSTALLED, reason="sbx is not installed")
quiet = pytest.mark.filterwarnings("ignore")  # of what the libraries import


@pytest.fixture
def small(tmp_path):
    """Settings of a training of seconds."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)

    def config(algo="sac", **others):
        given = {"steps": 80, "judgements": 4, "episodes": 2, "hyperparameters": path} | others
        return RLConfig(robot="planar3", algo=algo, task="reach_position", **given)

    return config


@pytest.mark.skipif(INSTALLED, reason="sbx is installed")
def test_where_sbx_is_missing_that_is_said_before_anything_is_written(small, tmp_path):
    with pytest.raises(UsageError, match=r'sbx is not installed; get it with: pip install "armctl\[rl\]"'):
        train_policy(small(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@quiet
@needs_sbx
@pytest.mark.parametrize(("algo", "backend"), [("sac", "bullet"), ("ppo", "twin")])
def test_a_policy_is_trained_judged_and_benched(algo, backend, small, tmp_path):
    out, rows = tmp_path / "run", []
    summary = train_policy(small(algo, backend=backend), out, progress=rows.append)
    assert summary["status"] == "finished"
    assert len(rows) == len(store.read_rows(out / "metrics.csv")) == 4
    assert (out / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "vecnormalize.pkl").exists() == (algo == "ppo")
    assert judge_run(out, "bullet", 2)._asdict() == {key: summary["best"][key] for key in Judgement._fields}
    assert judge_run(out, "twin", 2).success in (0.0, 0.5, 1.0)
    bench = BenchConfig(robot="planar3")
    controllers, records = load_controllers([f"mine={out}"], bench)
    assert controllers["mine"].environment == {"control": "ee_twist", "position_only": True}
    assert controllers["mine"].control_dt == 0.04
    assert pickle.loads(cloudpickle.dumps(controllers["mine"])).control_dt == 0.04  # as for other processes
    assert "80 environment steps" in records["mine"]["tuning_budget"]


@quiet
@needs_sbx
def test_a_stopped_run_goes_on_from_its_last_judgement(small, tmp_path):
    out, rows = tmp_path / "run", []

    def stop(row):
        rows.append(row)
        if len(rows) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_policy(small(), out, progress=stop)
    assert store.read_json(out / "summary.json")["status"] == "interrupted"
    with pytest.raises(UsageError, match=r"started with seed=0, not 1"):
        train_policy(small(seed=1), out, resume=True)
    train_policy(small(), out, resume=True, progress=rows.append)
    assert [row["steps"] for row in rows] == [20, 40, 60, 80]
    assert np.all(np.diff([row["seconds"] for row in rows]) > 0)
    assert store.read_json(out / "summary.json")["status"] == "finished"


@quiet
@needs_sbx
def test_arguments_that_are_none_are_refused_by_name(small, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(f"{SMALL}\nwarmth = 3\n")
    with pytest.raises(UsageError, match=r"\[reach_position.ppo\] has 'warmth'; PPO takes batch_size"):
        train_policy(small("ppo"), tmp_path / "run")
    path.write_text("[reach_position.environment]\ncolour = 'red'\n")
    with pytest.raises(UsageError, match=r"has 'colour'; Reach takes"):
        train_policy(small(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@quiet
@needs_sbx
@pytest.mark.parametrize(("algo", "backend"), [("sac", "bullet"), ("ppo", "twin")])
def test_one_seed_makes_one_policy(algo, backend, small, tmp_path):
    first, second, other = (
        train_policy(small(algo, backend=backend, seed=seed), tmp_path / name)["last"]
        for name, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    assert first | {"seconds": 0} == second | {"seconds": 0}
    assert first["position_error_mm"] != other["position_error_mm"]


@quiet
@needs_sbx
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("policy_kwargs = { activation_fn = 'warm' }", "give a table, with an activation_fn of flax.linen"),
        ("policy_kwargs = 3", "policy_kwargs of .* is 3; give a table"),
        ("gamma = 'big'", "gamma of .* is 'big'; give a number, as 0.99"),
        ("n_steps = 0", "PPO cannot be made of .reach_position.ppo"),
    ],
)
def test_values_that_are_none_are_refused_before_anything_is_written(line, said, small, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(f"[reach_position.ppo]\narms = 4\nbatch_size = 16\n{line}\n")
    with pytest.raises(UsageError, match=said):
        train_policy(small("ppo"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@quiet
@needs_sbx
def test_a_policy_that_breaks_down_is_one_sentence_and_no_wrong_input(small, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(f"{SMALL}\nlearning_rate = 1e30\n")
    with pytest.raises(NonFiniteError, match=r"The policy broke down after .* lower its learning_rate"):
        train_policy(small("ppo", steps=400), tmp_path / "run")
    assert "broke down" in store.read_json(tmp_path / "run" / "summary.json")["status"]
