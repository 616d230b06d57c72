"""How much of the tracker's advantage is luck: several training seeds on held-out plants.

The tracker, or what else policies.py has trained with several seeds, in PyBullet on references and plants that none was
tuned on; beside it the oracle and the best rivals that estimate no parameters, as they are shipped. Writes runs/seeds/:
episodes.csv, summary.json, seeds.json, report.html. An interrupted run goes on with --resume.

    python experiments/policies.py --controllers tracker --seeds 0 1 2 3 4
    python experiments/seeds.py
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from armctl import store
from armctl.arm import Arm
from armctl.bench import stats
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table
from armctl.bench.run import run_bench
from armctl.bench.suite import load_suite
from armctl.bench.summary import column, paired_ratio
from armctl.commands.bench import load_controllers, named
from armctl.controllers import load
from armctl.errors import UsageError
from armctl.urdf import load_chain

PLANTS = ("nominal", "payload", *(f"{kind}_{delay}" for kind in ("latency", "combined") for delay in range(4)))
POSITION = "position_rmse_mm"


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets."""
    trained: tuple[str, ...] = ("tracker",)
    """Controllers with a run folder for every seed."""
    beside: tuple[str, ...] = ("oracle", "disturbance_observer", "operational_space_integral")
    """Controllers as they are shipped."""
    runs: Path = Path("runs/policies")
    """Run folders of policies.py."""
    references: int = 24
    """References, each with a plant of its own."""
    longest: float = 5.0
    """Longest reference that is used, s."""
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
    folders = {f"{name}-{p.name.rsplit('-', 1)[1]}": p for name in args.trained for p in runs_of(args, name)}
    config = BenchConfig(robot=args.robot, seed=args.seed, batch=args.references, jobs=args.jobs)
    beside, records = load_controllers(named(list(args.beside)), config)
    controllers: dict[str, Any] = {label: load(path, Arm.from_chain(chain)) for label, path in folders.items()}
    motions = [r for r in load_suite("corpus", chain, seed=args.seed) if r.duration <= args.longest][: args.references]
    run_bench(
        config,
        {**controllers, **beside},
        {"corpus": motions},
        PLANTS,
        args.out,
        records=records,
        overwrite=args.overwrite,
        resume=args.resume,
    )
    table = read_table(args.out)
    groups = {name: [label for label in folders if label.rsplit("-", 1)[0] == name] for name in args.trained}
    groups |= {name: [name] for name in args.beside}
    found = {plant: {name: pooled(table, labels, plant) for name, labels in groups.items()} for plant in PLANTS}
    facts = {"machine": store.machine(), "versions": store.versions(), "seeds": {"seed": args.seed}}
    store.write_json(args.out / "seeds.json", {"plants": found, **facts})
    for plant, row in found.items():
        print(plant, {name: f"{x['iqm']:.3f} [{x['low']:.3f}, {x['high']:.3f}]" for name, x in row.items()})


def runs_of(args: Args, name: str) -> list[Path]:
    """The finished runs of a controller, a seed each; UsageError where there are none."""
    found = sorted(p for p in (args.runs / args.robot).glob(f"{name}-*") if (p / "params.npz").exists())
    if not found:
        raise UsageError(f"There are no runs of {name} for {args.robot} in {args.runs}; run policies.py first.")
    return found


def pooled(table: dict[str, Any], labels: list[str], plant: str) -> dict[str, Any]:
    """Interquartile mean over seeds and episodes with its interval, that of every seed, the worst episode, and by how
    much the error exceeds the oracle's on the same episodes."""
    rows = {label: [row for row in table[label] if row["scenario"] == plant] for label in labels}
    limit = [row for row in table["oracle"] if row["scenario"] == plant]
    values = {label: column(of, POSITION) for label, of in rows.items()}
    everything = np.concatenate(list(values.values()))
    by_seed = [label for label, x in values.items() for _ in x]
    return {
        **stats.interval(everything, by_seed),
        "seeds": {label: float(stats.iqm(x)) for label, x in values.items()},
        "max": float(everything.max()),
        "failures": sum(bool(row["failure"]) for of in rows.values() for row in of),
        "times_oracle": float(np.mean([paired_ratio(limit, of, POSITION)["iqm"] for of in rows.values()])),
    }


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
