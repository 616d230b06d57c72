"""`armctl demo`: the whole loop, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armctl.commands.console import show
from armctl.commands.parsing import Flag, check_out, parse, part
from armctl.demo import DemoConfig, run_demo, table
from armctl.plant.presets import check_preset


@dataclass(frozen=True)
class DemoArguments(DemoConfig):
    """Train a generator and a tracker, tune the classical controllers, compare them in PyBullet and write a report."""

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
