"""`armctl demo`: the whole loop, once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from armctl.commands.console import show
from armctl.commands.generator import Flow
from armctl.commands.parsing import Flag, check_out, parse, part
from armctl.commands.training import Budget
from armctl.demo import DemoConfig, run_demo, table
from armctl.plant.presets import check_preset


@dataclass(frozen=True)
class DemoFlow(Flow):
    """The generator."""

    seed: tyro.conf.Suppress[tyro.conf.Fixed[int]] = Flow.seed


@dataclass(frozen=True)
class DemoArguments(DemoConfig):
    """Train a generator and a tracker, tune the classical controllers, compare them in PyBullet and write a report."""

    corpus: Annotated[int, tyro.conf.arg(name="motions")] = DemoConfig.corpus
    """Motions of the corpus that is made for the arm."""
    tuning: Annotated[Budget, tyro.conf.arg(name="")] = field(
        default_factory=lambda: Budget(**vars(DemoConfig().tuning))
    )
    flow: DemoFlow = field(default_factory=DemoFlow)
    out: Path = Path("runs/demo")
    """Run folder to write."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    resume: Flag = False
    """Continue an interrupted run with the same settings."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """Run the demo and print its table; returns the exit status."""
    arguments = parse(DemoArguments, argv, prog)
    check_out(arguments.out, overwrite=arguments.overwrite, resume=arguments.resume)
    check_preset(arguments.scenario)
    options = {"overwrite": arguments.overwrite, "resume": arguments.resume}
    summary = run_demo(part(arguments, DemoConfig), arguments.out, **options)
    report = arguments.out / "report.html"
    show({**summary, "report": str(report)}, f"{table(summary)}\n\nreport: {report}", arguments.json)
    return 0
