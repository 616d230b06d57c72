"""The block of `summary.json` on reaching: who gets to the goals, how soon and by which way."""

from typing import Any

import numpy as np

from armctl.bench import stats
from armctl.bench.summary import Row, column

SHARES = ("reached", "reached_position")
FIGURES = ("reach_time_s", "goal_error_mm", "goal_error_deg", "path_length_m")


def summarise_reaching(table: dict[str, list[Row]]) -> list[dict[str, Any]]:
    """A row for every suite, plant and controller, those that reach most goals first; empty where nothing has a goal.

    table: controller -> its episodes. `reached`, `reached_position`: shares; the others are interquartile means with
    intervals (`reach_time_s` over the episodes that reach), `joint_limit_violations` and, in a scene,
    `scene_contact` sums.
    """
    groups = dict.fromkeys((row["suite"], row["scenario"]) for rows in table.values() for row in rows)
    found = []
    for suite, scenario in groups:
        cells = [
            _cell(name, suite, scenario, [row for row in rows if (row["suite"], row["scenario"]) == (suite, scenario)])
            for name, rows in table.items()
        ]
        found += sorted(filter(None, cells), key=lambda cell: (-cell["reached"], _or_last(cell["reach_time_s"]["iqm"])))
    return found


def _cell(name: str, suite: str, scenario: str, rows: list[Row]) -> dict[str, Any]:
    rows = [row for row in rows if np.isfinite(row["reached"])]
    if not rows:
        return {}
    return {
        "suite": suite,
        "scenario": scenario,
        "controller": name,
        **{share: float(np.mean(column(rows, share))) for share in SHARES},
        **{figure: stats.interval(column(rows, figure)) for figure in FIGURES},
        "joint_limit_violations": int(column(rows, "joint_limit_violations").sum()),
        **({"scene_contact": int(column(rows, "scene_contact").sum())} if "scene_contact" in rows[0] else {}),
        "failures": sum(bool(row["failure"]) for row in rows),
        "episodes": len(rows),
    }


def _or_last(value: float) -> float:
    return value if np.isfinite(value) else np.inf
