"""On a Ray cluster of two nodes, on loopback, jobs give what they give here; a lost worker or node costs its job."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'armctl[ray]'")

from armctl import cli
from armctl.bench import run
from armctl.controller_audit import audit_controller
from armctl.controllers import make
from armctl.errors import WorkerError
from armctl.jobs import Where, run_jobs
from armctl.motion.files import save_reference
from experiments import killed
from tests.bench.test_run import CONFIG, SCENARIOS, SUITES, comparable, controllers
from tests.cli.cases import TUNE, motion
from tests.controller_audit.loops import ARM
from tests.controller_audit.loops import CONFIG as AUDIT
from tests.jobs import work
from tests.jobs.test_jobs import NUMBERS, results


class Nodes:
    """The cluster of tests.jobs.nodes."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.jobs.nodes"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1]

    def add(self):
        """Another node; gives its process."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def cluster():
    nodes = Nodes()
    yield nodes
    nodes.process.communicate()


def test_both_nodes_work_and_give_what_this_process_gives(cluster, tmp_path):
    where = Where(ray=cluster.address)
    assert len({node for _, node in run_jobs(partial(work.meeting, tmp_path, 2), [0, 1], where)}) == 2
    found = list(run_jobs(partial(work.start, tmp_path), NUMBERS, where))
    assert results(found) == {number: number**2 for number in NUMBERS}
    assert os.getpid() not in {by for _, (_, by) in found}


def test_a_lost_actor_costs_its_job_alone(cluster, tmp_path):
    where = Where(ray=cluster.address)
    found = run_jobs(partial(work.fragile, tmp_path, 2), NUMBERS, where, again=lambda number: -number)
    assert results(found) == {number: number**2 for number in NUMBERS}
    assert work.done(tmp_path) == sorted({*NUMBERS, -3} - {3})
    with pytest.raises(WorkerError, match="The job '3' has lost its worker 3 times, the last one on Ray, where"):
        list(run_jobs(partial(work.fragile, tmp_path, 9), NUMBERS, where))


def test_a_lost_node_costs_its_jobs_alone(cluster, tmp_path):
    node = cluster.add()
    found = run_jobs(partial(work.start, tmp_path), list(range(40)), Where(3, cluster.address))
    done = dict([next(found) for _ in range(6)])
    os.kill(node, signal.SIGKILL)
    assert results({**done, **dict(found)}.items()) == {number: number**2 for number in range(40)}


def test_what_a_job_raises_is_raised(cluster):
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_jobs(work.inverse, [1, 0, 2], Where(ray=cluster.address)))
    assert "In a worker on" in caught.value.__notes__[0]


def test_a_bench_on_two_nodes_is_the_bench_of_one_process(cluster, tmp_path):
    for out, config in (("here", CONFIG), ("there", replace(CONFIG, ray=cluster.address))):
        run.run_bench(controllers(), SUITES, SCENARIOS, tmp_path / out, config=config, progress=False)
    assert comparable(tmp_path / "there") == comparable(tmp_path / "here")


def test_an_audit_on_two_nodes_is_the_audit_of_one_process(cluster, tmp_path):
    controller = make("diff_ik", ARM)
    here = audit_controller(controller, AUDIT, tmp_path / "here")
    there = audit_controller(controller, AUDIT, tmp_path / "there", where=Where(ray=cluster.address))
    for name in ("findings", "sentences"):
        assert json.dumps(here[name], default=float) == json.dumps(there[name], default=float)


def test_seeds_on_two_nodes_are_those_of_one_process(cluster, tmp_path, capsys):
    save_reference(motion("near", 0.1), tmp_path / "motions" / "near.npz")
    rows = []
    for out, where in (("here", []), ("there", ["--ray", cluster.address])):
        argv = [*TUNE, "--data", str(tmp_path / "motions"), "--seeds", "0", "1", "--out", str(tmp_path / out), "--json"]
        assert cli.main([*argv, *where]) == 0
        rows.append([{**row, "folder": Path(row["folder"]).name} for row in json.loads(capsys.readouterr().out)])
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2


def test_a_killed_driver_resumes_to_the_same_summary(cluster, tmp_path):
    options = [*killed.BENCH.replace("diff_ik,", "").split(), "--ray", cluster.address]
    began = time.perf_counter()
    killed.bench(options, tmp_path / "whole")
    moment = random.uniform(0.3, 0.9) * (time.perf_counter() - began)
    assert killed.killed(options, tmp_path / "whole", tmp_path / "killed", moment)["same"]
