"""The demo goes on where it was interrupted, with what is whole, and ends as if nothing had been; it stops at once."""

import os
import re
import signal
import threading
import time
from concurrent.futures import CancelledError, Future

import pytest

from armctl import cli, demo, store
from armctl.errors import UsageError
from armctl.generator import FlowConfig, ProposalStats
from armctl.learn.learner import TrainConfig
from armctl.motion.corpus import build_corpus, references
from tests.cli.cases import content

SMALL = demo.DemoConfig(
    robot="planar3", scenario="nominal", corpus=60, episodes=1, rounds=1,
    tuning=TrainConfig(updates=1, batch=4, horizon=4, chunk=1, validation=0),
    flow=FlowConfig(steps=20, width=16, blocks=1, batch=16, chunk=20),
)  # fmt: skip


def proposals(model, chain, count, **options):
    """Motions of a corpus in place of proposals."""
    found = references(build_corpus(chain, 20, seed=1), chain, "train", limit=count)
    return found, ProposalStats(count, count, 1.0, 1.0, 1.0, {}, 0.0)


CHEAP = {
    "CONTROLLERS": ("computed_torque",),
    "_workers": lambda: 1,
    "torque_parity": lambda chain: {"max_joint_error_rad": 0.0},
    "propose": proposals,
    "write_report": lambda folder: store.write_text(folder / "report.html", "") or folder / "report.html",
}
"""In place of what is tested elsewhere and takes long."""


def never(*args, **kwargs):
    raise AssertionError("This was done before the interruption.")


def test_an_interrupted_demo_goes_on_with_what_is_whole(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    for name, stand_in in CHEAP.items():
        monkeypatch.setattr(demo, name, stand_in)
    with monkeypatch.context() as patch:
        patch.setattr(demo, "run_bench", interrupted)
        with pytest.raises(KeyboardInterrupt):
            demo.run_demo(SMALL, tmp_path / "demo")
    made = content(tmp_path / "demo")
    with pytest.raises(UsageError, match=r"already exists; continue it with --resume"):
        demo.run_demo(SMALL, tmp_path / "demo")
    monkeypatch.setattr(demo, "train_flow", never)
    monkeypatch.setattr(demo, "propose", never)
    summary = demo.run_demo(SMALL, tmp_path / "demo", resume=True)
    assert summary["controllers"]["computed_torque"]["episodes"] == 2
    assert "about 15 s" in capsys.readouterr().err
    kept = content(tmp_path / "demo")
    whole = [name for name in made if name.endswith(".npz")]
    assert "computed_torque/learner.npz" in whole
    assert [name for name in whole if kept[name] != made[name]] == []


def test_the_tracker_of_the_loop_has_the_updates_of_the_others_and_their_generator(tmp_path, monkeypatch):
    given, made = [], Future()
    made.set_result(None)
    monkeypatch.setattr(demo, "load_model", lambda folder: folder)
    monkeypatch.setattr(demo, "cotrain", lambda *args, **options: given.append((args, options)) or "controller")
    config = demo.DemoConfig(robot="planar3", rounds=4)
    assert demo._close_loop(made, config, "corpus", tmp_path, demo.Clock()) == "controller"
    [((loop, folder), options)] = given
    assert folder == tmp_path / "tracker"
    assert (options["generator"], options["corpus"]) == (tmp_path / "generator", "corpus")
    assert loop.rounds * loop.train.updates == config.tuning.updates
    assert (loop.controller, loop.curriculum, loop.scenario) == ("tracker", "regret", config.scenario)


@pytest.mark.parametrize(("rounds", "each"), [(3, "66.6667"), (5, "40"), (400, "0.5")])
def test_rounds_that_updates_do_not_fill_are_refused_before_work_starts(rounds, each):
    with pytest.raises(UsageError, match=rf"updates is 200, which gives each of {rounds} rounds {each}; choose"):
        demo.DemoConfig(rounds=rounds)


def test_parts_of_a_demo_say_how_long_they_will_take(monkeypatch, capsys):
    clock, now = demo.Clock(), [0.0]
    monkeypatch.setattr(demo.time, "perf_counter", lambda: now[0])
    for done in range(0, 101, 10):  # compilation is over when a part is first told of
        clock.left("updates", done, 100, ", 1 mm")
        now[0] += 2.0
    said = capsys.readouterr().err.splitlines()
    left = [int(re.search(r"updates: (\d+)/100, 1 mm, about (\d+) s left", line).group(2)) for line in said]
    assert left == [14, 8, 2]
    clock.stopped.set()
    with pytest.raises(CancelledError):
        clock.left("updates", 100, 100)


WORDS = ["demo", "--robot", "planar3", "--scenario", "nominal", "--motions", "60", "--episodes", "1"]
COMPILING = 2.0  # s that a thread of the demo cannot be told to stop


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_demo_that_is_stopped_ends_at_once_and_its_threads_soon(tmp_path, monkeypatch, capsys, number, status, word):
    begun, ended, stopped_at = [], threading.Event(), []

    def endless(settings, training, folder, *, progress, **options):
        begun.append(settings.controller)
        threading.Thread(target=stop).start()
        try:
            time.sleep(COMPILING)
            for update in range(1000):
                progress({"update": update, "position_rms_mm": 1.0})
                time.sleep(0.02)
        finally:
            ended.set()

    def stop():
        time.sleep(0.2)
        stopped_at.append(time.perf_counter())
        os.kill(os.getpid(), number)

    for name, stand_in in {**CHEAP, "tune": endless, "train_flow": never}.items():
        monkeypatch.setattr(demo, name, stand_in)
    assert cli.main([*WORDS, "--out", str(tmp_path / "demo")]) == status
    assert time.perf_counter() - stopped_at[0] < COMPILING / 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"armctl: {word}; the same command with --resume continues the run."
    assert ended.wait(COMPILING + 5)
    time.sleep(0.5)
    assert begun == ["computed_torque"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]
    assert capsys.readouterr().err == ""


def test_a_part_of_the_demo_that_fails_stops_the_others(tmp_path, monkeypatch):
    ended = threading.Event()

    def tune(settings, training, folder, *, progress, **options):
        if settings.controller == "computed_torque":
            assert running.wait(10)
            raise UsageError("No.")
        try:
            for update in range(1000):
                running.set()
                progress({"update": update, "position_rms_mm": 1.0})
                time.sleep(0.02)
        finally:
            ended.set()

    running = threading.Event()
    cheap = {**CHEAP, "CONTROLLERS": ("computed_torque", "diff_ik"), "_workers": lambda: 2, "tune": tune}
    for name, stand_in in {**cheap, "_generate": lambda *args: None}.items():
        monkeypatch.setattr(demo, name, stand_in)
    began = time.perf_counter()
    with pytest.raises(UsageError, match="No"):
        demo.run_demo(SMALL, tmp_path / "demo")
    assert ended.is_set()
    assert time.perf_counter() - began < 15
