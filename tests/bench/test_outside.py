"""Controllers, suites and metrics from outside run in the same bench, and what is wrong with them is said by name."""

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import gymnasium as gym
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import armctl
from armctl import store
from armctl.arm import load_arm
from armctl.bench import run
from armctl.bench.identity import identity
from armctl.bench.own_controller import load_own
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table, read_tracks
from armctl.bench.sources import is_source, load_source
from armctl.bench.suite import load_suite
from armctl.commands.bench import find_controller, labelled
from armctl.commands.console import bench_table
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.report.page import write_report
from tests.bench.arms import CHAIN, Follow, reach

CONFIG = BenchConfig(robot="planar3", batch=2, hold=0.1)
SUITES = {"short": [reach("near", 0.2, 31), reach("far", 0.4, 41)]}
SCENARIOS = {"nominal": Scenario(), "late": Scenario(latency=1, velocity_noise=1e-3)}
FILE = """
import numpy as np

class Servo:
    control = "velocity"

    def __init__(self, gain=20.0):
        self.gain = gain

    def reset(self, info):
        self.chain = info["chain"]

    def act(self, observation):
        n = self.chain.n
        q, error = observation["observation"][:n], observation["observation"][2 * n + 9 : 2 * n + 15]
        from armctl import rigid
        J = rigid.jacobian(self.chain, q)
        return self.gain * np.linalg.lstsq(J, error, rcond=1e-2)[0]

def furthest(episode):
    return float(np.abs(episode.q).max())

def still(chain):
    import armctl
    return [armctl.Reference.from_joints(chain, 0.01, np.tile(chain.home, (20, 1)), name="still")]

def nothing(chain):
    return []

thing = 3
"""


class Constant:
    """The same command for ever."""

    def __init__(self, command, control="torque", environment=None):
        self.command, self.control, self.environment = command, control, environment

    def act(self, observation):
        return self.command


class Held(Constant):
    """Position control that goes on asking for where the arm starts."""

    def __init__(self):
        super().__init__(None, "position")

    def act(self, observation):
        if self.command is None:
            self.command = observation["observation"][:3]
        return self.command


class Raising(Constant):
    def act(self, observation):
        if observation["observation"][0] > 0.05:
            raise RuntimeError("lost\nmy way")
        return np.zeros(3)


class Slow(Constant):
    def act(self, observation):
        import time

        time.sleep(0.02)
        return np.zeros(3)


def bench(controllers, out, scenarios=SCENARIOS, config=CONFIG, suites=SUITES, **options):
    return armctl.run_bench(controllers, suites, scenarios, out, config=config, progress=False, **options)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_numpy_servo_of_a_file_is_benched_beside_a_flax_controller(file, tmp_path):
    name, servo = load_own(f"{file}:Servo", load_arm("planar3"), CONFIG)
    summary = bench(
        {name: servo, "flax": Follow(20.0)}, tmp_path / "run", metrics={"furthest": load_source(f"{file}:furthest")}
    )
    blocks = summary["controllers"]
    assert blocks["Servo"]["end_5mm_5deg"] == 1
    assert blocks["flax"]["position_rmse_mm"]["iqm"] < blocks["Servo"]["position_rmse_mm"]["iqm"]
    assert not blocks["Servo"]["failures"]
    assert summary["given"]["Servo"]["control"] == "velocity"
    for rows in read_table(tmp_path / "run").values():
        for row, track in zip(rows, read_tracks(tmp_path / "run", rows), strict=True):
            assert row["furthest"] == pytest.approx(np.abs(track.q).max(), abs=1e-6)
    assert blocks["Servo"]["furthest"]["iqm"] > 0


def test_it_meets_the_same_episode_as_a_flax_controller(tmp_path):
    """Velocity commands of nothing at all move the arm alike on both ways through the bench."""

    class Nothing(armctl.Controller):
        control = "velocity"

        def __call__(self, carry, m, w):
            return carry, 0.0 * m.q

    flax, config = Nothing(load_arm("planar3")), replace(CONFIG, settle=0.05)
    for settle in (config, CONFIG):
        out = tmp_path / str(settle.settle)
        bench({"flax": flax, "plain": Constant(np.zeros(3), "velocity")}, out, config=settle)
        table = read_table(out)
        for a, b in zip(*(read_tracks(out, table[name]) for name in ("flax", "plain")), strict=True):
            assert a.moving == b.moving
            for field in ("pose", "reference", "q"):
                np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


@pytest.mark.parametrize("control", ["torque", "velocity", "ee_twist", "action"])
def test_commands_are_in_the_units_of_their_mode(control, tmp_path):
    """The environment given the same thing as an action goes the same way."""
    mode = {"action": "torque"}.get(control, control)
    env = gym.make("armctl/Planar3Track-v1", control=mode, reference=SUITES["short"][0])
    env.reset(seed=0)
    command = 0.1 * env.unwrapped.action_scale
    moved = [env.step(command / env.unwrapped.action_scale)[0]["achieved_goal"] for _ in range(30)]
    given = 0.1 * np.ones(len(command)) if control == "action" else command
    options = {"control": "torque"} if control == "action" else {}
    suites = {"one": SUITES["short"][:1]}
    bench({"mine": Constant(given, control, options)}, tmp_path / "run", {"nominal": Scenario()}, suites=suites)
    track = read_tracks(tmp_path / "run", read_table(tmp_path / "run")["mine"])[0]
    np.testing.assert_allclose(track.pose[1:31, :3], np.array(moved)[:, :3], atol=1e-6)
    with np.load(next((tmp_path / "run" / "tracks").glob("*.npz"))) as arrays:
        np.testing.assert_allclose(arrays["command"][0, :30], np.tile(command, (30, 1)), rtol=1e-6)
        assert np.isfinite(arrays["torque"][0, :30]).all()


def test_position_commands_are_joint_positions(tmp_path):
    bench({"held": Held()}, tmp_path / "run", {"nominal": Scenario()}, suites={"still": [reach("still", 0.0, 31)]})
    track = read_tracks(tmp_path / "run", read_table(tmp_path / "run")["held"])[0]
    assert np.abs(track.q - track.q[0]).max() < 1e-6


def test_what_is_wrong_is_said_by_name_and_the_bench_goes_on(tmp_path):
    wrong = {
        "size": Constant(np.zeros(2)),
        "nan": Constant([0.0, np.nan, 0.0]),
        "words": Constant("left"),
        "raising": Raising(None),
        "slow": Slow(None),
        "fine": Constant(np.zeros(3)),
    }
    summary = bench(wrong, tmp_path / "run", {"nominal": Scenario()}, config=replace(CONFIG, patience=0.01))
    said = {name: {one["failure"] for one in block["failures"]} for name, block in summary["controllers"].items()}
    assert said.pop("fine") == set()
    assert said["size"] == {"ValueError: the command has shape (2,), and control 'torque' takes (3,) at 0.00 s"}
    assert said["nan"] == {"command is not finite at 0.00 s"}
    assert next(iter(said["words"])).startswith("ValueError: could not convert string to float")
    assert all(one.startswith("RuntimeError: lost at") for one in said["raising"])
    assert all("over the patience of 0.01 s" in one for one in said["slow"])
    text = (tmp_path / "run" / "tracebacks.txt").read_text()
    assert re.search(r"^raising in short, \w+, nominal, 0$", text, re.MULTILINE)
    assert 'raise RuntimeError("lost' in text


def test_a_flax_controller_that_raises_fails_alone(tmp_path):
    class Bad(armctl.Controller):
        def __call__(self, carry, m, w):
            return carry, m.q[..., :2]

    class Worse(armctl.Controller):
        def __call__(self, carry, m, w):
            raise RuntimeError("no")

    arm = load_arm("planar3")
    summary = bench({"bad": Bad(arm), "worse": Worse(arm), "fine": Follow(9.0)}, tmp_path / "run")
    failures = {name: block["failures"] for name, block in summary["controllers"].items()}
    assert "shape (2,), and control 'torque' takes (3,)" in failures["bad"][0]["failure"]
    assert failures["worse"][0]["failure"] == "RuntimeError: no at 0.00 s"
    assert not failures["fine"]


@pytest.mark.parametrize(
    ("controller", "said"),
    [
        (Constant, "'mine' is the class Constant; give an object of it"),
        (3, r"'mine' \(int\) has no method act"),
        (Constant(0, "force"), "control 'force'; set it to one of torque"),
        (Constant(0, "torque", {"wind": 1}), "environment 'wind'; it may set"),
        (Constant(0, "torque", {"control": "velocity"}), "for control 'action' alone"),
        (Constant(0, "torque", {"preview": -1}), "preview is -1"),
    ],
)
def test_what_is_no_controller_is_refused_before_work_starts(controller, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        bench({"mine": controller}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


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


class Model:
    """What stable-baselines3's models have: spaces and `predict`; it moves the first joint."""

    def __init__(self, preview=2, size=3, flat=False, env=None):
        env = env or gym.make("armctl/Planar3Track-v1", preview=preview)
        space = env.observation_space
        self.observation_space = gym.spaces.flatten_space(space) if flat else space
        self.action_space = gym.spaces.Box(-1, 1, (size,), np.float32)
        self.seen = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert self.observation_space.contains(observation)
        assert deterministic
        assert (state is None) == bool(episode_start.all())
        return 0.2 * np.eye(3)[0], "memory"


@pytest.mark.parametrize("flat", [False, True])
def test_models_of_stable_baselines_are_asked_as_they_were_trained(flat, tmp_path):
    summary = bench({"model": Model(flat=flat)}, tmp_path / "run", {"nominal": Scenario()})
    assert not summary["controllers"]["model"]["failures"]
    given = summary["given"]["model"]
    assert (given["control"], given["preview"], given["family"]) == ("velocity", 2, "learned")
    track = read_tracks(tmp_path / "run", read_table(tmp_path / "run")["model"])[0]
    moved = np.abs(track.q - track.q[0]).max(axis=0)
    assert moved[0] > 0.1 > 0.05 > moved[2]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("position_only", [False, True])
def test_models_that_were_trained_to_reach_are_known_by_what_they_observe(flat, position_only, tmp_path):
    model = Model(flat=flat, env=gym.make("armctl/Planar3Reach-v1", position_only=position_only))
    suites = {"goal": load_suite("goal", armctl.load_chain("planar3"), limit=1)}
    summary = bench({"model": model}, tmp_path / "run", {"nominal": Scenario()}, suites=suites)
    assert not summary["controllers"]["model"]["failures"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model(size=4), "The Model policy gives 4 numbers; control 'velocity' of an arm of 3 joints takes 3"),
        (type("Odd", (Model,), {})(preview=0), None),
    ],
)
def test_policies_of_other_arms_are_refused(model, said, tmp_path):
    if said is None:
        model.observation_space, said = gym.spaces.Box(-1, 1, (5,)), "The policy observes Box"
    with pytest.raises(UsageError, match=said):
        bench({"model": model}, tmp_path / "run")


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("", "not a policy that stable-baselines3 or sbx saved"),
        ("rllib.sac.policies", "holds a policy of 'rllib'"),
        ("sbx.nothing.policies", "needs sbx.NOTHING; install it with: pip install sbx-rl"),
    ],
)
def test_files_that_are_no_policies_are_refused(home, said, tmp_path):
    path = tmp_path / "policy.zip"
    if home:
        with ZipFile(path, "w") as archive:
            archive.writestr("data", json.dumps({"policy_class": {"__module__": home}}))
    else:
        path.write_text("no zip")
    with pytest.raises(UsageError, match=said):
        load_own(str(path), load_arm("planar3"), CONFIG)
    with pytest.raises(UsageError, match="names control 'force'"):
        load_own(f"{path}:force", load_arm("planar3"), CONFIG)


def test_a_policy_that_stable_baselines_saved_is_benched(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    env = gym.make("armctl/Planar3Track-v1", control="torque", preview=1, duration=0.2)
    sb3.PPO("MultiInputPolicy", env, n_steps=16, batch_size=16).learn(16).save(tmp_path / "ppo.zip")
    name, policy = load_own(f"{tmp_path / 'ppo.zip'}:torque", load_arm("planar3"), CONFIG)
    summary = bench({name: policy}, tmp_path / "run", {"nominal": Scenario()})
    assert summary["given"]["ppo"]["control"] == "torque"
    assert not summary["controllers"]["ppo"]["failures"]


def test_the_audit_says_that_it_cannot_differentiate(tmp_path):
    with pytest.raises(UsageError, match=r"Constant is no armctl\.Controller: bench it instead"):
        armctl.audit_controller(Constant(np.zeros(3)), None, tmp_path / "audit")


class Reacher(Constant):
    """Drives the tip straight to the goal that Reach shows."""

    task = "reach"

    def __init__(self, position_only=False):
        super().__init__(None, "ee_twist", {"position_only": position_only})

    def act(self, observation):
        away = observation["desired_goal"][:3] - observation["achieved_goal"][:3]
        return np.concatenate([5 * away, np.zeros(3)])


def test_goals_are_reached_by_a_plan_and_by_a_policy_of_reach(tmp_path):
    config, suites = BenchConfig(robot="planar3", batch=4), ["reach", "goal"]
    chain = armctl.load_chain("planar3")
    suites = {name: load_suite(name, chain, limit=3) for name in suites}
    both = {"follow": Follow(20.0), "reacher": Reacher(position_only=True)}
    summary = bench(both, tmp_path / "run", {"nominal": Scenario()}, config=config, suites=suites)
    cells = {(cell["suite"], cell["controller"]): cell for cell in summary["reaching"]}
    assert cells["reach", "follow"]["reached"] == cells["reach", "follow"]["reached_position"] == 1
    assert cells["goal", "reacher"]["reached_position"] == 1
    assert cells["reach", "follow"]["goal_error_mm"]["iqm"] < 2
    rows = read_table(tmp_path / "run")["follow"]
    tracks = read_tracks(tmp_path / "run", rows)
    for row, track in zip(rows, tracks, strict=True):
        assert row["path_length_m"] == pytest.approx(
            np.linalg.norm(np.diff(track.pose[:, :3], axis=0), axis=1).sum(), abs=1e-3
        )
    # both begin at home, wherever the reference is
    for name in both:
        for track in read_tracks(tmp_path / "run", read_table(tmp_path / "run")[name]):
            np.testing.assert_allclose(track.q[0], chain.home, atol=1e-6)
    assert "Reaching" in write_report(tmp_path / "run", animation=False).read_text()
    assert "position alone" in bench_table(summary)


def test_a_policy_of_reach_needs_goals(tmp_path):
    with pytest.raises(UsageError, match="'mine' reaches for goals, and 'near' of suite 'short' has none"):
        bench({"mine": Reacher()}, tmp_path / "run")
    with pytest.raises(UsageError, match="start at once: give 0"):
        bench({"mine": Reacher()}, tmp_path / "run", config=replace(CONFIG, settle=0.5))
    wrong = Reacher()
    wrong.task = "dance"
    with pytest.raises(UsageError, match="task 'dance'; set it to 'track' or 'reach'"):
        bench({"mine": wrong}, tmp_path / "run")
    with pytest.raises(UsageError, match="tolerance and position_only are of the task 'reach'"):
        bench({"mine": Constant(0, "torque", {"position_only": True})}, tmp_path / "run")


class Told(Constant):
    """Remembers in `reset` what it was told, and never forgets."""

    def __init__(self, weights=None, names=()):
        super().__init__(np.zeros(3))
        self.weights, self.names, self.inner = weights, names, Constant(0.0)

    def reset(self, info):
        self.heard = [*getattr(self, "heard", []), info["seed"]]


def test_an_interrupted_bench_goes_on_with_a_controller_that_remembers(tmp_path, monkeypatch):
    told, record, calls = Told(), run._record, []

    def interrupt(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(arguments)
        record(*arguments)

    config = replace(CONFIG, batch=1)
    monkeypatch.setattr(run, "_record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench({"told": told}, tmp_path / "run", config=config)
    monkeypatch.setattr(run, "_record", record)
    bench({"told": told}, tmp_path / "run", config=config, resume=True)
    assert not hasattr(told, "heard")  # what one gives is left as it was


def test_identity_is_by_value_and_the_same_in_every_process():
    weights = np.zeros((60, 60))
    other = weights.copy()
    other[30, 30] = 1e-9
    assert identity(Told(weights)) == identity(Told(weights.copy())) != identity(Told(other))
    changed = Told(weights)
    changed.inner.command = 1.0
    assert identity(changed) != identity(Told(weights))
    assert identity(lambda x: x + 1) != identity(lambda x: x + 2)
    loop = Told()
    loop.inner = loop
    identity(loop)
    code = "from armctl.bench.identity import identity; print(identity({'a': {'x', 'y', 'z'}, 'b': (1.0, None)}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
        ).stdout
        for seed in range(3)
    }
    assert len(found) == 1
    assert found != {""}


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


class Looking(Constant):
    """Notes the true and the measured tip that it is shown."""

    def act(self, observation):
        n = 3
        LOOKED.append((observation["achieved_goal"][:3], observation["observation"][2 * n : 2 * n + 3]))
        return np.zeros(3)


LOOKED: list = []


def test_nobody_is_shown_the_true_tip_where_sensors_err(tmp_path):
    LOOKED.clear()
    sensors = {"off": Scenario(encoder_offset=(0.03, -0.03, 0.03))}
    bench({"looking": Looking(None)}, tmp_path / "run", sensors)
    shown, measured = (np.array(x) for x in zip(*LOOKED, strict=True))
    np.testing.assert_allclose(shown, measured, atol=1e-9)
    tracks = read_tracks(tmp_path / "run", read_table(tmp_path / "run")["looking"])
    assert min(np.linalg.norm(track.pose[0, :3] - shown[0]) for track in tracks) > 1e-3


class Leaving(Constant):
    def act(self, observation):
        sys.exit(3)


class Scaling(Constant):
    """Changes what it is given."""

    def reset(self, info):
        info["action_scale"] *= 0.0


def test_a_controller_can_neither_end_the_bench_nor_change_it(tmp_path):
    both = {"leaving": Leaving(None), "scaling": Scaling(0.2 * CHAIN.velocity, "velocity")}
    summary = bench(both, tmp_path / "run", {"nominal": Scenario()})
    assert summary["controllers"]["leaving"]["failures"][0]["failure"] == "SystemExit: 3 at 0.00 s"
    assert "leaving: 2 of 2 episodes failed, SystemExit: 3" in bench_table(summary)
    page = write_report(tmp_path / "run", animation=False).read_text()
    assert re.search("<td>Leaving</td>|Leaving.*<td[^>]*>SystemExit: 3 at 0.00 s", page, re.DOTALL)
    assert "tracebacks.txt" in page
    tracks = read_tracks(tmp_path / "run", read_table(tmp_path / "run")["scaling"])
    assert all(np.abs(track.q[-1] - track.q[0]).max() > 0.01 for track in tracks)


def test_what_a_controller_needs_is_checked(tmp_path):
    odd = Constant(np.zeros(3))
    odd.family = "mine"
    with pytest.raises(UsageError, match="family 'mine'; choose one of classical"):
        bench({"odd": odd}, tmp_path / "run")
    with pytest.raises(UsageError, match="environment 'both'; give a dictionary"):
        bench({"odd": Constant(0, "torque", "both")}, tmp_path / "run")
    with pytest.raises(UsageError, match="environment 'motor'; it may set"):
        bench({"odd": Constant(0, "torque", {"motor": "bullet"})}, tmp_path / "run")
    locked = Constant(np.zeros(3))
    locked.lock = threading.Lock()
    with pytest.raises(UsageError, match="cannot be sent to other processes"):
        bench({"locked": locked}, tmp_path / "run", config=replace(CONFIG, jobs=2))
    plain = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    with pytest.raises(UsageError, match=r"'plain' \(Linear\) has no control; make it a subclass"):
        bench({"plain": plain}, tmp_path / "other")


def test_references_with_goals_or_starts_that_are_none_are_refused(tmp_path):
    still = SUITES["short"][0]
    for meta, said in (
        ({"goal": [0.1, 0.2, 0.3]}, "goal is"),
        ({"start": [0.0]}, r"has start \[0.0\]"),
        ({"goal": [9.0, 0, 0, 0, 0, 0, 1]}, "it reaches"),
    ):
        bad = replace(still, meta=meta)
        with pytest.raises(UsageError, match=said):
            bench({"mine": Constant(np.zeros(3))}, tmp_path / "run", suites={"bad": [bad]})
    other = armctl.Reference.from_joints(armctl.load_chain("panda"), 0.01, np.zeros((9, 7)))
    with pytest.raises(UsageError, match="has 7 joints, planar3 has 3"):
        bench({"mine": Constant(np.zeros(3))}, tmp_path / "run", suites={"bad": [other]})
    away = replace(still, meta={"start": CHAIN.home.tolist()})
    with pytest.raises(UsageError, match=r"no first pose to hold for settle=0\.1 s"):
        bench({"mine": Follow(2.0)}, tmp_path / "run", config=replace(CONFIG, settle=0.1), suites={"bad": [away]})
    with pytest.raises(UsageError, match="which the twin does not know"):
        armctl.make_vec("armctl/Planar3Track-v1", 2, backend="twin", reference=away)
    env = gym.make("armctl/Planar3Track-v1", reference=away, settle=0.1)
    with pytest.raises(UsageError, match="no first pose to hold"):
        env.reset(seed=0)
    goal = replace(still, meta={"goal": still.pose[-1].tolist()})
    with pytest.raises(UsageError, match="starts elsewhere; bench it on the suites"):
        bench({"mine": Reacher()}, tmp_path / "run", suites={"bad": [goal]})


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


def test_models_with_other_spaces_are_refused(tmp_path):
    model = Model()
    model.action_space = gym.spaces.Discrete(3)
    with pytest.raises(UsageError, match="gives Discrete"):
        bench({"model": model}, tmp_path / "run")
    seeing = Model(env=gym.make("armctl/Planar3Track-v1", observe="both"))
    with pytest.raises(UsageError, match="put one that sees pictures into a class of your own"):
        bench({"model": seeing}, tmp_path / "run")


def test_tracking_and_reaching_in_one_table(tmp_path):
    suites = {**SUITES, "goal": load_suite("goal", armctl.load_chain("planar3"), limit=1)}
    summary = bench({"follow": Follow(20.0)}, tmp_path / "run", {"nominal": Scenario()}, suites=suites)
    text = bench_table(summary)
    assert "position RMSE mm" in text
    assert "position alone" in text


class Counting(Constant):
    """Says how many steps it has made."""

    def reset(self, info):
        self.count = 0

    def act(self, observation):
        self.count += 1
        return np.zeros(3)

    def estimates(self):
        return {"count": self.count, "row": np.full(2, float(self.count))}


def test_what_is_estimated_is_kept_step_by_step(tmp_path):
    class Believing(armctl.Controller):
        class Belief(NamedTuple):
            mass: jnp.ndarray

        def init_carry(self, batch=()):
            return jnp.zeros(batch)

        def __call__(self, carry, m, w):
            return carry + 1, 0.0 * m.q

        def estimates(self, carry):
            return self.Belief(carry)

    out = tmp_path / "run"
    bench({"counting": Counting(None), "flax": Believing(load_arm("planar3"))}, out, {"nominal": Scenario()})
    for name, fields in (("counting", ("count", "row")), ("flax", ("mass",))):
        with np.load(next((out / "tracks").glob(f"{name}-*.npz"))) as arrays:
            for field in fields:
                values = arrays[f"estimate_{field}"]
                for slot, length in enumerate(arrays["length"]):
                    steps = np.arange(1, length)
                    wanted = np.stack([steps, steps], axis=1) if field == "row" else steps
                    np.testing.assert_array_equal(values[slot, : length - 1], wanted)
                    assert np.isnan(values[slot, length - 1 :]).all()
