"""Write `report.html` of a bench run: one self-contained page of tables, figures and an animation."""

import base64
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.bench.metrics import orientation_error, position_error
from armctl.bench.records import Track, read_table, read_tracks, recorded_scene
from armctl.bench.summary import Row, column
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.report import plots
from armctl.report import tables as sections
from armctl.report import weaknesses as limits
from armctl.report.animation import Clip, animate
from armctl.report.headline import cards, header
from armctl.report.heat import heat_map
from armctl.report.looks import looks
from armctl.report.replay import replay
from armctl.report.theme import figure, page, section
from armctl.scene.body import Scene
from armctl.urdf import load_chain

PATHS = 3
WATCHABLE = 2.5  # s
GONE = "<p class=note>The arm's URDF is no longer where the bench found it, so there is nothing to replay.</p>"
NOTES = {
    "Replay": "The worst episodes, as they were, and a typical one. Drag to turn, wheel to come nearer. Grey: "
    "reference; ring: where the tip should be; coloured: where it was.",
    "Reaching": "Share of goals within 1&nbsp;cm and 15° of which the tip is at the end, and since when it stays "
    "there. In suite <i>goal</i> controllers see the goal alone, in <i>reach</i> a planned way to it. "
    "All that follows is about the way: distances are those to the plan or, in suite <i>goal</i>, to the goal.",
    "All controllers": "Ordered by position error; lower is better. Worst 10&nbsp;%: the mean of the worst tenth.",
    "Failed episodes": "They count as the worst there can be. Where a controller of the user's own raised an "
    "exception, its traceback is in <i>tracebacks.txt</i> of the run.",
    "Controllers on every plant": "Position RMSE in mm with its 95&nbsp;% interval, and orientation RMSE; the darker "
    "the worse, on a logarithmic scale. Framed: the best on the plant, with the fewest failures and then the smallest "
    "error. ×: how many times the oracle's error on the same episodes, where an oracle was run. ✗: failed episodes; "
    "they count as 1000&nbsp;mm, and an interquartile mean does not see those of a quarter of the episodes. "
    "⚑: episodes that the controller itself took to be out of its depth.",
    "Error over payload, delay and friction": "One property of the plant at a time; what else differs is that of the "
    "preset payload at half the payload range.",
    "Paired comparison": "The highlighted controller minus the other one on the same episode; negative means better.",
    "Paths": "Deviations are magnified so that millimetres can be seen.",
    "ISO 9283": "Position part; the worst test pose and the worst path count. Poses are revisited within an episode, "
    "paths are repeated over the draws.",
    "Timing, smoothness and cost": "Interquartile means over the episodes.",
    "Goal generator": "Share of proposed trajectories that pass the independent checker, and the audit of the model "
    "against held-out motions and against sampling the corpus and rejecting.",
}


def write_report(run_dir: str | Path, *, animation: bool = True) -> Path:
    """Write `report.html` into a finished bench folder and return its path.

    run_dir: folder written by `run_bench`. animation: whether to render the arm (a few seconds). The page needs nothing
    outside itself. Blocks that other commands add to `summary.json` are shown where present: `generator` (validity,
    acceptance, audit), `weaknesses` (sentences), `wall_seconds`.
    Raises UsageError where the folder is not that of a finished bench.
    """
    folder = Path(run_dir)
    summary = store.read_json(folder / "summary.json")
    table = read_table(folder, list(summary["controllers"]))
    tracks = {name: read_tracks(folder, rows) for name, rows in table.items()}
    chain, scene = _arm(summary), recorded_scene(folder)
    movie = _movie(summary, table, tracks, chain, scene) if animation and chain else ""
    moving = replay(summary, table, tracks, chain, scene) if chain else GONE
    seen = section("Replay", moving, NOTES["Replay"] if chain else "")
    body = header(summary) + cards(summary) + movie + _results(summary, table, tracks) + seen + _background(summary)
    path = folder / "report.html"
    store.write_text(path, page(f"armctl bench: {summary['config'].get('robot', 'arm')}", body))
    return path


def _arm(summary: dict[str, Any]) -> Chain | None:
    """The arm of the bench; None where its file is no longer there, as of a run folder from another machine."""
    try:
        return load_chain(summary["config"]["robot"])
    except UsageError:
        return None


def _results(summary: dict[str, Any], table: dict[str, list[Row]], tracks: dict[str, list[Track]]) -> str:
    key = plots.legend(looks(summary))
    blocks = {
        "Reaching": sections.reaching(summary),
        "All controllers": sections.headline(summary) + forests(summary),
        "Failed episodes": sections.failures(summary),
        "Controllers on every plant": heat_map(summary),
        "Error over payload, delay and friction": _curves(summary, key),
        "Paired comparison": sections.pairs(summary),
        "Error over time": key + _over_time(summary, tracks),
        "How often how accurate": key + _profiles(summary, table),
        "Paths": key + _paths(summary, table, tracks),
        "By suite": sections.breakdown(summary, "suites", "Position RMSE mm, orientation deg"),
        "ISO 9283": sections.iso(summary),
        "Timing, smoothness and cost": sections.behaviour(summary),
    }
    return "".join(section(title, block, NOTES.get(title, "")) for title, block in blocks.items())


def _background(summary: dict[str, Any]) -> str:
    blocks = {
        "Goal generator": limits.generator(summary),
        "What each controller was given": sections.fairness(summary),
        "Weaknesses and limitations": limits.weaknesses(summary),
        "To reproduce": sections.details(summary),
    }
    return "".join(section(title, block, NOTES.get(title, "")) for title, block in blocks.items())


def forests(summary: dict[str, Any]) -> str:
    """Position and orientation error of every controller with their intervals, as two figures."""
    return (
        '<div class="grid">'
        + "".join(
            figure(
                plots.forest(summary, metric, text),
                "Dot: interquartile mean. Bar: 95&nbsp;% bootstrap interval. Logarithmic axis.",
            )
            for metric, text in (
                ("position_rmse_mm", "position RMSE, mm"),
                ("orientation_rmse_deg", "orientation RMSE, deg"),
            )
        )
        + "</div>"
    )


def _curves(summary: dict[str, Any], key: str) -> str:
    caption = (
        "Line: interquartile mean. Band: 95&nbsp;% bootstrap interval. ✗: some episodes failed; they count as 1000 mm."
    )
    figures = [figure(plots.curve(block, looks(summary)), caption) for block in summary.get("curves", {}).values()]
    return f'{key}<div class="grid small">{"".join(figures)}</div>' if figures else ""


def _profiles(summary: dict[str, Any], table: dict[str, list[Row]]) -> str:
    return (
        '<div class="grid">'
        + "".join(
            figure(
                plots.profile(table, looks(summary), metric, text),
                "Share of episodes whose error stays below the threshold; further left is better. "
                "Band: 95&nbsp;% bootstrap.",
            )
            for metric, text in (
                ("position_rmse_mm", "position RMSE, mm"),
                ("orientation_rmse_deg", "orientation RMSE, deg"),
            )
        )
        + "</div>"
    )


def _over_time(summary: dict[str, Any], tracks: dict[str, list[Track]]) -> str:
    dt = next(iter(tracks.values()))[0].dt
    figures = []
    for measure, text in ((position_error, "position error, mm"), (orientation_error, "orientation error, deg")):
        errors = {
            name: _stack([measure(one.pose, one.reference)[: one.moving] for one in motions])
            for name, motions in tracks.items()
        }
        figures.append(
            figure(
                plots.error_over_time(errors, looks(summary), dt, text),
                "Line: median over the episodes. Band: middle half. "
                "Logarithmic axis; drawn while at least half of the episodes last.",
            )
        )
    return f'<div class="grid">{"".join(figures)}</div>'


def _paths(summary: dict[str, Any], table: dict[str, list[Row]], tracks: dict[str, list[Track]]) -> str:
    names, figures = list(table), []
    focus = [summary["comparison"]["subject"], summary["comparison"]["best_classical"]]
    for index in _chosen(table[names[0]]):
        row = table[names[0]][index]
        # A failed episode is cut short, so the reference is taken from the longest record.
        reference = max((tracks[name][index].reference[:, :3] for name in names), key=len)
        drawn = {name: tracks[name][index].pose[:, :3] for name in names if not table[name][index]["failure"]}
        if not drawn:
            continue
        title = f"{row['suite']}: {row['reference']}" if row["suite"] != row["reference"] else row["reference"]
        picture, factor = plots.path(reference, drawn, looks(summary), focus, f"{index}")
        episode = f"Scenario {escape(row['scenario'])}, draw {int(row['draw'])}"
        caption = f"Deviation × {factor:.0f}. {episode}. Grey: reference; ring: start."
        figures.append(figure(picture, caption, title))
    return f'<div class="grid small">{"".join(figures)}</div>'


def _chosen(rows: list[Row]) -> list[int]:
    """A few episodes to draw: named shapes first, then the widest choice of references."""
    shapes = ("circle", "square", "figure_eight", "helix")
    order = sorted(
        range(len(rows)),
        key=lambda i: (
            next((k for k, s in enumerate(shapes) if s in rows[i]["reference"]), 9),
            int(rows[i]["draw"]),
            rows[i]["suite"],
            i,
        ),
    )
    found: dict[str, int] = {}
    for index in order:
        found.setdefault(rows[index]["reference"], index)
    return list(found.values())[:PATHS]


def _movie(
    summary: dict[str, Any],
    table: dict[str, list[Row]],
    tracks: dict[str, list[Track]],
    chain: Chain,
    scene: Scene | None,
) -> str:
    chosen, rival = summary["comparison"]["subject"], summary["comparison"]["best_classical"]
    pair = [name for name in (chosen, rival) if name]
    pair = list(dict.fromkeys(pair))
    index = _median_episode(table, pair)
    if index is None:
        return ""
    look, motions = looks(summary), [tracks[name][index] for name in pair]
    clips = [
        Clip(look[name].label, look[name].colour, one.q, one.pose[:, :3], position_error(one.pose, one.reference))
        for name, one in zip(pair, motions, strict=True)
    ]
    gif = animate(chain, motions[0].reference[:, :3], clips, motions[0].dt, scene=scene)
    row = table[chosen][index]
    caption = (
        f"The same episode in real time ({escape(row['suite'])}: {escape(row['reference'])}, scenario "
        f"{escape(row['scenario'])}): an episode of typical error for the pair. Ring: goal; grey: reference path. "
        "Below: position error over time (square-root axis)."
    )
    return figure(
        f'<img alt="animation of the arm" src="data:image/gif;base64,{base64.b64encode(gif).decode()}">',
        caption,
        kind="movie",
    )


def _median_episode(table: dict[str, list[Row]], names: list[str]) -> int | None:
    """The episode nearest the median of all `names`, so that the animation flatters none of them.

    It is chosen among those long enough to watch, where there are any.
    """
    usable = [i for i in range(len(table[names[0]])) if not any(table[name][i]["failure"] for name in names)]
    if not usable:
        return None
    usable = [i for i in usable if float(table[names[0]][i]["duration_s"]) >= WATCHABLE] or usable
    logs = np.stack([np.log(np.maximum(column(table[name], "position_rmse_mm"), 1e-9)) for name in names])[:, usable]
    return usable[int(np.argmin(np.abs(logs - np.median(logs, axis=1, keepdims=True)).sum(axis=0)))]


def _stack(rows: list[np.ndarray]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row)), constant_values=np.nan) for row in rows])
