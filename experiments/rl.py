"""Policies by reinforcement learning: every task and algorithm of the comparison, several seeds each.

Each into runs/rl/TASK-SCENARIO-ALGORITHM/SEED, as `armctl train rl` trains it, with the hyper-parameters that are
shipped; runs that are there are kept, those that were interrupted go on. Needs `pip install "armctl[rl]"`.
rl_vs_control.py benches the best of them and draws the curves.

    python experiments/rl.py
    python experiments/rl.py --cells reach-nominal-ppo --seeds 0
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from armctl import store
from armctl.errors import UsageError
from armctl.jobs import Where, run_jobs
from armctl.rl.learn import check_installed, train_policy
from armctl.rl.settings import RLConfig

CELLS = (
    "reach_position-nominal-ppo",
    "reach_position-nominal-sac",
    "reach-nominal-ppo",
    "reach-nominal-sac",
    "track-nominal-ppo",
    "track-nominal-sac",
    "track-combined-ppo",
    "track-combined-sac",
)
JUDGED = {"reach_position": (10, 96), "reach": (10, 96), "track": (8, 32)}
"""Task -> judgements in PyBullet and episodes of each, episodes being longer where motions are tracked."""


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    cells: tuple[str, ...] = CELLS
    """What is trained, as TASK-SCENARIO-ALGORITHM."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of each."""
    jobs: int = 2
    """Runs side by side, a core each."""
    out: Path = Path("runs/rl")
    """Folder of the run folders."""


def config(args: Args, run: tuple[str, int]) -> RLConfig:
    """Settings of one run."""
    (cell, seed), parts = run, run[0].split("-")
    if len(parts) != 3 or parts[0] not in JUDGED:
        raise UsageError(f"'{cell}' is no TASK-SCENARIO-ALGORITHM; choose from {', '.join(CELLS)}.")
    task, scenario, algorithm = parts
    judgements, episodes = JUDGED[task]
    given: dict[str, Any] = {"robot": args.robot, "algo": algorithm, "task": task, "scenario": scenario, "seed": seed}
    return RLConfig(**given, judgements=judgements, episodes=episodes)


def folder(args: Args, run: tuple[str, int]) -> Path:
    """Run folder of one run."""
    return args.out / run[0] / str(run[1])


def finished(path: Path) -> bool:
    """Whether a run is there and complete."""
    return (path / "summary.json").exists() and store.read_json(path / "summary.json")["status"] == "finished"


def train(args: Args, run: tuple[str, int]) -> dict[str, Any]:
    """One run, from where it was left."""
    path = folder(args, run).absolute()
    return train_policy(config(args, run), path, resume=(path / "config.json").exists())


def main(args: Args) -> None:
    """Train what is not there yet, a line for each."""
    check_installed()
    runs = [(cell, seed) for seed in args.seeds for cell in args.cells]
    for run in runs:
        config(args, run)
    left = [run for run in runs if not finished(folder(args, run))]
    print(f"{len(runs) - len(left)} of {len(runs)} runs are there")
    for run, summary in run_jobs(lambda: partial(train, args), left, Where(args.jobs)):
        said = "{success:.0%}, {position_error_mm:.1f} mm, {orientation_error_deg:.1f} deg after {steps:,} steps"
        took = summary["last"]["seconds"]
        print(f"{run[0]}, seed {run[1]}: {said.format(**summary['best'])}, {took:.0f} s", flush=True)


if __name__ == "__main__":  # the processes of the jobs import this file
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
