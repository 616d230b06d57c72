"""The report's tables and text blocks, each from the dictionary of `summary.json`."""

import json
import re
from html import escape
from typing import Any

from armctl.report.looks import looks
from armctl.report.theme import number, table, themed, with_interval

Summary = dict[str, Any]
ELSEWHERE = '<p class="note">† Tested on plants of another kind than it was trained on.</p>'
REASONS = 5
"""Why episodes failed, that are listed of every controller."""
POSITION, ORIENTATION = "position_rmse_mm", "orientation_rmse_deg"


def headline(summary: Summary) -> str:
    """The table of all controllers, most accurate first."""
    blocks = summary["controllers"]
    names, elsewhere = ranked(summary), summary.get("tested_elsewhere", {})
    in_scene = all("scene_contact" in block for block in blocks.values())
    rows = [
        [
            controller(summary, name) + ("†" if name in elsewhere else ""),
            with_interval(blocks[name][POSITION]),
            with_interval(blocks[name][ORIENTATION]),
            number(blocks[name]["steady_position_rmse_mm"]["iqm"]),
            number(blocks[name][POSITION]["cvar10"]),
            f"{100 * blocks[name]['within_5mm_5deg']:.0f} %",
            f"{100 * blocks[name]['within_1mm_0.5deg']:.0f} %",
            str(blocks[name]["joint_limit_violations"]),
            *([touched(blocks[name])] if in_scene else []),
            str(len(blocks[name]["failures"])),
        ]
        for name in names
    ]
    head = [
        "Controller",
        "Position RMSE<br>mm",
        "Orientation RMSE<br>deg",
        "Position after 1 s<br>mm",
        "Worst 10 %<br>mm",
        "Time within<br>5 mm, 5°",
        "Time within<br>1 mm, 0.5°",
        "Limit<br>violations",
        *(["Scene contact<br>steps (episodes)"] if in_scene else []),
        "Failed",
    ]
    key = ELSEWHERE if elsewhere else ""
    return table(head, rows, names.index(summary["comparison"]["subject"])) + key


def touched(block: dict[str, Any]) -> str:
    """Control steps with scene contact of a controller, and in how many episodes they are."""
    return f"{block['scene_contact']} ({block['scene_contact_episodes']})"


def reaching(summary: Summary) -> str:
    """A table for every plant of every suite: who reaches the goals; empty where there are none."""
    cells = summary.get("reaching", [])
    subject, head = summary["comparison"]["subject"], ["Controller", "Reached", "Position<br>alone", "After<br>s"]
    head += ["Error at the end<br>mm", "Error at the end<br>deg", "Way<br>m", "Limit<br>violations"]
    head += [*(["Scene contact<br>steps"] if any("scene_contact" in cell for cell in cells) else []), "Failed"]
    found = []
    for suite, scenario in dict.fromkeys((cell["suite"], cell["scenario"]) for cell in cells):
        here = [cell for cell in cells if (cell["suite"], cell["scenario"]) == (suite, scenario)]
        rows = [_reached(summary, cell) for cell in here]
        marked = [cell["controller"] for cell in here].index(subject)
        found.append(f"<h3>{escape(suite)}, {escape(scenario)}</h3>{table(head, rows, marked)}")
    return "".join(found)


def _reached(summary: Summary, cell: dict[str, Any]) -> list[str]:
    return [
        controller(summary, cell["controller"]),
        f"{100 * cell['reached']:.0f} %",
        f"{100 * cell['reached_position']:.0f} %",
        with_interval(cell["reach_time_s"]) if cell["reach_time_s"]["count"] else "–",
        with_interval(cell["goal_error_mm"]),
        number(cell["goal_error_deg"]["iqm"]),
        number(cell["path_length_m"]["iqm"]),
        str(cell["joint_limit_violations"]),
        *([str(cell["scene_contact"])] if "scene_contact" in cell else []),
        str(cell["failures"]),
    ]


def failures(summary: Summary) -> str:
    """The table of reasons why episodes failed, by controller, the most frequent first; empty where none did."""
    rows = []
    for name in ranked(summary):
        times: dict[str, list[float]] = {}
        for failure in summary["controllers"][name]["failures"]:
            reason, time = _reason(failure["failure"])
            times.setdefault(reason, []).append(time)
        for reason, found in sorted(times.items(), key=lambda item: -len(item[1]))[:REASONS]:
            when = " to ".join(dict.fromkeys(number(of(found)) for of in (min, max)))
            rows.append([controller(summary, name), str(len(found)), when, escape(reason)])
    return table(["Controller", "Episodes", "After<br>s", "Reason"], rows, wrap=(3,)) if rows else ""


def _reason(failure: str) -> tuple[str, float]:
    """Why and when, s, an episode failed; NaN where it does not say when."""
    found = re.search(r" at ([\d.]+) s$", failure)
    return (failure[: found.start()], float(found[1])) if found else (failure, float("nan"))


def behaviour(summary: Summary) -> str:
    """The table of timing, smoothness and cost."""
    names, blocks = ranked(summary), summary["controllers"]
    fields = {
        "lag_ms": "Lag<br>ms",
        "cross_track_mm": "Cross-track<br>mm",
        "settling_time_s": "Settling<br>s",
        "overshoot_percent": "Overshoot<br>%",
        "effort_n2m2s": "Effort<br>N²m²s",
        "energy_j": "Energy<br>J",
        "rms_jerk_rad_s3": "RMS jerk<br>rad/s³",
        "ldlj": "Smoothness<br>LDLJ",
        "saturation_s": "Saturated<br>s",
        "action_us": "Per action<br>µs",
    }
    rows = [[controller(summary, name), *(number(blocks[name][field]["iqm"]) for field in fields)] for name in names]
    return table(["Controller", *fields.values()], rows, names.index(summary["comparison"]["subject"]))


def pairs(summary: Summary) -> str:
    """The table of paired comparisons of the subject with every other controller."""
    against = summary["comparison"]["against"]
    rows = []
    for name in [name for name in ranked(summary) if name in against]:
        position, angle = against[name][POSITION], against[name][ORIENTATION]
        odds = position["probability_of_improvement"]
        rows.append(
            [
                controller(summary, name),
                with_interval(position["difference"]),
                with_interval(position["times_smaller"]),
                f"{100 * odds['probability']:.0f} %<small>[{100 * odds['low']:.0f}, {100 * odds['high']:.0f}]</small>",
                with_interval(angle["difference"]),
            ]
        )
    head = [
        "Against",
        "Position difference<br>mm",
        "Times smaller<br>position",
        "Probability of<br>improvement",
        "Orientation difference<br>deg",
    ]
    return table(head, rows) if rows else ""


def breakdown(summary: Summary, field: str, title: str) -> str:
    """One table of the headline metrics for every value of a field, as `suites`; nothing if there is only one."""
    cells, names = summary[field], ranked(summary)
    if len(cells) < 2:
        return ""
    rows = [[controller(summary, name), *(_entry(blocks, name) for blocks in cells.values())] for name in names]
    count = {value: next(iter(blocks.values()))["episodes"] for value, blocks in cells.items()}
    head = [title, *(f"{escape(str(value))}<br>{count[value]} episodes" for value in cells)]
    return table(head, rows, names.index(summary["comparison"]["subject"]))


def _entry(blocks: Summary, name: str) -> str:
    text = f"{number(blocks[name][POSITION]['iqm'])}<small>{number(blocks[name][ORIENTATION]['iqm'])}°</small>"
    best = min(blocks, key=lambda other: blocks[other][POSITION]["iqm"])
    return f'<b class="best">{text}</b>' if name == best else text


def iso(summary: Summary) -> str:
    """The table of ISO 9283 figures, if the suite was run."""
    fields = {
        "AP_mm": "Pose accuracy<br>AP, mm",
        "RP_mm": "Pose repeatability<br>RP, mm",
        "AT_mm": "Path accuracy<br>AT, mm",
        "RT_mm": "Path repeatability<br>RT, mm",
    }
    blocks = summary.get("iso9283") or {}
    names = [name for name in ranked(summary) if name in blocks]
    rows = [[controller(summary, name), *(number(blocks[name].get(field)) for field in fields)] for name in names]
    return table(["Controller", *fields.values()], rows) if rows else ""


def fairness(summary: Summary) -> str:
    """The table of what every controller was given."""
    info = summary.get("given", {})
    fields = ("control", "preview", "trained_on", "tuning_budget", "objective", "information")
    rows = [
        [controller(summary, name), *(escape(str(info[name].get(field) or "–")) for field in fields)]
        for name in ranked(summary)
        if name in info
    ]
    return (
        table(
            ["Controller", "Command", "Preview<br>steps", "Trained on", "Tuning budget", "Objective", "Information"],
            rows,
            wrap=(4, 5, 6),
        )
        if rows
        else ""
    )


def details(summary: Summary) -> str:
    """Configuration, versions, seeds and wall times as folded blocks."""
    blocks = {
        "Configuration": summary["config"],
        "Versions": summary["versions"],
        "Seeds": summary["seeds"],
        "Wall time, s": summary.get("wall_seconds", {}),
    }
    return "".join(
        f"<details><summary>{name}</summary><pre>{escape(json.dumps(value, indent=2))}</pre></details>"
        for name, value in blocks.items()
        if value
    )


def ranked(summary: Summary) -> list[str]:
    """The controllers, most accurate first."""
    blocks = summary["controllers"]
    return sorted(blocks, key=lambda name: blocks[name][POSITION]["iqm"])


def controller(summary: Summary, name: str) -> str:
    """A controller's name with its colour."""
    look = looks(summary)[name]
    return f'<span class="dot" style="background:{themed(look.colour)}"></span>{escape(look.label)}'
