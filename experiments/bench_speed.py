"""Episodes per second of a bench in one process and in several.

Both take turns, so that load on the machine falls on both alike; the ratio is the median of those of each round.
Starting, compilation included, is timed apart. On a machine whose cores are busy processes get a smaller share than
there are of them; `cpu_s`, the processor time of workers and recording per episode, says what they would do alone: with
p idle cores p / cpu_s episodes a second.

    python experiments/bench_speed.py            # prints the table, writes runs/bench_speed/summary.json
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from armctl import store
from armctl.arm import load_arm
from armctl.bench import run
from armctl.bench.metrics import Episode
from armctl.bench.participants import described
from armctl.bench.plan import BenchConfig, Task, batches, make_tasks
from armctl.bench.suite import load_suite
from armctl.chain import Chain
from armctl.controllers import make
from armctl.jobs import Where, run_jobs
from armctl.urdf import load_chain


@dataclass
class Args:
    """What to measure, how often, and where to write."""

    robot: str = "panda"
    """Arm."""
    controller: str = "operational_space"
    """Controller by name, with the gains of its class."""
    scenario: str = "payload"
    """Preset of the plants."""
    episodes: int = 200
    """Episodes of the suite shapes."""
    processes: int = 2
    """Processes that are compared with one."""
    repeats: int = 5
    """Benches of each; the median counts."""
    out: Path = Path("runs/bench_speed")
    """Folder of summary.json."""


class Spent(NamedTuple):
    """When a worker had a batch, s of the machine's clock, and the processor time it took, s."""

    began: float
    ended: float
    cpu: float


def start(config: BenchConfig, chain: Chain, controllers: dict[str, Any], tasks: list[Task]) -> Callable[[Any], Any]:
    """What a worker of the bench does, compiled, with what it takes."""
    work = run._runner(config, chain, controllers, tasks)
    work(run.Unit("it", 0))

    def timed(unit: run.Unit) -> tuple[list[Episode], Spent]:
        began, cpu = time.time(), time.process_time()
        episodes = work(unit)
        return episodes, Spent(began, time.time(), time.process_time() - cpu)

    return timed


def measure(config: BenchConfig, chain: Chain, controllers: dict[str, Any], tasks: list[Task]) -> dict[str, float]:
    """One bench, recorded as `run_bench` does it."""
    groups, given = batches(tasks, config.batch), described(controllers["it"], {})
    units = [run.Unit("it", index) for index in reversed(range(len(groups)))]
    began, spent, recording = time.time(), [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        jobs = run_jobs(partial(start, config, chain, controllers, tasks), units, Where(config.jobs))
        for unit, (episodes, one) in jobs:
            spent.append(one)
            cpu = time.process_time()
            run._record(Path(folder), config, unit, groups[unit.batch], episodes, given, {})
            recording += time.process_time() - cpu
    first = min(one.began for one in spent)
    return {
        "episodes_per_second": len(tasks) / (time.time() - first),
        "cpu_s": (recording + sum(one.cpu for one in spent)) / len(tasks),
        "recording_cpu_s": recording / len(tasks),
        "start_seconds": first - began,
    }


def main(args: Args) -> None:
    """Measure, print and save."""
    chain = load_chain(args.robot)
    suites = {"shapes": load_suite("shapes", chain)}
    config = BenchConfig(robot=args.robot, draws=-(-args.episodes // len(suites["shapes"])))
    tasks = make_tasks(config, chain, suites, [args.scenario])[: args.episodes]
    controllers = {"it": make(args.controller, load_arm(args.robot), config.control_dt)}
    counts = (1, args.processes)
    found: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    for _ in range(args.repeats):
        for count in counts:
            found[count].append(measure(BenchConfig(robot=args.robot, jobs=count), chain, controllers, tasks))
    rows = {
        f"{count} processes": {name: statistics.median(one[name] for one in found[count]) for name in found[count][0]}
        for count in counts
    }
    rates = [[one["episodes_per_second"] for one in found[count]] for count in counts]
    ratios = [several / one for one, several in zip(*rates, strict=True)]
    for name, row in rows.items():
        print(name, *(f"{key} {value:.3g}" for key, value in row.items()), sep="  ")
    print(f"{args.processes} against 1: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    facts = {"episodes": len(tasks), "machine": store.machine(), "versions": store.versions()}
    store.write_json(args.out / "summary.json", {"rows": rows, "ratios": ratios, **facts})


if __name__ == "__main__":  # the processes of the bench import this file
    main(tyro.cli(Args))
