"""Training over two processes is training over one; process 0 alone writes; who does not come is named."""

import os
import shutil
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from armctl import store
from armctl.errors import UsageError
from armctl.learn import hosts
from armctl.learn.rendezvous import meet
from tests.quick import XLA_FLAGS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pair(outs):
    """What each of two processes prints that go on with a run together."""
    coordinator = f"127.0.0.1:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.learn.runs", str(out), coordinator, "2", str(k)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XLA_FLAGS": XLA_FLAGS, "JAX_PLATFORMS": "cpu"},
        )
        for k, out in enumerate(outs)
    ]
    try:
        said = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, err) in zip(processes, said, strict=True):
        assert process.returncode == 0, err
    return [[line for line in out.splitlines() if "Gloo" not in line] for out, _ in said]


@pytest.fixture(scope="module")
def runs(tuned, tmp_path_factory):
    """A run by one process, and the same run gone on with by two after its first chunk, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("pair")
    for name in ("one", "first"):
        shutil.copytree(tuned[2] / name, folder / name)
    return folder, pair((folder / "first", folder / "second"))


@pytest.mark.slow
def test_two_processes_resume_a_run_and_end_as_one_does(runs):
    """To float32 rounding: the sums over episodes are taken in another order."""
    folder, said = runs
    rows = [store.read_rows(folder / name / "metrics.csv") for name in ("one", "first")]
    assert [row["update"] for row in rows[1]] == ["6", "12"]
    for name in ("loss", "position_rms_mm", "gradient_norm"):
        one, two = ([float(row[name]) for row in table] for table in rows)
        np.testing.assert_allclose(two, one, rtol=1e-4)
    whole = store.load_arrays(folder / "one" / "params.npz")
    for name, value in store.load_arrays(folder / "first" / "params.npz").items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-4, atol=1e-5)
    learners = [store.load_arrays(folder / name / "learner.npz") for name in ("one", "first")]
    for name, value in learners[0].items():
        np.testing.assert_allclose(learners[1][name], value, rtol=1e-3, atol=1e-3)
    assert len(said[0]) == len(whole)
    assert said[0] == said[1]


@pytest.mark.slow
def test_only_process_0_writes(runs):
    folder, _ = runs
    assert {"config.json", "learner.npz", "metrics.csv", "params.npz", "summary.json"} == {
        path.name for path in (folder / "first").iterdir()
    }
    assert not (folder / "second").exists()


def called(arguments, timeout=5.0):
    """What every process of a meeting is told: nothing where all is well."""
    said = {}

    def come(k, *words):
        try:
            meeting = meet(*words, timeout)
        except UsageError as error:
            said[k] = str(error)
        else:
            said[k] = ""
            meeting.close()

    threads = [threading.Thread(target=come, args=(k, *words)) for k, words in enumerate(arguments)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout + 15)
    return [said[k] for k in range(len(arguments))]


def test_all_who_come_are_let_in_whatever_their_order():
    at = f"localhost:{free_port()}"
    assert called([(at, 3, 2), (at, 3, 1), (at, 3, 0)]) == ["", "", ""]


def test_who_does_not_come_is_named_to_all():
    at = f"localhost:{free_port()}"
    said = called([(at, 4, 0), (at, 4, 2)], timeout=1.0)
    assert said[0] == said[1] == "Of 4 processes, 1, 3 did not come within 1 s; start all of them."


def test_processes_of_another_opinion_are_told():
    at = f"localhost:{free_port()}"
    said = called([(at, 2, 0), (at, 3, 1)])
    assert said[0] == said[1] == "Process 1 was started for 3 processes, process 0 for 2; give all the same number."
    at = f"localhost:{free_port()}"
    said = called([(at, 3, 0), (at, 3, 1), (at, 3, 1)], timeout=2.0)
    assert said[0] == "Of 3 processes, 2 did not come within 2 s; start all of them."
    assert sorted(said[1:]) == [said[0], "Two processes are number 1; give every process its own --process-id, 0 to 2."]
    at = f"localhost:{free_port()}"
    said = called([(at, 2, 0), (at, 3, 2)], timeout=2.0)
    assert said[1] == "Process 2 was started for 3 processes, process 0 for fewer; give all the same number."


def test_a_coordinator_that_cannot_be_reached_is_one_sentence():
    port = free_port()
    with pytest.raises(UsageError, match=f"127.0.0.1:{port} could not be reached within 0.3 s"):
        hosts.connect(f"127.0.0.1:{port}", 2, 1, timeout=0.3)
    with socket.create_server(("", 0)) as taken, pytest.raises(UsageError, match="cannot listen at port"):
        hosts.connect(f"localhost:{taken.getsockname()[1]}", 2, 0, timeout=0.3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, 2, None), "need --coordinator"),
        (("node1", 2, 0), "give HOST:PORT"),
        (("node1:99999", 2, 0), "give HOST:PORT"),
        (("node1:7654", 2, 2), "lies in 0 to 1"),
        (("node1:7654", 2, None), "SLURM_PROCID"),
    ],
)
def test_unusable_words_are_refused(given, said, monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(UsageError, match=said):
        hosts.connect(*given, timeout=0.1)


def test_slurm_says_who_is_who(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "1")
    met = []
    monkeypatch.setattr(hosts, "meet", lambda *words: met.append(words))
    monkeypatch.setattr(hosts, "join", lambda meeting, *words: met.append(words))
    hosts.connect("node1:7654", timeout=3.0)
    assert met == [("node1:7654", 2, 1, 3.0), ("node1:7654", 2, 1)]
