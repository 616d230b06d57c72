"""Environment steps per second in one process, paired with panda-gym's PandaReach.

All environments run 20 physics steps of 2 ms per control step under random actions, take turns block by block in one
process, and are reset when an episode of 50 steps ends, so that load on the machine falls on all alike. All are made by
gym.make and wear the same wrappers (checker, order, time limit). Ratios are medians over the blocks, of CPU time (which
other programs disturb least) and of wall time. Where a process happens to lie in memory shifts its ratios by some 2 %:
all is measured in several fresh processes, one after the other, and the median of them is given with its range. Besides
our lean Panda, PyBullet's own Panda URDF runs in our environment: the ratio of the two is the model's share of the
gain, the rest is the code's. Our goals are drawn 128 at a time, every 6400 steps, which takes some 2 % of the time
and which medians over blocks leave out.

    python experiments/env_speed.py            # prints the table, writes runs/env_speed/summary.json
"""

import json
import os
import platform
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium as gym
import tyro
from tqdm import tqdm

from armctl import store
from armctl.envs.bullet.client import quiet
from armctl.registration import register_all

SETTINGS: dict[str, dict[str, Any]] = {
    "position, bullet motors": {"control": "position", "motor": "bullet"},
    "velocity, torque servo": {"control": "velocity"},
    "torque": {"control": "torque"},
}
EPISODE = 50
PANDA_GYM, RATIO = "panda-gym PandaReach", "times_panda_gym"
SUFFIXES = ("_cpu", "")
"""Of the figures by CPU time and by wall time."""


@dataclass
class Args:
    """How long to measure and where to write."""

    processes: int = 5
    """Fresh processes, one after the other; the median counts."""
    repeats: int = 15
    """Blocks per environment and process; the median counts."""
    block: int = 200
    """Environment steps per block."""
    out: Path = Path("runs/env_speed")
    """Folder of summary.json."""
    panda_gym: bool = True
    """Measure panda-gym too (pip install panda-gym==3.0.7)."""


def panda_gym_env() -> gym.Env:
    """panda-gym's PandaReach-v3, or the end of the program with the way to get it."""
    try:
        with quiet():
            import panda_gym  # noqa: F401

            return gym.make("PandaReach-v3")
    except ImportError:
        sys.exit("panda-gym is missing: pip install panda-gym==3.0.7, or run with --no-panda-gym.")


def make_envs(args: Args) -> dict[str, gym.Env]:
    """Every environment of the table."""
    import pybullet_data

    register_all()
    theirs = f"{pybullet_data.getDataPath()}/franka_panda/panda.urdf"
    envs: dict[str, gym.Env] = {}
    if args.panda_gym:
        envs[PANDA_GYM] = panda_gym_env()
    for name, setting in SETTINGS.items():
        common: dict[str, Any] = {"control_dt": 0.04, "max_episode_steps": EPISODE, **setting}
        envs[f"armctl, lean Panda: {name}"] = gym.make("armctl/PandaReach-v1", **common)
        envs[f"armctl, pybullet_data's Panda: {name}"] = gym.make("armctl/PandaReach-v1", robot=theirs, **common)
    return envs


def measure_block(env: gym.Env, actions: list) -> tuple[float, float]:
    """CPU and wall seconds per step of one block, resets included."""
    env.reset()
    cpu, wall = time.process_time(), time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return (time.process_time() - cpu) / len(actions), (time.perf_counter() - wall) / len(actions)


def make_rows(seconds: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Figures of every environment from its blocks, and its ratios to the block of panda-gym of the same round."""
    base = seconds.get(PANDA_GYM)
    rows = {}
    for name, blocks in seconds.items():
        row = {}
        for k, suffix in enumerate(SUFFIXES):
            times = [block[k] for block in blocks]
            row[f"steps_per_second{suffix}"] = 1 / statistics.median(times)
            row[f"fastest_block{suffix}"] = 1 / min(times)
            if base and name != PANDA_GYM:
                row[f"{RATIO}{suffix}"] = statistics.median(b[k] / t for b, t in zip(base, times, strict=True))
        rows[name] = row
    return rows


def combine(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Medians of the processes' rows and, of their ratios, the range."""
    rows = {}
    for name, figures in runs[0].items():
        values = {figure: [run[name][figure] for run in runs] for figure in figures}
        rows[name] = {figure: statistics.median(found) for figure, found in values.items()}
        for figure, found in values.items():
            if figure.startswith(RATIO):
                rows[name] |= {f"{figure}_low": min(found), f"{figure}_high": max(found)}
    return rows


def measure(args: Args) -> dict[str, dict[str, float]]:
    """The rows of one process."""
    envs = make_envs(args)
    actions = {}
    for name, env in envs.items():
        env.action_space.seed(0)
        env.reset(seed=0)
        actions[name] = [env.action_space.sample() for _ in range(args.block)]
        measure_block(env, actions[name])
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in envs}
    for _ in range(args.repeats):
        for name, env in envs.items():
            seconds[name].append(measure_block(env, actions[name]))
    for env in envs.values():
        env.close()
    return make_rows(seconds)


def main(args: Args) -> None:
    """Measure, print and save."""
    if min(args.processes, args.repeats, args.block) < 1:
        sys.exit("--processes, --repeats and --block must be 1 or more.")
    if args.panda_gym:
        panda_gym_env().close()  # or say at once that it is missing
    runs = []
    for _ in tqdm(range(args.processes), desc="processes", disable=None):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            runs.append(fresh.submit(measure, args).result())
    rows = combine(runs)
    for name, row in rows.items():
        text = [f"{name:54s} {row['steps_per_second']:6.0f} steps/s"]
        for clock, suffix in zip(("CPU", "wall"), SUFFIXES, strict=True):
            if f"{RATIO}{suffix}" in row:
                ratio, low, high = (row[f"{RATIO}{suffix}{end}"] for end in ("", "_low", "_high"))
                text.append(f"{ratio:5.2f} x {clock} ({low:.2f} to {high:.2f})")
        print("  ".join(text))
    args.out.mkdir(parents=True, exist_ok=True)
    packages = ("armctl", "pybullet", "gymnasium", "numpy", *(("panda-gym",) if args.panda_gym else ()))
    summary = {
        "rows": rows,
        "physics_dt_s": 0.002,
        "substeps": 20,
        "processes": args.processes,
        "repeats": args.repeats,
        "block": args.block,
        "machine": store.machine(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
    }
    temporary = args.out / f".summary.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(summary, indent=2) + "\n")
    os.replace(temporary, args.out / "summary.json")


if __name__ == "__main__":
    main(tyro.cli(Args))
