"""Controllers × plants: where each controller is good, and where it fails."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from armctl.bench.summary import HEADLINE, Row, column, headline, paired_ratio

TITLES = {
    "nominal": "nominal",
    "payload": "payload",
    **{f"latency_{delay}": f"delay {delay}" for delay in range(6)},
    **{name: name for name in ("friction", "ripple", "switch", "noise", "strength", "tilt", "pushes", "overload")},
    "combined": "combined",
    **{f"combined_{delay}": f"comb. {delay}" for delay in range(4)},
    "extreme": "extreme",
}
"""The plants of the grid in their order, each with a short title."""
GRID = tuple(TITLES)
"""The presets of `armctl bench --grid`, as `scenarios` of `run_bench`."""
POSITION = HEADLINE[0]
FLAGGED = 0.05
"""Time in which a controller takes itself to be out of its depth, beyond which an episode counts as flagged, s."""


def make_grid(table: Mapping[str, list[Row]], families: Mapping[str, str], plants: Sequence[str]) -> dict[str, Any]:
    """The block `grid` of `summary.json`; empty where there is but one plant.

    table: controller -> its rows, in an order that is the same for all (`summary.paired_order`). families: controller
    -> family. plants: the scenarios in the order of the columns.
    -> `oracle`: the controller that the others are measured by, or None; `plants`: plant -> `title`, `episodes` and the
    `best` controller, the one with the fewest failures and, of these, the smallest position error (an oracle only where
    there is no other); `cells`: controller -> plant -> what `cell` says.
    """
    if len(plants) < 2:
        return {}
    rows = {
        name: {plant: [row for row in of if row["scenario"] == plant] for plant in plants} for name, of in table.items()
    }
    oracle = next((name for name in table if families[name] == "oracle"), None)
    limit = rows[oracle] if oracle else {}
    cells = {name: {plant: cell(of[plant], limit.get(plant, [])) for plant in plants} for name, of in rows.items()}
    contenders = [name for name in table if families[name] != "oracle"] or list(table)
    return {
        "oracle": oracle,
        "plants": {
            plant: {
                "title": TITLES.get(plant, plant),
                "episodes": len(rows[contenders[0]][plant]),
                "best": min(contenders, key=lambda name: _order(cells[name][plant])),
            }
            for plant in plants
        },
        "cells": cells,
    }


def cell(rows: list[Row], limit: list[Row]) -> dict[str, Any]:
    """What one controller does on one plant.

    rows: its episodes. limit: the oracle's on the same, empty where there is none.
    -> `episodes`, `failures`, `flagged` (by the controller itself); of each headline metric `iqm` and interval, `p90`
    and `max` over the episodes; `times_oracle`: the paired ratio of its position error to the oracle's with its
    interval, or None.
    """
    found = headline(rows) | {"failures": sum(bool(row["failure"]) for row in rows)}
    found["flagged"] = sum(float(row["cautious_s"]) > FLAGGED for row in rows)
    for metric in HEADLINE:
        values = column(rows, metric)
        found[metric] |= {"p90": float(np.quantile(values, 0.9)), "max": float(values.max())}
    return found | {"times_oracle": paired_ratio(limit, rows, POSITION) if limit else None}


def flat_rows(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `grid.csv`, one for every controller and plant; empty cells where there is no oracle."""
    figures = [(metric, key) for metric in HEADLINE for key in ("iqm", "low", "high", "p90", "max")]
    return [
        {
            "controller": name,
            "plant": plant,
            "episodes": block["episodes"],
            "failures": block["failures"],
            "flagged": block["flagged"],
            **{f"{metric}_{key}": block[metric][key] for metric, key in figures},
            **{f"times_oracle_{key}": (block["times_oracle"] or {}).get(key, "") for key in ("iqm", "low", "high")},
            "best": int(grid["plants"][plant]["best"] == name),
        }
        for name, of in grid["cells"].items()
        for plant, block in of.items()
    ]


def text_rows(grid: Mapping[str, Any]) -> list[dict[str, str]]:
    """The grid in words, a row for every plant and a column for every controller, to be read with `key`."""
    return [
        {"plant": facts["title"], **{name: _text(grid, name, plant) for name in grid["cells"]}}
        for plant, facts in grid["plants"].items()
    ]


def key(grid: Mapping[str, Any]) -> str:
    """The sentence under `text_rows`."""
    counts = sorted({facts["episodes"] for facts in grid["plants"].values()})
    times = "×: times the oracle's error on the same episodes; " if grid["oracle"] else ""
    return (
        f"Position RMSE, mm, over {' to '.join(map(str, counts))} episodes per plant: interquartile mean [95 % "
        f"interval]; *: the best on the plant, with the fewest failures and then the smallest error; {times}✗: failed "
        "episodes, which count as 1000 mm; ⚑: episodes that the controller itself took to be out of its depth."
    )


def markdown(grid: Mapping[str, Any]) -> str:
    """The grid as a Markdown table with its key, the content of `grid.md`."""
    rows = text_rows(grid)
    lines = [list(rows[0]), ["---", *["---:"] * (len(rows[0]) - 1)], *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{key(grid)}\n"


def short(value: float) -> str:
    """A number with three significant digits, and all those before the point."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def _order(block: Mapping[str, Any]) -> tuple[int, float]:
    # Failures first: an interquartile mean does not see the worst quarter of the episodes.
    return block["failures"], block[POSITION]["iqm"]


def _text(grid: Mapping[str, Any], name: str, plant: str) -> str:
    block = grid["cells"][name][plant]
    value = block[POSITION]
    star = "*" if grid["plants"][plant]["best"] == name else ""
    words = [f"{star}{short(value['iqm'])} [{short(value['low'])}, {short(value['high'])}]"]
    if block["times_oracle"] and name != grid["oracle"]:
        words.append(f"×{short(block['times_oracle']['iqm'])}")
    if block["failures"]:
        words.append(f"✗{block['failures']}")
    if block["flagged"]:
        words.append(f"⚑{block['flagged']}")
    return " ".join(words)
