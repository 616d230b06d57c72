"""How much of the tracker's advantage is luck: several training seeds on held-out plants.

The tracker, or what else policies.py has trained with several seeds, in PyBullet on references and plants that none was
tuned on; beside it the oracle and the best rivals that estimate no parameters, as they are shipped. Writes runs/seeds/:
episodes.csv, summary.json, seeds.json, report.html. An interrupted run goes on with --resume.

    python experiments/policies.py --controllers tracker filter_bank --seeds 0 1 2 3 4
    python experiments/seeds.py
    python experiments/seeds.py --settle 0.5 --out runs/seeds_settled
    python experiments/seeds.py --robot ur5e --trained tracker --out runs/seeds_ur5e \\
        --beside oracle adaptive disturbance_observer diff_ik operational_space_integral
"""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from grid import LEAST, held_out

from armctl import store
from armctl.arm import Arm
from armctl.bench import stats
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table
from armctl.bench.run import run_bench
from armctl.bench.summary import column
from armctl.commands.bench import load_controllers, named
from armctl.controllers import load
from armctl.errors import UsageError
from armctl.urdf import load_chain

PLANTS = ("nominal", "payload", "ripple", "friction", *(f"{x}_{k}" for x in ("latency", "combined") for k in range(4)))
POSITION = "position_rmse_mm"
LIMIT = "oracle"


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    trained: tuple[str, ...] = ("tracker", "filter_bank")
    """Controllers with a run folder for every seed; the second is the first without a part, if there are two."""
    beside: tuple[str, ...] = ("oracle", "disturbance_observer", "operational_space_integral")
    """Controllers as they are shipped, or LABEL=FOLDER; an oracle is among them."""
    runs: Path = Path("runs/policies")
    """Run folders of policies.py."""
    suites: tuple[str, ...] = ("corpus",)
    """Suites or folders of references; of the corpus, motions that no controller is tuned on."""
    references: int = 24
    """References of each suite, each with a plant of its own."""
    longest: float = 5.0
    """Longest reference that is used, s."""
    draws: int = 1
    """Plants per reference, of each kind."""
    settle: float = 0.0
    """Time the first pose is held before a reference starts and errors count, s; 0: at once, as the load falls."""
    jobs: int = 2
    """Worker processes."""
    seed: int = 0
    """Seed of references and plants."""
    out: Path = Path("runs/seeds")
    """Run folder."""
    overwrite: bool = False
    """Replace an earlier run."""
    resume: bool = False
    """Continue an interrupted run with the same settings."""


def main(args: Args) -> None:
    """Run, pool the seeds, print the table."""
    chain = load_chain(args.robot)
    suites = held_out(
        chain, args.suites, references=args.references, longest=args.longest, draws=args.draws, seed=args.seed
    )
    folders = {
        f"{name}-{p.name.rsplit('-', 1)[1]}": p for name in args.trained for p in runs_of(args, chain.name, name)
    }
    config = BenchConfig(args.robot, settle=args.settle, draws=args.draws, seed=args.seed, batch=LEAST, jobs=args.jobs)
    beside, records = load_controllers(named(list(args.beside)), config)
    if LIMIT not in beside:
        raise UsageError(
            f"--beside is {', '.join(beside)}; errors are held against {LIMIT}, which has to be among them."
        )
    controllers: dict[str, Any] = {label: load(path, Arm.from_chain(chain)) for label, path in folders.items()}
    everyone = {**controllers, **beside}
    run_bench(
        everyone, suites, PLANTS, args.out, config=config, records=records, overwrite=args.overwrite, resume=args.resume
    )
    table = read_table(args.out)
    groups = {name: [label for label in folders if label.rsplit("-", 1)[0] == name] for name in args.trained}
    groups |= {name: [name] for name in beside}
    found = {plant: {name: pooled(table, labels, plant) for name, labels in groups.items()} for plant in PLANTS}
    for plant, row in found.items():
        for name, without in itertools.pairwise(args.trained):
            row[name]["times_without"] = times(table, groups[name], groups[without], plant)
    facts = {"machine": store.machine(), "versions": store.versions(), "seeds": {"seed": args.seed}}
    facts |= {"robot": chain.name, "settle": args.settle, "suites": list(suites)}
    store.write_json(args.out / "seeds.json", {"plants": found, **facts})
    for plant, row in found.items():
        print(plant, {name: f"{x['iqm']:.3f} [{x['low']:.3f}, {x['high']:.3f}]" for name, x in row.items()})


def runs_of(args: Args, robot: str, name: str) -> list[Path]:
    """The finished runs of a controller, a seed each; UsageError where there are none."""
    found = sorted(p for p in (args.runs / robot).glob(f"{name}-*") if (p / "params.npz").exists())
    if not found:
        raise UsageError(f"There are no runs of {name} for {robot} in {args.runs}; run policies.py first.")
    return found


def pooled(table: dict[str, Any], labels: list[str], plant: str) -> dict[str, Any]:
    """Interquartile mean over seeds and episodes with its interval, that of every seed, the worst episode, and by how
    much the error exceeds the oracle's on the same episodes."""
    rows = {label: on(table, label, plant) for label in labels}
    values = {label: column(of, POSITION) for label, of in rows.items()}
    everything = np.concatenate(list(values.values()))
    by_seed = [label for label, x in values.items() for _ in x]
    return {
        **stats.interval(everything, by_seed),
        "seeds": {label: float(stats.iqm(x)) for label, x in values.items()},
        "max": float(everything.max()),
        "failures": sum(bool(row["failure"]) for of in rows.values() for row in of),
        "times_oracle": times(table, labels, [LIMIT], plant)["iqm"],
    }


def on(table: dict[str, Any], label: str, plant: str) -> list[dict[str, Any]]:
    """The episodes of a controller on a kind of plant."""
    return [row for row in table[label] if row["scenario"] == plant]


def times(table: dict[str, Any], labels: list[str], others: list[str], plant: str) -> dict[str, float]:
    """By how much errors exceed those of others on the same episodes: interquartile mean of the ratio of the seeds'
    geometric means in every episode, with its interval."""

    def level(group: list[str]) -> np.ndarray:
        return np.mean([np.log(column(on(table, label, plant), POSITION)) for label in group], axis=0)

    ratio = stats.interval(level(labels) - level(others))
    return {key: float(np.exp(ratio[key])) for key in ("iqm", "low", "high")}


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
