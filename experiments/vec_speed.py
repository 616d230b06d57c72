"""Control steps per second of vector environments against one environment, and of many twin arms.

All take turns block by block in one process, with the same arguments, so that load on the machine falls on all alike;
figures are medians over the blocks, and a ratio is the median of those of each round. On a machine whose cores are
busy, worker processes get a smaller share than there are of them: `cpu_us`, the processor time per arm and control step
of this process and its workers, says what they would do alone: with p idle cores p / cpu_us.

    python experiments/vec_speed.py            # prints the table, writes runs/vec_speed/summary.json
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

import armctl
from armctl import store

SINGLE = "one environment"


@dataclass
class Args:
    """What to measure, how long, and where to write."""

    id: str = "armctl/PandaReach-v1"
    """Environment."""
    control: str = "velocity"
    """Its control mode."""
    arms: int = 16
    """Arms in PyBullet."""
    processes: int = 2
    """Processes that share them out."""
    twins: int = 4096
    """Arms of the twin; 0 leaves it out."""
    repeats: int = 9
    """Blocks of each; the median counts."""
    seconds: float = 2.0
    """Length of a block."""
    out: Path = Path("runs/vec_speed")
    """Folder of summary.json."""


def processor_time() -> float:
    """Seconds of processor time that this process and its workers have used so far (of the workers: on Linux only)."""
    total = time.process_time()
    for worker in active_children():
        with suppress(OSError):
            used = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            total += sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
    return total


def single_stepper(args: Args) -> tuple[Callable[[int], None], int]:
    """A function that takes so many steps of one environment, and its number of arms."""
    env = gym.make(args.id, control=args.control)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(64)]

    def steps(count: int) -> None:
        for k in range(count):
            _, _, terminated, truncated, _ = env.step(actions[k % 64])
            if terminated or truncated:
                env.reset()

    return steps, 1


def vector_stepper(args: Args, n: int, **options: Any) -> tuple[Callable[[int], None], int]:
    """The same of n arms at once."""
    env = armctl.make_vec(args.id, n, control=args.control, **options)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(64)]

    def steps(count: int) -> None:
        for k in range(count):
            env.step(actions[k % 64])

    return steps, n


def measure(steps: Callable[[int], None], arms: int, count: int) -> tuple[float, float]:
    """Control steps per second and processor time (s) per control step, of one block of `count` calls."""
    began, used = time.perf_counter(), processor_time()
    steps(count)
    wall, cpu = time.perf_counter() - began, processor_time() - used
    return arms * count / wall, cpu / (arms * count)


def main(args: Args) -> None:
    """Measure, print and save."""
    todo = {
        SINGLE: single_stepper(args),
        f"{args.arms} arms, {args.processes} processes": vector_stepper(args, args.arms, processes=args.processes),
    }
    if args.twins:
        todo[f"{args.twins} twin arms"] = vector_stepper(args, args.twins, backend="twin")
    counts = {}
    for name, (steps, arms) in todo.items():
        steps(3)
        counts[name] = max(1, round(args.seconds * measure(steps, arms, 20)[0] / arms))
    blocks: dict[str, list[tuple[float, float]]] = {name: [] for name in todo}
    for _ in range(args.repeats):
        for name, (steps, arms) in todo.items():
            blocks[name].append(measure(steps, arms, counts[name]))
    rows = {}
    for name, found in blocks.items():
        ratios = [rate / one for (rate, _), (one, _) in zip(found, blocks[SINGLE], strict=True)]
        rate, cpu = (statistics.median(x[k] for x in found) for k in (0, 1))
        low, high = np.quantile(ratios, [0.25, 0.75])
        rows[name] = {"steps_per_second": rate, "cpu_us": 1e6 * cpu}
        rows[name] |= {"ratio": statistics.median(ratios), "ratio_low": low, "ratio_high": high}
        print(f"{name:28s} {rate:9.0f} control steps/s  {1e6 * cpu:6.1f} us of processor time", end="")
        print("" if name == SINGLE else f"  {rows[name]['ratio']:5.2f} x one ({low:.2f} to {high:.2f})")
    with gym.make(args.id, control=args.control) as env:
        config = env.unwrapped.config  # type: ignore[attr-defined]
    settings = {"repeats": args.repeats, "control_dt_s": config.control_dt, "substeps": config.substeps}
    facts = settings | {"machine": store.machine(), "versions": store.versions()}
    store.write_json(args.out / "summary.json", {"rows": rows} | facts)


if __name__ == "__main__":  # the processes of PyBullet import this file
    main(tyro.cli(Args))
