"""From episode rows to the figures that are quoted: intervals, breakdowns and paired comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from armctl.bench import stats

HEADLINE = ("position_rmse_mm", "orientation_rmse_deg")
DETAILS = (
    *HEADLINE,
    "steady_position_rmse_mm",
    "steady_orientation_rmse_deg",
    "position_p95_mm",
    "position_max_mm",
    "cross_track_mm",
    "lag_ms",
    "settling_time_s",
    "overshoot_percent",
    "effort_n2m2s",
    "energy_j",
    "rms_jerk_rad_s3",
    "ldlj",
    "saturation_s",
    "cautious_s",
    "action_us",
)
SHARES = ("within_50mm", "within_10mm_15deg", "within_5mm_5deg", "within_1mm_0.5deg")
Row = dict[str, Any]


def summarise(
    rows: list[Row], families: Mapping[str, str], own: Sequence[str] = (), subject: str = ""
) -> dict[str, Any]:
    """The statistics block of `summary.json`.

    rows: one per episode with `controller`, `suite`, `reference`, `scenario`, `draw`, `failure` and every metric of
    `metrics.episode_metrics`; every controller has the same episodes. families: controller -> its family, in the order
    of the report. own: metrics of the user's own. subject: the controller that the others are compared with, see below.
    -> `controllers` (interquartile mean, 95 % interval and CVaR10 of every metric, ladder shares, violations,
    failures), `suites` and `scenarios` (headline metrics of every controller in each), `comparison` (the subject or,
    where none is named, the learned controller, or the best one, against every other on paired episodes).
    """
    names = list(families)
    table = {name: paired_order([row for row in rows if row["controller"] == name]) for name in names}
    return {
        "controllers": {name: _controller(table[name], own) for name in names},
        "suites": _breakdown(table, "suite"),
        "scenarios": _breakdown(table, "scenario"),
        "comparison": compare(table, families, subject),
    }


def column(rows: list[Row], name: str) -> np.ndarray:
    """One metric of all rows as floats, (N,)."""
    return np.array([float(row[name]) for row in rows])


def strata(rows: list[Row]) -> list[str]:
    """The bootstrap stratum of every row: its suite and scenario."""
    return [f"{row['suite']}/{row['scenario']}" for row in rows]


def best_classical(table: dict[str, list[Row]], families: Mapping[str, str]) -> str | None:
    """The classical controller with the lowest position error, None where there is none."""
    return _most_accurate(table, [name for name in table if families[name] == "classical"])


def natural_subject(table: dict[str, list[Row]], families: Mapping[str, str]) -> str:
    """The controller the report is about: the most accurate that is learned or the user's own.

    Where there is none, the most accurate that is not an oracle; an oracle is a limit, not a contender.
    """
    own = [name for name in table if families[name] in ("learned", "yours")]
    fair = [name for name in table if families[name] != "oracle"]
    chosen = _most_accurate(table, own or fair or list(table))
    assert chosen is not None
    return chosen


def _most_accurate(table: dict[str, list[Row]], names: list[str]) -> str | None:
    return min(names, key=lambda name: stats.iqm(column(table[name], HEADLINE[0])), default=None)


def compare(table: dict[str, list[Row]], families: Mapping[str, str], subject: str = "") -> dict[str, Any]:
    """Paired differences, ratios and probabilities of improvement of the subject against the others."""
    chosen = subject or natural_subject(table, families)
    return {
        "subject": chosen,
        "best_classical": best_classical(table, families),
        "against": {
            name: {metric: pair(table[chosen], rows, metric) for metric in HEADLINE}
            for name, rows in table.items()
            if name != chosen
        },
    }


def paired_ratio(a: list[Row], b: list[Row], metric: str) -> dict[str, float]:
    """How many times larger a metric is in b than in a, both on the same episodes in one order, with its interval."""
    x, y = column(a, metric), column(b, metric)
    ratio = stats.interval(np.log(np.maximum(y, 1e-12) / np.maximum(x, 1e-12)), strata(a))
    return {key: float(np.exp(ratio[key])) for key in ("iqm", "low", "high")}


def pair(a: list[Row], b: list[Row], metric: str) -> dict[str, Any]:
    """A metric of a against b, both on the same episodes in one order: `difference` a − b, `times_smaller` than in b,
    `probability_of_improvement`, each with its interval."""
    groups, x, y = strata(a), column(a, metric), column(b, metric)
    return {
        "difference": stats.paired_difference(x, y, groups),
        "times_smaller": paired_ratio(a, b, metric),
        "probability_of_improvement": stats.probability_of_improvement(x, y, groups),
    }


def _controller(rows: list[Row], own: Sequence[str]) -> dict[str, Any]:
    groups = strata(rows)
    block: dict[str, Any] = {name: stats.interval(column(rows, name), groups) for name in (*DETAILS, *own)}
    for name in HEADLINE:
        block[name]["cvar10"] = float(stats.cvar(column(rows, name)))
    block |= {name: float(np.mean(column(rows, name))) for name in SHARES}
    block |= {
        name.replace("within", "end"): float(np.mean(column(rows, name.replace("within", "end")))) for name in SHARES
    }
    block["joint_limit_violations"] = int(column(rows, "joint_limit_violations").sum())
    if "scene_contact" in rows[0]:
        contact = column(rows, "scene_contact")
        block |= {"scene_contact": int(contact.sum()), "scene_contact_episodes": int((contact > 0).sum())}
    block["episodes"] = len(rows)
    block["failures"] = [
        {key: row[key] for key in ("suite", "reference", "scenario", "draw", "failure")}
        for row in rows
        if row["failure"]
    ]
    return block


def _breakdown(table: dict[str, list[Row]], field: str) -> dict[str, Any]:
    values = list(dict.fromkeys(row[field] for rows in table.values() for row in rows))
    return {
        value: {name: headline([row for row in rows if row[field] == value]) for name, rows in table.items()}
        for value in values
    }


def headline(rows: list[Row]) -> dict[str, Any]:
    """Number of the episodes, and the headline metrics with their intervals."""
    return {"episodes": len(rows), **{name: stats.interval(column(rows, name), strata(rows)) for name in HEADLINE}}


def paired_order(rows: list[Row]) -> list[Row]:
    """The rows of one controller in an order that is the same for all, so that they pair by position."""
    return sorted(rows, key=lambda row: (row["suite"], row["reference"], row["scenario"], int(row["draw"])))
