"""Results go to stdout, as a table or as JSON; what is going on goes to stderr."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from armctl import store


def say(text: str) -> None:
    """One line about what is going on."""
    print(text, file=sys.stderr, flush=True)


def compiling(seconds: int, what: str = "") -> None:
    """Announce the one long wait without progress."""
    say(f"compiling{what and f' {what}'}, about {seconds} s the first time")


@contextlib.contextmanager
def results_only(wanted: bool = True) -> Iterator[None]:
    """Keep off stdout what others print: a user's own controller, C++ libraries of processes that compute together."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def show(result: Any, text: str, as_json: bool) -> None:
    """Print a result: as JSON if wanted, else the text for people."""
    print(json.dumps(store.plain(result), indent=2) if as_json else text, flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows under their keys, columns aligned: numbers to the right, text to the left."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[k]) for row in cells)) for k, name in enumerate(names)]
    right = [all(isinstance(row[name], int | float) for row in rows) for name in names]
    lines = [[name.replace("_", " ") for name in names], *cells]
    padded = (map(_pad, line, widths, right) for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _pad(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def bar(total: int, what: str, unit: str) -> Any:
    """A progress bar on stderr."""
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, desc=what, file=sys.stderr, mininterval=0.5)


@contextlib.contextmanager
def counting(total: int, what: str, unit: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr with the time left, moved by telling how much there is."""
    with bar(total, what, unit) as progress:
        yield lambda count: progress.update(count - progress.n)


@contextlib.contextmanager
def stages(total: int, what: str, *, ended: bool = False) -> Iterator[Callable[[str], None]]:
    """A progress bar over stages, each told on a line of its own as it begins, or as it has ended."""
    with bar(total, what, "stage") as progress:
        told = 0

        def tell(text: str) -> None:
            nonlocal told
            progress.write(text, file=sys.stderr)
            progress.update(told + ended - progress.n)
            told += 1

        yield tell
        progress.total = told  # there may have been fewer than were feared
        progress.update(told - progress.n)


def bench_table(summary: dict[str, Any]) -> str:
    """The controllers of a bench, the most accurate first, with interquartile means and 95 % intervals; of one with
    goals, who reaches them, in every suite and on every plant.

    Under it, where there are several plants, the controllers on each of them.
    """
    from armctl.bench.grid import key, text_rows

    reaching, failed = summary.get("reaching", []), _failures(summary)
    caveats = summary.get("caveats", [])
    if reaching:
        text = table([_reach_row(cell) for cell in reaching])
        first = reaching[0]["controller"]
        counted = sum(cell["episodes"] for cell in reaching if cell["controller"] == first)
        if counted == summary["controllers"][first]["episodes"]:
            return "\n".join([text, *caveats[1:], *failed])
        failed = [*failed, "", text]
    blocks = sorted(summary["controllers"].items(), key=lambda item: item[1]["position_rmse_mm"]["iqm"])
    lines = [table([_bench_row(name, block) for name, block in blocks]), *caveats, *failed]
    if summary.get("grid"):
        lines += ["", table(text_rows(summary["grid"])), key(summary["grid"])]
    return "\n".join(lines)


def _bench_row(name: str, block: dict[str, Any]) -> dict[str, Any]:
    return {
        "controller": name,
        "position RMSE mm": _interval(block["position_rmse_mm"]),
        "orientation RMSE deg": _interval(block["orientation_rmse_deg"]),
        "limit violations": block["joint_limit_violations"],
        **({"scene contact": block["scene_contact"]} if "scene_contact" in block else {}),
        "failures": len(block["failures"]),
        "episodes": block["episodes"],
    }


def _failures(summary: dict[str, Any]) -> list[str]:
    """A line on every controller with failed episodes: how many, and the reason of the first."""
    return [
        f"{name}: {len(block['failures'])} of {block['episodes']} episodes failed, {block['failures'][0]['failure']}"
        for name, block in summary["controllers"].items()
        if block["failures"]
    ]


def _reach_row(cell: dict[str, Any]) -> dict[str, Any]:
    return {
        "suite": cell["suite"],
        "plant": cell["scenario"],
        "controller": cell["controller"],
        "reached": f"{100 * cell['reached']:.0f} %",
        "position alone": f"{100 * cell['reached_position']:.0f} %",
        "after s": _interval(cell["reach_time_s"]) if cell["reach_time_s"]["count"] else "-",
        "error mm": _interval(cell["goal_error_mm"]),
        "way m": cell["path_length_m"]["iqm"],
        "limit violations": cell["joint_limit_violations"],
        **({"scene contact": cell["scene_contact"]} if "scene_contact" in cell else {}),
        "failures": cell["failures"],
        "episodes": cell["episodes"],
    }


def _interval(value: dict[str, float]) -> str:
    return f"{value['iqm']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"
