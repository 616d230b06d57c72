"""Jobs give the same wherever they run; a lost worker costs its job alone, which another does."""

import os
import pickle
import socket
import sys
import threading
import time
from functools import partial
from multiprocessing import active_children

import pytest

from armctl import store
from armctl.bench import run
from armctl.bench.plan import BenchConfig
from armctl.errors import UsageError, WorkerError
from armctl.jobs import Where, run_jobs
from armctl.jobs.desk import Desk, pack, read
from tests.bench.arms import Follow, reach
from tests.jobs import work

TWO = Where(2)
NUMBERS = list(range(8))


def results(found):
    return {item: result[0] for item, result in found}


def test_processes_give_what_this_process_gives(tmp_path):
    here = list(run_jobs(partial(work.start, tmp_path), NUMBERS))
    there = list(run_jobs(partial(work.start, tmp_path), NUMBERS, TWO))
    assert results(here) == results(there) == {number: number**2 for number in NUMBERS}
    assert {by for _, (_, by) in here} == {os.getpid()}
    assert os.getpid() not in {by for _, (_, by) in there}
    assert work.done(tmp_path) == sorted(2 * NUMBERS)


def test_two_work_side_by_side(tmp_path):
    assert len({by for _, by in run_jobs(partial(work.meeting, tmp_path, 2), [0, 1], TWO)}) == 2


def test_a_lost_worker_costs_its_job_alone(tmp_path):
    found = run_jobs(partial(work.fragile, tmp_path, 2), NUMBERS, TWO, again=lambda number: -number)
    assert results(found) == {number: number**2 for number in NUMBERS}
    assert work.done(tmp_path) == sorted({*NUMBERS, -3} - {3})  # given again as asked for, the others once


def test_a_job_that_loses_every_worker_is_named(tmp_path):
    with pytest.raises(WorkerError, match=r"The job '3' has lost its worker 3 times, the last one by SIGKILL"):
        list(run_jobs(partial(work.fragile, tmp_path, 9), NUMBERS, TWO))
    assert not active_children()


def test_what_a_job_raises_is_raised_with_where_it_was():
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_jobs(work.inverse, [1, 0, 2], TWO))
    assert "In a worker on" in caught.value.__notes__[0]
    assert not active_children()


def test_jobs_that_are_left_end_their_workers(tmp_path):
    found = run_jobs(partial(work.start, tmp_path), NUMBERS, TWO)
    next(found)
    assert len(active_children()) == 2
    found.close()
    assert not active_children()


def test_nothing_to_do_starts_nothing():
    assert list(run_jobs(lambda: 1 / 0, [], TWO)) == []


def test_workers_share_the_cores():
    told = run_jobs(lambda: lambda _: os.environ["PJRT_NPROC"], [1, 2], TWO)
    assert {value for _, value in told} == {str(max(1, store.cores() // 2))}


def test_what_cannot_be_sent_is_refused():
    lock = threading.Lock()
    with pytest.raises(UsageError, match=r"cannot be sent to other processes .*run with jobs 1"):
        list(run_jobs(lambda: lambda item: lock, NUMBERS, TWO))
    with pytest.raises(RuntimeError, match="answer cannot be sent"):
        list(run_jobs(lambda: lambda item: threading.Lock(), NUMBERS, TWO))
    with pytest.raises(UsageError, match="jobs is 0; give at least 1"):
        list(run_jobs(work.inverse, NUMBERS, Where(0)))


def test_workers_of_other_versions_are_refused():
    path, folder, _, versions, sent = pickle.loads(pack(work.inverse))
    other = Desk(pickle.dumps((path, folder, {}, versions | {"jax": "0.1"}, sent)), 1)
    with pytest.raises(UsageError, match=r"has jax .*, the machine that sends jobs 0.1; .*install the same"):
        read(other.ready())


def test_ray_is_asked_for_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r'pip install "armctl\[ray\]"'):
        list(run_jobs(work.inverse, NUMBERS, Where(ray="auto")))


def test_a_cluster_that_is_not_there_is_one_sentence_at_once():
    pytest.importorskip("ray", reason="Ray is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(UsageError, match=f"No Ray cluster can be reached at '127.0.0.1:{port}' .*refused"):
        list(run_jobs(work.inverse, NUMBERS, Where(ray=f"127.0.0.1:{port}")))
    assert time.monotonic() - began < 15
    with pytest.raises(UsageError, match="--ray is 'node1'; give auto or HOST:PORT"):
        list(run_jobs(work.inverse, NUMBERS, Where(ray="node1")))


def test_a_bench_that_cannot_run_where_it_is_asked_to_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="--ray needs Ray"):
        run.run_bench(
            {"mine": Follow(5.0)}, {"s": [reach("near", 0.2)]}, ["nominal"], tmp_path / "run",
            config=BenchConfig("planar3", ray="auto"), progress=False,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
