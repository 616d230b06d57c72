"""Scenarios from anywhere in their range, on every shipped arm: bounded, and the twin does what PyBullet does.

Every field is off or, as often, log-uniform over its whole range (armctl.audit.scenarios); 0.2 s each, half of them in
torque control, half in velocity control, under random commands.

python experiments/scenarios.py                  # 20,000 scenarios: prints a table, writes runs/scenarios/summary.json
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from armctl import store
from armctl.audit.scenarios import agreement, random_scenario
from armctl.commands.console import say, table
from armctl.plant.servo import TOP_SPEED, ServoConfig
from armctl.urdf import load_chain, robots

CONTROLS = ("torque", "velocity")
STEPS = 20


@dataclass
class Args:
    """How many, and where to write."""

    count: int = 20000
    """Scenarios in all."""
    seed: int = 0
    """Seed of scenarios, starts and commands."""
    jobs: int = 2
    """Worker processes."""
    out: Path = Path("runs/scenarios")
    """Folder of summary.json."""


def run(robot: str, control: str, count: int, seed: int) -> dict[str, Any]:
    """One arm in one control mode."""
    chain, rng, started = load_chain(robot), np.random.default_rng([seed, CONTROLS.index(control)]), time.perf_counter()
    scenarios = [random_scenario(chain, rng) for _ in range(count)]
    found = agreement(chain, ServoConfig(control=control), scenarios, STEPS, rng)
    near = found.error <= 1e-7
    return {
        "arm": robot,
        "control": control,
        "scenarios": count,
        "unbounded": int(np.sum(~found.bounded)),
        "at_the_cap": int(np.sum(found.speed >= TOP_SPEED)),
        "median_error_rad": float(np.median(found.error)),
        "within_1e-7_rad": int(near.sum()),
        "amplified_rounding": int(np.sum(found.agrees & ~near)),
        "disagree": int(np.sum(~found.agrees)),
        "seconds": time.perf_counter() - started,
    }


def main(args: Args) -> None:
    """Run all, print, save; the exit status is 1 where a scenario is unbounded or the twin disagrees."""
    cases = list(product(robots(), CONTROLS))
    count = -(-args.count // len(cases))
    with ProcessPoolExecutor(args.jobs, get_context("forkserver")) as pool:
        futures = [pool.submit(run, robot, control, count, args.seed) for robot, control in cases]
        rows = []
        for future in futures:
            rows.append(future.result())
            say(f"{rows[-1]['arm']}, {rows[-1]['control']}: {rows[-1]['disagree']} of {count} disagree")
    print(table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    store.write_json(
        args.out / "summary.json", {"rows": rows, "machine": store.machine(), "versions": store.versions()}
    )
    sys.exit(int(any(row["unbounded"] or row["disagree"] for row in rows)))


if __name__ == "__main__":
    main(tyro.cli(Args))
