"""Result blocks about reinforcement learning: what seeds achieve, and policies beside controllers."""

import statistics
from collections.abc import Sequence
from typing import Any

from readme_twin import interval, source, table

TITLES = {
    "reach_position": "reach a position (5 cm)",
    "reach": "reach a pose (10 mm, 15°)",
    "track": "track",
}


def rl_block(summary: dict[str, Any]) -> str:
    """Tasks × algorithms: the best judgement of every seed, samples until it is learned, seconds of training."""
    rows = [_cell(name, cell) for name, cell in summary["cells"].items()]
    trackers = summary["tracker"]
    rows.append(
        [
            "track, combined",
            "tracker, by gradient",
            "twin",
            f"{_count(trackers[0]['steps'])}",
            f"{len(trackers)}",
            "",
            _spread([one["last_mm"] for one in trackers]),
            "",
            "",
            _spread([one["seconds"] for one in trackers]),
        ]
    )
    head = ["task", "algorithm", "on", "steps", "seeds", "success, %", "error, mm", "angle, °", "90 % after steps", "s"]
    facts = (
        "Median over the seeds [least, most] of the best judgement of each, in PyBullet on held-out episodes, 96 of "
        "reaching (error at the end) and 32 of tracking (root mean square over 2 s). The tracker's "
        "error is that of its validation in the twin, on other motions. Seconds are those of training, two runs side "
        "by side, while other work shared the two cores."
    )
    command = "python experiments/rl.py && python experiments/rl_vs_control.py"
    return "\n\n".join([table(head, rows), facts, source(command, summary)])


def _cell(name: str, cell: dict[str, Any]) -> list[str]:
    task, scenario, algorithm = name.split("-")
    learned = [one for one in cell["learned_after"] if one is not None]
    after = "never"
    if learned:
        after = f"{_count(statistics.median(learned))} ({len(learned)} of {len(cell['success'])} seeds)"
    return [
        f"{TITLES[task]}, {scenario}",
        algorithm.upper(),
        cell["backend"],
        _count(cell["steps"]),
        f"{len(cell['success'])}",
        "" if task == "track" else _spread([100 * x for x in cell["success"]]),
        _spread(cell["position_error_mm"]),
        "" if task == "reach_position" else _spread(cell["orientation_error_deg"]),
        "" if task == "track" else after,
        _spread(cell["seconds"]),
    ]


def _count(steps: float) -> str:
    return f"{steps / 1e6:.2g} M" if steps >= 1e6 else f"{steps / 1e3:.0f} k"


def _spread(values: Sequence[float]) -> str:
    return "{} [{}, {}]".format(*(f"{x:.3g}" for x in (statistics.median(values), min(values), max(values))))


def rl_bench_block(summary: dict[str, Any]) -> str:
    """The best policies beside controllers, on the same goals and motions."""
    plants = ("nominal", "combined")
    reached = {(cell["controller"], cell["scenario"]): cell for cell in summary["reaching"]}
    tracked = summary["tracking"]["cells"]
    rows = [_row(name, plants, reached, tracked) for name in dict.fromkeys([*tracked, *(n for n, _ in reached)])]
    head = [
        "controller",
        *(f"goals: reached, error mm, {p}" for p in plants),
        *(f"motions: RMSE mm, {p}" for p in plants),
    ]
    facts = (
        "Interquartile means with 95 % bootstrap intervals over 24 goals, shown alone, and 24 held-out motions of the "
        "corpus, in PyBullet. Policies are the best seed of each cell by its own judgements; reached is within 1 cm "
        "and 15°, or 1 cm for those that were trained on positions."
    )
    command = source("python experiments/rl_vs_control.py", summary)
    transfer = "Best seeds on the same goals and plants in twin and PyBullet: " + "; ".join(
        f"`{cell}` {_backends(cell, both)}" for cell, both in summary["transfer"].items()
    )
    return "\n\n".join([table(head, rows), facts, f"{transfer}.", command])


def _backends(cell: str, both: dict[str, Any]) -> str:
    twin, bullet = both["twin"], both["bullet"]
    if cell.startswith("track"):
        return f"{twin['position_error_mm']:.3g} and {bullet['position_error_mm']:.3g} mm"
    return f"{100 * twin['success']:.0f} and {100 * bullet['success']:.0f} %"


def _row(name: str, plants: Sequence[str], reached: dict[Any, Any], tracked: dict[str, Any]) -> list[str]:
    cells = [f"`{name}`"]
    for plant in plants:
        cell = reached.get((name, plant))
        share = "reached_position" if name.startswith("reach_position") else "reached"
        cells.append("" if cell is None else f"{100 * cell[share]:.0f} %, {interval(cell['goal_error_mm'])}")
    for plant in plants:
        cells.append("" if name not in tracked else interval(tracked[name][plant]["position_rmse_mm"]))
    return cells
