"""Write the page that compares several bench runs."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from armctl import store
from armctl.bench.several_runs import compare_runs
from armctl.errors import UsageError
from armctl.report import tables as sections
from armctl.report.headline import header
from armctl.report.heat import heat_map
from armctl.report.page import NOTES, forests
from armctl.report.theme import number, page, section, table, with_interval

Summary = dict[str, Any]
CARDS = 4
"""Controllers at the head of the page; all of them stand in its table."""
HEADS = [
    "Controller",
    "Run",
    "Minus",
    "Pairs",
    "Position difference<br>mm",
    "Times smaller<br>position",
    "Probability of<br>improvement",
    "Orientation difference<br>deg",
]
EXPLAINED = {
    "Runs": "Only episodes that all runs share count on this page: the same suite, reference, scenario, draw and seed, "
    "joint path and true plant.",
    "The same controller in several runs": "Its error in one run minus that in another, on the same episodes; negative "
    "means that it is better in the run of that line.",
    "What differs": "Settings, versions, processors, and checksums of the controllers' parameters and code.",
}


def write_comparison(
    run_dirs: Sequence[str | Path], out: str | Path | None = None, *, subject: str = "", overwrite: bool = False
) -> Path:
    """Write the page that compares finished benches on the episodes that they share, and return its path.

    run_dirs: two folders or more written by `run_bench`. out: FILE.html, or a folder for `comparison.html`; without it
    the page is `compared-with-OTHERS.html` in the first folder, written anew each time. Beside the page, with the
    ending .json, is all that it says (see `compare_runs`). subject: RUN/CONTROLLER that the others are compared with.
    Raises UsageError where nothing can be compared (see there), and where `out` exists and may not be replaced.
    """
    path = _page(out) if out else None
    if path and path.exists() and not overwrite:
        raise UsageError(f"'{path}' already exists; replace it with --overwrite or name another page with --out.")
    found = compare_runs(run_dirs, subject)
    others = "-".join(label.replace("/", "-") for label in list(found["runs"])[1:])
    path = path or Path(run_dirs[0]) / f"compared-with-{others}.html"
    store.write_json(path.with_suffix(".json"), found)
    summary = store.read_json(path.with_suffix(".json"))
    store.write_text(path, page(f"armctl report: {' and '.join(summary['runs'])}", _body(summary)))
    return path


def _page(out: str | Path) -> Path:
    return Path(out) if Path(out).suffix == ".html" else Path(out) / "comparison.html"


def _body(summary: Summary) -> str:
    blocks = {
        "Runs": _runs(summary),
        "What differs": _differences(summary),
        "The same controller in several runs": _same(summary),
        "Reaching": sections.reaching(summary),
        "All controllers": sections.headline(summary) + forests(summary),
        "Failed episodes": sections.failures(summary),
        "Controllers on every plant": heat_map(summary),
        "Paired comparison": sections.pairs(summary),
        "By suite": sections.breakdown(summary, "suites", "Position RMSE mm, orientation deg"),
        "Timing, smoothness and cost": sections.behaviour(summary),
        "What each controller was given": sections.fairness(summary),
    }
    notes = NOTES | EXPLAINED
    parts = "".join(section(title, block, notes.get(title, "")) for title, block in blocks.items())
    return header(summary, f"{', '.join(summary['runs'])}: runs compared") + _cards(summary) + parts


def _cards(summary: Summary) -> str:
    """The error of controllers that several runs have as a multiple of what it is in the first of them."""
    cells = []
    for one in summary["same"][:CARDS]:
        value, high, low = (1 / one["position_rmse_mm"]["times_smaller"][key] for key in ("iqm", "low", "high"))
        text = (
            f"the position error of {escape(one['controller'])} in {escape(one['run'])} over that in "
            f"{escape(one['against'])}, paired over {one['pairs']} episodes; 95&nbsp;% interval {number(low)} to "
            f"{number(high)}"
        )
        cells.append(f'<div class="card"><b>{number(value)} ×</b><span>{text}</span></div>')
    return f'<div class="cards">{"".join(cells)}</div>' if cells else ""


def _runs(summary: Summary) -> str:
    rows = [
        [escape(label), escape(facts["folder"]), str(facts["episodes"]), str(facts["shared"])]
        for label, facts in summary["runs"].items()
    ]
    return table(["Run", "Folder", "Episodes", "Shared"], rows, wrap=(1,))


def _differences(summary: Summary) -> str:
    labels = list(summary["runs"])
    rows = [
        [escape(name), *(escape(values.get(label, "–")) for label in labels)]
        for name, values in summary["differences"].items()
    ]
    return table(["Setting", *map(escape, labels)], rows) if rows else ""


def _same(summary: Summary) -> str:
    rows = []
    for one in summary["same"]:
        position, angle = one["position_rmse_mm"], one["orientation_rmse_deg"]
        odds = {key: 100 * value for key, value in position["probability_of_improvement"].items()}
        figures = [
            with_interval(position["difference"]),
            with_interval(position["times_smaller"]),
            f"{odds['probability']:.0f} %<small>[{odds['low']:.0f}, {odds['high']:.0f}]</small>",
            with_interval(angle["difference"]),
        ]
        rows.append([*(escape(one[key]) for key in ("controller", "run", "against")), str(one["pairs"]), *figures])
    return table(HEADS, rows) if rows else ""
