"""`armctl report`: the page about a bench, or about several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.commands.console import bench_table, show, table
from armctl.commands.parsing import Flag, parse
from armctl.errors import UsageError


@dataclass(frozen=True)
class ReportArguments:
    """Write report.html of a finished bench anew or, of several, a page that compares them."""

    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="DIR [DIR ...]")] = ()
    """Run folders of benches. Several are compared on the episodes that all of them ran."""
    subject: str = ""
    """The controller, by its label, that the report is about; the one it was about if absent. Of several runs
    RUN/LABEL."""
    out: Path | None = None
    """Of a comparison: the page, FILE.html, or a folder for it; in the first run folder if absent."""
    overwrite: Flag = False
    """Replace what --out names."""
    animation: bool = True
    """Whether the report of one bench shows the arm moving (a few seconds to render)."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """`armctl report`; returns the exit status."""
    arguments = parse(ReportArguments, argv, prog)
    if not arguments.folders:
        raise UsageError(f"No DIR was named; give the run folder of a bench, or several; see '{prog} --help'.")
    if len(arguments.folders) > 1:
        return _several(arguments)
    if arguments.out:
        raise UsageError(f"--out {arguments.out} is for several runs; leave it out: the page of one is in its folder.")
    from armctl.bench.finish import change_subject, read_bench
    from armctl.report.page import write_report

    (folder,) = arguments.folders
    summary = read_bench(folder)
    if arguments.subject:
        summary = change_subject(folder, arguments.subject)
    report = write_report(folder, animation=arguments.animation)
    show({"report": str(report)}, f"{bench_table(summary)}\n\nreport: {report}", arguments.json)
    return 0


def _several(arguments: ReportArguments) -> int:
    from armctl.report.several_runs import write_comparison

    page = write_comparison(
        arguments.folders, arguments.out, subject=arguments.subject, overwrite=arguments.overwrite
    )  # fmt: skip
    summary = store.read_json(page.with_suffix(".json"))
    parts = [_runs(summary), bench_table(summary), _same(summary), _differences(summary), f"report: {page}"]
    show({**summary, "report": str(page)}, "\n\n".join(filter(None, parts)), arguments.json)
    return 0


def _runs(summary: dict[str, Any]) -> str:
    return table([{"run": label, **facts} for label, facts in summary["runs"].items()])


def _same(summary: dict[str, Any]) -> str:
    """The controllers that several runs have; empty where there are none."""
    rows = [
        {
            "controller": one["controller"],
            "run": one["run"],
            "minus": one["against"],
            "position RMSE mm": _interval(one["position_rmse_mm"]["difference"]),
            "orientation RMSE deg": _interval(one["orientation_rmse_deg"]["difference"]),
            "times smaller position": _interval(one["position_rmse_mm"]["times_smaller"]),
            "pairs": one["pairs"],
        }
        for one in summary["same"]
    ]
    return table(rows) if rows else ""


def _differences(summary: dict[str, Any]) -> str:
    rows = [
        {"what differs": name, **{label: values.get(label) for label in summary["runs"]}}
        for name, values in summary["differences"].items()
    ]
    return table(rows) if rows else ""


def _interval(value: dict[str, float]) -> str:
    return f"{value['iqm']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"
