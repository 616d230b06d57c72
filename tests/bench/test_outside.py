"""Controllers, suites and metrics from outside run in the same bench, and what is wrong with them is said by name."""

import re
import sys
import threading
from dataclasses import replace
from typing import NamedTuple

import gymnasium as gym
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import armctl
from armctl.arm import load_arm
from armctl.bench.own_controller import load_own
from armctl.bench.records import read_table, read_tracks
from armctl.bench.sources import load_source
from armctl.commands.console import bench_table
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.report.page import write_report
from tests.bench.arms import CHAIN, Follow, reach
from tests.bench.own import CONFIG, SUITES, Constant, bench


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


def test_the_audit_says_that_it_cannot_differentiate(tmp_path):
    with pytest.raises(UsageError, match=r"Constant is no armctl\.Controller: bench it instead"):
        armctl.audit_controller(Constant(np.zeros(3)), None, tmp_path / "audit")


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


class Signed(Constant):
    """Notes both quaternions that it is shown."""

    def act(self, observation):
        LOOKED.append((observation["achieved_goal"][3:], observation["desired_goal"][3:]))
        return np.zeros(3)


def test_the_tip_that_sensors_see_is_signed_like_the_target_too(tmp_path):
    LOOKED.clear()
    # the tip turns to where w changes its sign
    turned = np.array([0.0, 3.0, 2.0]) + np.linspace(0, 0.2, 31)[:, None]
    suites = {"turned": [armctl.Reference.from_joints(CHAIN, 0.01, turned, name="turned")]}
    bench({"signed": Signed(None)}, tmp_path / "run", {"noisy": Scenario(position_noise=1e-4)}, suites=suites)
    achieved, desired = (np.array(x) for x in zip(*LOOKED, strict=True))
    assert (np.sum(achieved * desired, axis=1) > 0).all()
    assert desired[:, 3].min() < 0 or achieved[:, 3].min() < 0


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
    assert re.search("Leaving</td><td>2</td><td>0</td><td[^>]*>SystemExit: 3<", page)
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


class Counting(Constant):
    """Says how many steps it has made."""

    def reset(self, info):
        self.count = 0

    def act(self, observation):
        self.count += 1
        return np.zeros(3)

    def estimates(self):
        return {"count": self.count, "row": np.full(2, float(self.count))}


def test_flax_controllers_may_command_twists_and_say_what_they_estimate_in_a_dictionary(tmp_path):
    class Twist(armctl.Controller):
        control = "ee_twist"

        def __call__(self, carry, m, w):
            return carry, jnp.broadcast_to(jnp.array([0.1, 0, 0, 0, 0, 0]), (*m.q.shape[:-1], 6))

        def estimates(self, carry):
            return {"nothing": jnp.zeros(CONFIG.batch)}

    class Babbling(Twist):
        def estimates(self, carry):
            raise RuntimeError("what?")

    arm, out = load_arm("planar3"), tmp_path / "run"
    both = {"twist": Twist(arm), "babbling": Babbling(arm), "plain": Constant([0.1, 0, 0, 0, 0, 0], "ee_twist")}
    summary = bench(both, out, {"nominal": Scenario()})
    assert summary["controllers"]["babbling"]["failures"][0]["failure"] == "RuntimeError: what? at 0.00 s"
    flax, plain = (read_tracks(out, read_table(out)[name]) for name in ("twist", "plain"))
    for a, b in zip(flax, plain, strict=True):
        np.testing.assert_allclose(a.q, b.q, atol=1e-6)
    with np.load(next((out / "tracks").glob("twist-*.npz"))) as arrays:
        assert arrays["command"].shape[-1] == 6
        assert arrays["estimate_nothing"].shape == arrays["command"].shape[:2]


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
