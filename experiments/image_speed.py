"""Pictures per second: steps of an environment that observes them, less what the same steps take without.

One process and random actions under velocity control; arms, cameras and sizes take turns block by block, and the median
of the blocks counts. A picture is rgb and depth, drawn on the CPU.

    python experiments/image_speed.py            # prints the table, writes runs/image_speed/summary.json
"""

import statistics
import sys
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tyro

from armctl import store
from armctl.envs.reach import ReachEnv

SIZES = ((64, 64), (480, 360))
CAMERAS = ("front", "wrist")


@dataclass
class Args:
    """What to measure and where to write."""

    robots: tuple[str, ...] = ("panda", "ur5e", "planar3")
    """Arms."""
    repeats: int = 5
    """Blocks of each; the median counts."""
    block: int = 20
    """Steps per block."""
    out: Path = Path("runs/image_speed")
    """Folder of summary.json."""


def seconds_per_step(env: ReachEnv, steps: int) -> float:
    """CPU seconds of one step, resets left out."""
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(steps)]
    start = time.process_time()
    for action in actions:
        env.step(action)
    return (time.process_time() - start) / steps


def measure(args: Args, robot: str) -> list[dict[str, float | str]]:
    """The rows of one arm."""
    plain = ReachEnv(robot)
    kinds = list(product(CAMERAS, SIZES))
    envs = {
        kind: ReachEnv(robot, observe="both", camera={"at": kind[0], "width": kind[1][0], "height": kind[1][1]})
        for kind in kinds
    }
    blocks: dict[tuple, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(args.repeats):
        for kind, env in envs.items():
            blocks[kind].append((seconds_per_step(env, args.block), seconds_per_step(plain, args.block)))
    rows: list[dict[str, float | str]] = []
    for (camera, (width, height)), times in blocks.items():
        step, bare = (statistics.median(column) for column in zip(*times, strict=True))
        size = f"{width}x{height}"
        rows.append({"robot": robot, "camera": camera, "size": size, "frames_per_second": 1 / (step - bare)})
        rows[-1] |= {"steps_per_second": 1 / step, "steps_per_second_without": 1 / bare}
    for env in (plain, *envs.values()):
        env.close()
    return rows


def main(args: Args) -> None:
    """Measure, print and save."""
    if min(args.repeats, args.block) < 1:
        sys.exit("--repeats and --block must be 1 or more.")
    rows = [row for robot in args.robots for row in measure(args, robot)]
    for row in rows:
        print(f"{row['robot']:8s} {row['camera']:6s} {row['size']:8s} {row['frames_per_second']:7.1f} frames/s", end="")
        print(f" {row['steps_per_second']:7.1f} steps/s, without {row['steps_per_second_without']:7.0f}")
    settings = {"repeats": args.repeats, "block": args.block, "machine": store.machine(), "versions": store.versions()}
    store.write_json(args.out / "summary.json", {"rows": rows} | settings)


if __name__ == "__main__":
    main(tyro.cli(Args))
