"""Controllers × plants on held-out references: the first table of the README; curves over payload, delay and friction.

Every controller is run in PyBullet on every plant of `armctl.bench.grid.GRID`, each reference under a plant of its own.
Writes runs/grid/: episodes.csv, summary.json, grid.csv, grid.md, report.html. An interrupted run goes on with --resume.

    python experiments/grid.py --controllers classical runs/tracker
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from armctl.bench.curves import run_curves
from armctl.bench.grid import GRID
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.bench.suite import load_suite, suite_name
from armctl.chain import Chain
from armctl.commands.bench import load_controllers, named
from armctl.commands.console import bench_table, say
from armctl.errors import UsageError
from armctl.motion.reference import Reference
from armctl.report.page import write_report
from armctl.urdf import load_chain

LEAST = 24  # episodes of a controller on a plant


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    controllers: tuple[str, ...] = ("tracker", "classical", "oracle")
    """Names (with what is shipped for the arm), run folders of `tune` or `train`, LABEL=FOLDER; `classical` is all
    classical ones."""
    suites: tuple[str, ...] = ("corpus",)
    """Suites or folders of references; of the corpus, motions that no controller is tuned on."""
    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    references: int = 24
    """References of each suite."""
    longest: float = 5.0
    """Longest reference that is used, s."""
    draws: int = 1
    """Plants per reference, of each kind."""
    curves: bool = True
    """Whether to run the curves."""
    jobs: int = 2
    """Worker processes."""
    seed: int = 0
    """Seed of references and plants."""
    out: Path = Path("runs/grid")
    """Run folder."""
    overwrite: bool = False
    """Replace an earlier run."""
    resume: bool = False
    """Continue an interrupted run with the same settings."""


def held_out(
    chain: Chain, suites: tuple[str, ...], *, references: int, longest: float, draws: int, seed: int
) -> dict[str, list[Reference]]:
    """The references of every suite, as Args says; UsageError where they make too few episodes for a column."""
    found = {}
    for name in suites:
        motions = [one for one in load_suite(name, chain, seed=seed) if one.duration <= longest]
        found[suite_name(name)] = motions[:references]
    count = draws * sum(map(len, found.values()))
    if count < LEAST:
        raise UsageError(
            f"{', '.join(found)} with --longest {longest:g} and --draws {draws} make {count} episodes per plant; the "
            f"table needs {LEAST}: raise --draws, --references or --longest, or add a suite."
        )
    return found


def main(args: Args) -> None:
    """Run, print the tables, write the report."""
    suites = held_out(
        load_chain(args.robot),
        args.suites,
        references=args.references,
        longest=args.longest,
        draws=args.draws,
        seed=args.seed,
    )
    config = BenchConfig(robot=args.robot, draws=args.draws, seed=args.seed, batch=LEAST, jobs=args.jobs)
    controllers, records = load_controllers(named(list(args.controllers)), config)
    summary = run_bench(
        controllers,
        suites,
        GRID,
        args.out,
        config=config,
        records=records,
        overwrite=args.overwrite,
        resume=args.resume,
    )
    if args.curves:
        say("running the curves")
        summary = run_curves(config, controllers, suites, args.out, records=records, resume=args.resume)
    print(bench_table(summary))
    print(f"\nreport: {write_report(args.out)}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
