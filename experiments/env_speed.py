"""Environment steps per second in one process, paired with panda-gym's PandaReach.

All environments run 20 physics steps of 2 ms per control step under random actions, take turns block by block in one
run, and are reset when an episode of 50 steps ends, so that load on the machine falls on all alike. Besides our lean
Panda, PyBullet's own Panda URDF runs in our environment: the ratio of the two is the model's share of the gain, the
rest is the code's.

    python experiments/env_speed.py            # prints the table, writes runs/env_speed/summary.json
"""

import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import tyro

from armctl import store
from armctl.envs.bullet import quiet
from armctl.registration import register_all

SETTINGS: dict[str, dict[str, Any]] = {
    "position, bullet motors": {"control": "position", "motor": "bullet"},
    "velocity, torque servo": {"control": "velocity"},
    "torque": {"control": "torque"},
}
EPISODE = 50


@dataclass
class Args:
    """How long to measure and where to write."""

    repeats: int = 15
    """Blocks per environment; the median counts."""
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
        envs["panda-gym PandaReach"] = panda_gym_env()
    for name, setting in SETTINGS.items():
        common: dict[str, Any] = {"control_dt": 0.04, "max_episode_steps": EPISODE, **setting}
        envs[f"armctl, lean Panda: {name}"] = gym.make("armctl/PandaReach-v0", **common)
        envs[f"armctl, pybullet_data's Panda: {name}"] = gym.make("armctl/PandaReach-v0", robot=theirs, **common)
    return envs


def measure_block(env: gym.Env, actions: list) -> float:
    """Seconds per step of one block, resets included."""
    env.reset(seed=0)
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return (time.perf_counter() - start) / len(actions)


def main(args: Args) -> None:
    """Measure, print and save."""
    envs = make_envs(args)
    actions = {}
    for name, env in envs.items():
        env.action_space.seed(0)
        actions[name] = [env.action_space.sample() for _ in range(args.block)]
        measure_block(env, actions[name])
    seconds: dict[str, list[float]] = {name: [] for name in envs}
    for _ in range(args.repeats):
        for name, env in envs.items():
            seconds[name].append(measure_block(env, actions[name]))
    base = seconds.get("panda-gym PandaReach")
    rows = {}
    for name, times in seconds.items():
        row = {"steps_per_second": 1 / statistics.median(times), "fastest_block": 1 / min(times)}
        if base:
            row["times_panda_gym"] = statistics.median(b / t for b, t in zip(base, times, strict=True))
        rows[name] = row
        ratio = f"{row['times_panda_gym']:6.2f} x" if base else ""
        print(f"{name:58s} {row['steps_per_second']:8.0f} steps/s {ratio}")
    for env in envs.values():
        env.close()
    args.out.mkdir(parents=True, exist_ok=True)
    packages = ("armctl", "pybullet", "gymnasium", "numpy", *(("panda-gym",) if base else ()))
    summary = {
        "rows": rows,
        "physics_dt_s": 0.002,
        "substeps": 20,
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
