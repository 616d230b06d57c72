"""Logs on disk: what is written is read, and what cannot be a log of the arm is refused in one sentence."""

from dataclasses import replace

import numpy as np
import pytest

from armctl.errors import UsageError
from armctl.identify.log import check_log, load_log, save_log
from armctl.urdf import load_chain
from tests.identify.logs import CHAIN, twin_log


def test_a_log_is_read_as_it_was_written(tmp_path):
    log = twin_log()
    save_log(log, tmp_path / "log.npz")
    read = load_log(tmp_path / "log.npz", CHAIN)
    for name in ("q", "qd", "command"):
        np.testing.assert_array_equal(getattr(read, name), getattr(log, name))
    assert (read.config, read.joint_names, read.truth) == (log.config, log.joint_names, log.truth)


def test_a_users_own_file_needs_four_entries(tmp_path):
    log = twin_log()
    np.savez(tmp_path / "own.npz", q=log.q, qd=log.qd, command=log.command, control_dt=0.01)
    read = load_log(tmp_path / "own.npz", CHAIN)
    assert (read.control, read.physics_dt, read.truth, read.joint_names) == ("torque", 0.002, None, ())


def broken(key, sample, value):
    """The log with one entry replaced."""
    array = getattr(twin_log(), key).copy()
    array[sample] = value
    return {key: array}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (broken("q", 7, np.nan), "q is not finite at sample 7"),
        (broken("command", 3, np.inf), "command is not finite at sample 3"),
        (broken("q", 5, 9.0), "beyond its limit at sample 5"),
        ({"q": np.zeros((201, 4))}, r"q has shape \(201, 4\)"),
        ({"q": np.zeros(201)}, r"q has shape \(201,\)"),
        ({"command": np.zeros((201, 3))}, r"command has shape \(201, 3\)"),
        ({"q": np.zeros((4, 3)), "qd": np.zeros((4, 3)), "command": np.zeros((3, 3))}, "has 4 samples"),
        ({"control": "position"}, "'position'"),
        ({"control_dt": 0.0033}, "control_dt 0.0033"),
        ({"joint_names": ("a", "b", "c")}, "joints a, b, c"),
    ],
)
def test_what_cannot_be_a_log_of_the_arm_is_refused(change, words):
    with pytest.raises(UsageError, match=words):
        check_log(replace(twin_log(), **change), CHAIN)


def gen3_log(turns, steps=60):
    """Entries of a log of an arm whose first joint turns on through pi."""
    chain = load_chain("gen3")
    times = 0.01 * np.arange(steps)
    q = np.tile(chain.home, (steps, 1))
    q[:, 0] = 2.9 + 1.2 * times
    seen = np.mod(q + np.pi, 2 * np.pi) - np.pi if turns else q
    return chain, q, {"q": seen, "qd": 0 * q, "command": 0 * q[1:], "control_dt": 0.01, "t": times}


def test_joints_that_turn_without_end_are_unwrapped(tmp_path):
    chain, q, entries = gen3_log(turns=True)
    np.savez(tmp_path / "own.npz", **entries)
    found = load_log(tmp_path / "own.npz", chain).q
    np.testing.assert_allclose(np.diff(found, axis=0), np.diff(q, axis=0), atol=1e-9)


def test_joints_in_another_order_are_put_in_the_arms(tmp_path):
    log, order = twin_log(), [2, 0, 1]
    names = np.array([CHAIN.joint_names[i] for i in order])
    columns = {name: getattr(log, name)[:, order] for name in ("q", "qd", "command")}
    np.savez(tmp_path / "own.npz", **columns, control_dt=0.01, joint_names=names)
    read = load_log(tmp_path / "own.npz", CHAIN)
    for name in ("q", "qd", "command"):
        np.testing.assert_array_equal(getattr(read, name), getattr(log, name))
    assert read.joint_names == CHAIN.joint_names


@pytest.mark.parametrize("name", ["t", "time"])
def test_time_stamps_are_those_of_control_dt_or_refused(tmp_path, name):
    chain, _, entries = gen3_log(turns=False)
    times = entries.pop("t")
    for jitter, wrong in ((0.0004, False), (0.004, True)):
        stamps = times + jitter * np.where(np.arange(len(times)) == 7, 1, 0)
        np.savez(tmp_path / "own.npz", **entries, **{name: stamps})
        if not wrong:
            load_log(tmp_path / "own.npz", chain)
            continue
        with pytest.raises(UsageError, match=r"not 0\.01 s \(control_dt\) apart, but 0\.0\d* s after sample [67]"):
            load_log(tmp_path / "own.npz", chain)


DATES = np.datetime64("2024-05-01T10:00:00", "ns")
STAMPS = {
    "in ms": lambda t: 1e3 * t,
    "in ns since 1970": lambda t: (1_700_000_000_000_000_000 + np.round(1e9 * t)).astype(np.int64),
    "dates": lambda t: DATES + np.round(1e9 * t).astype("m8[ns]"),
    "spans in ms": lambda t: np.round(1e3 * t).astype("m8[ms]"),
    "numbers as text": lambda t: t.astype(str),
    "a column": lambda t: t[:, None],
    "a row": lambda t: t[None],
    "of the commands": lambda t: t[:-1],
    "float32": lambda t: t.astype(np.float32),
}
UNUSABLE = {
    "text": (lambda t: np.full(len(t), "2024-05-01 10:00"), r"times, 't', are not numbers; give them in seconds"),
    "a flag": (lambda t: np.array(True), r"times, 't', are not numbers"),
    "one number": (lambda t: t[-1], r"have shape \(\); give one for each of the 60 samples, or leave"),
    "too few": (lambda t: t[:50], r"have shape \(50,\); give one for each of the 60"),
    "a table": (lambda t: np.column_stack([t, t])[:30], r"have shape \(30, 2\); give one for each of the 60"),
    "a gap": (lambda t: np.where(t == t[5], np.nan, t), r"not finite at sample 5"),
    "no date": (lambda t: np.where(t == t[5], np.datetime64("NaT"), STAMPS["dates"](t)), r"not finite at sample 5"),
    "another step, in ms": (lambda t: 2e3 * t, r"not 0\.01 s \(control_dt\) apart, but 0\.02 s after sample"),
    "one time": (lambda t: 0 * t, r"not 0\.01 s \(control_dt\) apart, but 0 s after sample 0"),
    "a jump in ms": (lambda t: 1e3 * t + 50 * (t > 0.205), r"apart, but 0\.06 s after sample 20"),
}


@pytest.mark.parametrize("kind", STAMPS)
def test_time_stamps_of_every_kind_are_read(tmp_path, kind):
    chain, _, entries = gen3_log(turns=False)
    np.savez(tmp_path / "own.npz", **{**entries, "t": STAMPS[kind](entries["t"])})
    load_log(tmp_path / "own.npz", chain)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_time_stamps_that_tell_no_time_are_refused_for_what_they_are(tmp_path, kind):
    chain, _, entries = gen3_log(turns=False)
    stamps, words = UNUSABLE[kind]
    np.savez(tmp_path / "own.npz", **{**entries, "t": stamps(entries["t"])})
    with pytest.raises(UsageError, match=words):
        load_log(tmp_path / "own.npz", chain)


def test_another_arm_is_refused(tmp_path):
    save_log(twin_log(), tmp_path / "log.npz")
    with pytest.raises(UsageError, match="panda needs"):
        load_log(tmp_path / "log.npz", load_chain("panda"))


def test_unreadable_files_are_refused(tmp_path):
    path = tmp_path / "log.npz"
    with pytest.raises(UsageError, match="There is no log"):
        load_log(path, CHAIN)
    save_log(twin_log(), path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UsageError, match="not a readable"):
        load_log(path, CHAIN)
    np.savez(path, q=twin_log().q)
    with pytest.raises(UsageError, match="lacks qd, command, control_dt"):
        load_log(path, CHAIN)
    np.savez(path, q=twin_log().q, qd=twin_log().qd, command=twin_log().command, control_dt="soon")
    with pytest.raises(UsageError, match="wrong kind"):
        load_log(path, CHAIN)
    with pytest.raises(UsageError, match="saved as"):
        save_log(twin_log(), tmp_path / "log.csv")
