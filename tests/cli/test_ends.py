"""How commands end before their time: nobody reads on, Ctrl-C, SIGTERM, kill -9; and how one goes on after it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from armctl import cli, store
from armctl.commands import training
from armctl.commands.parsing import check_out
from armctl.errors import UsageError
from tests.cli.cases import BENCH, TUNE, content, refused

PROGRAM = [sys.executable, "-m", "armctl"]
TALKATIVE = (["robots"], ["robots", "--json"], ["--help"], ["bench", "--help"], ["doctor", "--scenarios"])


@pytest.mark.parametrize("words", TALKATIVE, ids=" ".join)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_ends_a_command_without_a_word(words, stream):
    reader, writer = os.pipe()
    os.close(reader)
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    done = subprocess.run([*PROGRAM, *words], **kept, text=True, timeout=100)
    os.close(writer)
    if stream == "stdout":
        assert (done.returncode, done.stderr) == (cli.UNREAD, "")
    else:
        assert done.returncode == 0


def test_a_broken_pipe_within_is_an_error_as_before():
    def broken():
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        cli.guarded(broken)


def stop_after_one_chunk(monkeypatch, how):
    monkeypatch.setattr(training, "advance", lambda progress, row: how())


def test_sigterm_leaves_a_run_that_resumes_and_says_so(capsys, made, tmp_path, monkeypatch):
    argv = [*TUNE, "--data", str(made / "motions"), "--out", "run"]
    stop_after_one_chunk(monkeypatch, lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.1)))
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(argv) == cli.TERMINATED == 143
    assert signal.getsignal(signal.SIGTERM) is before
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "armctl: terminated; the same command with --resume continues the run."
    assert store.read_json(tmp_path / "run" / "summary.json")["status"] == "interrupted"
    assert (tmp_path / "run" / "params.npz").is_file()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    refused(capsys, argv, "already exists, an unfinished run; continue it with --resume")
    assert cli.main([*argv, "--resume"]) == 0
    assert store.read_json(tmp_path / "run" / "summary.json")["status"] == "finished"


def test_after_a_kill_the_message_tells_how_to_go_on(capsys, made, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "metrics.csv", "learner.npz"):  # all that stands before a run ends
        (run / name).write_bytes((made / "tuned" / name).read_bytes())
    argv = [*TUNE, "--data", made / "motions", "--out", run]
    refused(capsys, argv, "already exists, an unfinished run; continue it with --resume")
    refused(capsys, [*BENCH, "--controllers", run, "--suite", made / "motions"], "run' was killed", "--resume")
    assert cli.main([*map(str, argv), "--resume"]) == 0
    with pytest.raises(UsageError, match=r"already exists; continue it"):
        check_out(run, overwrite=False, resume=False)


def test_commands_run_in_other_threads_too():
    status = []
    thread = threading.Thread(target=lambda: status.append(cli.main(["robots"])))
    thread.start()
    thread.join()
    assert status == [0]


@pytest.mark.slow
def test_updates_are_raised_on_resume_and_not_lowered(capsys, made, tmp_path):
    shutil.copytree(made / "tuned", "run")
    argv = [*map(str, TUNE), "--data", str(made / "motions"), "--out", "run", "--json", "--resume"]
    assert cli.main([*argv, "--updates", "4"]) == 0
    out, err = capsys.readouterr()
    assert "compiling, about 15 s the first time" in err
    assert json.loads(out)["updates"] == 4
    assert [row["update"] for row in store.read_rows(tmp_path / "run" / "metrics.csv")] == ["1", "2", "3", "4"]
    assert store.read_config(tmp_path / "run")["train"]["updates"] == 4
    before = content(tmp_path)
    refused(capsys, [*argv, "--updates", "3"], "trained for 4 updates already", "not lowered to 3")
    other = [*argv, "--updates", "8", "--seed", "4", "--batch", "8"]
    refused(capsys, other, "was started with seed=0, not 4, train.batch=4, not 8")
    assert content(tmp_path) == before


def test_a_resumed_bench_of_something_else_names_what(capsys, made):
    argv = [*map(str, BENCH), "--suite", str(made / "motions"), "--out", "bench", "--controllers"]
    assert cli.main([*argv, "computed_torque"]) == 0
    again = [*argv, "computed_torque", "--resume"]
    assert cli.main(again) == 0
    refused(capsys, [*argv, "diff_ik", "--resume"], "with the controllers computed_torque, not diff_ik")
    tuned = f"computed_torque={made / 'tuned'}"
    refused(capsys, [*argv, tuned, "--resume"], "with other parameters or code of computed_torque")
    refused(capsys, [*again, "--scenarios", "payload"], "without episode motions, ", "payload, draw 0")
    refused(capsys, [*again, "--limit", "1"], "with episode motions, ", "not asked for now")


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_help_on_a_switch_is_not_that_of_its_contrary(capsys, name):
    assert cli.main([*name.split(), "--help"]) == 0
    options = [line.strip("│ ").split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert not [option for option in options if option.startswith("--") and "no-" in option and ", --" not in option]
