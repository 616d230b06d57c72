"""Episodes per second of a bench in the twin against PyBullet, and how near its errors are to PyBullet's.

Every controller runs the same episodes on both; the twin as many as a batch holds, PyBullet the first of them. Both
take turns; starting, compilation included, is timed apart.

    python experiments/twin_bench.py             # prints the table, writes runs/twin_bench/summary.json
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from grid import held_out

from armctl import store
from armctl.bench.batch import horizon, make_policy, run_batch
from armctl.bench.metrics import Episode, episode_metrics
from armctl.bench.plan import BenchConfig, Task, make_tasks
from armctl.bench.twin_batch import make_roll
from armctl.chain import Chain
from armctl.commands.bench import load_controllers
from armctl.errors import UsageError
from armctl.urdf import load_chain

ERROR = "position_rmse_mm"


@dataclass(frozen=True)
class Args:
    """What to measure, how often, and where to write."""

    robot: str = "panda"
    """Arm."""
    controllers: tuple[str, ...] = ("diff_ik", "computed_torque_integral", "tracker")
    """Controllers, with what is shipped for the arm."""
    scenario: str = "payload"
    """Preset of the plants."""
    batch: int = 1024
    """Episodes side by side in the twin."""
    episodes: int = 48
    """Episodes in PyBullet."""
    repeats: int = 3
    """Runs of each; the median counts."""
    out: Path = Path("runs/twin_bench")
    """Folder of summary.json."""


def timed(work: Callable[[], list[Episode]]) -> tuple[float, list[Episode]]:
    """Seconds that some work takes, and the episodes."""
    began = time.perf_counter()
    episodes = work()
    return time.perf_counter() - began, episodes


def measure(args: Args, chain: Chain, controller: Any, tasks: list[Task]) -> dict[str, float]:
    """Episodes a second on both, their ratio, and how far the errors of the same episodes are apart."""
    config = BenchConfig(args.robot, batch=16)
    samples, policy = horizon(config, tasks), make_policy(controller)
    roll = make_roll(replace(config, batch=args.batch), chain, controller, samples)
    groups = [tasks[k : k + config.batch] for k in range(0, args.episodes, config.batch)]

    def bullet() -> list[Episode]:
        return [one for group in groups for one in run_batch(config, chain, controller, policy, group, samples)]

    first = timed(lambda: roll(tasks))[0]
    run_batch(config, chain, controller, policy, groups[0][:1], samples)
    rounds = [(timed(lambda: roll(tasks)), timed(bullet)) for _ in range(args.repeats)]
    ratios = [(len(tasks) / twin[0]) / (args.episodes / plant[0]) for twin, plant in rounds]
    (_, in_twin), (_, in_bullet) = rounds[-1]
    errors = [[episode_metrics(one)[ERROR] for one in side[: args.episodes]] for side in (in_twin, in_bullet)]
    apart = np.abs(np.subtract(errors[0], errors[1])) / np.array(errors[1])
    return {
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "twin_per_second": len(tasks) / statistics.median(twin[0] for twin, _ in rounds),
        "bullet_per_second": args.episodes / statistics.median(plant[0] for _, plant in rounds),
        "first_seconds": first,
        "median_mm": float(np.median(errors[1])),
        "apart_median": float(np.median(apart)),
        "apart_most": float(apart.max()),
    }


def main(args: Args) -> None:
    """Measure, print and save."""
    chain = load_chain(args.robot)
    suites = held_out(chain, ("corpus",), references=16, longest=5.0, draws=2, seed=0)
    config = BenchConfig(args.robot, draws=-(-args.batch // 16))
    tasks = make_tasks(config, chain, suites, [args.scenario])
    tasks = [tasks[i] for i in np.random.default_rng(0).permutation(len(tasks))[: args.batch]]
    controllers, _ = load_controllers(list(args.controllers), config)
    rows = {}
    for name, controller in controllers.items():
        rows[name] = measure(args, chain, controller, tasks)
        print(name, *(f"{key} {value:.3g}" for key, value in rows[name].items()), sep="  ", flush=True)
    facts = {"settings": args, "machine": store.machine(), "versions": store.versions()}
    store.write_json(args.out / "summary.json", {"rows": rows, **facts})


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
