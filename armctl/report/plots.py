"""Figures of the report, each returned as inline SVG text."""

import io
import re
from html import escape
from typing import Any

import numpy as np

from armctl.bench import stats
from armctl.bench.summary import Row, column, strata
from armctl.plot_style import GRID, INK, MUTED, REFERENCE, figure_style
from armctl.report.looks import Look, looks
from armctl.report.theme import themed

Table = dict[str, list[Row]]
Looks = dict[str, Look]
ENDS = ("low", "high")


def forest(summary: dict[str, Any], metric: str, xlabel: str) -> str:
    """Draw the interquartile mean and 95 % interval of every controller on a logarithmic axis, as SVG."""
    blocks = summary["controllers"]
    names = sorted(blocks, key=lambda name: -(blocks[name][metric]["iqm"] or np.inf))
    look = looks(summary)
    with figure_style():
        figure, axes = _figure(5.4, 0.7 + 0.42 * len(names))
        for row, name in enumerate(names):
            value = blocks[name][metric]
            axes.plot([value["low"], value["high"]], [row, row], color=look[name].colour, lw=6, alpha=0.3)
            axes.plot(value["iqm"], row, "o", ms=9, color=look[name].colour, mec="white", mew=1.2)
            axes.annotate(
                f"{value['iqm']:.3g}",
                (value["iqm"], row),
                (0, 8),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=INK,
            )
        axes.set_yticks(range(len(names)), [look[name].label for name in names])
        axes.set_ylim(-0.6, len(names) - 0.2)
        axes.grid(axis="y", visible=False)
        log_axis(axes, "x", [blocks[name][metric][key] for name in names for key in ("low", "high")])
        axes.set_xlabel(xlabel)
        return inline_svg(figure, f"forest-{metric}")


def profile(table: Table, look: Looks, metric: str, xlabel: str) -> str:
    """Draw the share of episodes below each error threshold with its 95 % bootstrap band, as SVG."""
    every = np.concatenate([column(rows, metric) for rows in table.values()])
    positive = every[every > 0]
    thresholds = np.geomspace(positive.min() / 1.3, positive.max() * 1.1, 120)
    with figure_style():
        figure, axes = _figure(5.4, 3.3)
        for name, rows in table.items():
            values = column(rows, metric)
            low, high = stats.profile_band(values, thresholds, strata(rows), samples=300)
            axes.fill_between(thresholds, 100 * low, 100 * high, color=look[name].colour, alpha=0.12, lw=0)
            axes.plot(
                thresholds,
                100 * stats.performance_profile(values, thresholds),
                color=look[name].colour,
                lw=look[name].width,
                label=look[name].label,
            )
        log_axis(axes, "x", thresholds)
        axes.set(xlabel=xlabel, ylabel="episodes below, %", ylim=(0, 102))
        return inline_svg(figure, f"profile-{metric}")


def error_over_time(errors: dict[str, np.ndarray], look: Looks, dt: float, ylabel: str) -> str:
    """Draw the median and quartile band over episodes of every controller against time, as SVG.

    errors: controller -> (N, T) error of every episode, NaN after the end of a shorter one. dt: sampling period, s.
    """
    with figure_style():
        figure, axes = _figure(5.4, 3.3)
        drawn = []
        for name, values in errors.items():
            counted = np.sum(np.isfinite(values), axis=0) >= max(1, 0.5 * len(values))
            values = values[:, counted]
            time = np.flatnonzero(counted) * dt
            low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
            axes.fill_between(time, low, high, color=look[name].colour, alpha=0.12, lw=0)
            axes.plot(time, middle, color=look[name].colour, lw=look[name].width, label=look[name].label)
            drawn.append(np.clip(middle[5:], 1e-3, None))
        spread = np.concatenate([*drawn, [] if any(map(len, drawn)) else [1.0]])  # all may have failed at once
        log_axis(axes, "y", spread)
        axes.set_ylim(spread.min() / 2, spread.max() * 2.5)
        axes.set(xlabel="time, s", ylabel=ylabel, xlim=(0, None))
        return inline_svg(figure, f"time-{ylabel}")


def curve(block: dict[str, Any], look: Looks) -> str:
    """Draw a block of `curves`: interquartile mean and 95 % interval of every controller over its values, as SVG.

    Points at which episodes failed are crosses, side by side where several controllers fail alike.
    """
    metric, values = "position_rmse_mm", np.array(block["values"])
    count = len(block["cells"])
    aside = min(0.022, 0.1 / count) * np.ptp(values) * (np.arange(count) - (count - 1) / 2)
    with figure_style():
        figure, axes = _figure(3.9, 3.1)
        for (name, cells), shift in zip(block["cells"].items(), aside, strict=True):
            low, middle, high = (np.array([cell[metric][key] for cell in cells]) for key in ("low", "iqm", "high"))
            failed = np.array([cell["failures"] > 0 for cell in cells])
            colour, width = look[name].colour, look[name].width
            axes.fill_between(values, low, high, color=colour, alpha=0.12, lw=0)
            axes.plot(values, middle, color=colour, lw=width)
            axes.plot(values[~failed], middle[~failed], "o", ms=4, color=colour, mec="none")
            axes.plot(values[failed] + shift, middle[failed], "X", ms=8, color=colour, mec="white", mew=0.8, zorder=4)
        log_axis(axes, "y", [cell[metric][key] for cells in block["cells"].values() for cell in cells for key in ENDS])
        axes.set(xlabel=block["label"], ylabel="position RMSE, mm")
        return inline_svg(figure, f"curve-{block['label']}")


def path(
    reference: np.ndarray, tracks: dict[str, np.ndarray], look: Looks, focus: list[str], name: str
) -> tuple[str, float]:
    """Draw a reference path and the controllers' paths in its own plane with magnified deviations.

    reference: (T, 3) m. tracks: controller -> (T, 3) m. focus: controllers for which size and magnification are chosen;
    others may leave the picture. -> SVG and the factor on the deviation from the reference.
    """
    centre = reference.mean(axis=0)
    plane = np.linalg.svd(reference - centre, full_matrices=False)[2][:2]
    flat = 100 * (reference - centre) @ plane.T
    offsets = {name: 100 * (track - reference) @ plane.T for name, track in tracks.items()}
    extent = np.ptp(flat, axis=0).max()
    wide = max(
        (np.quantile(np.linalg.norm(offsets[name], axis=1), 0.9) for name in focus if name in offsets), default=1.0
    )
    factor = max(step for step in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if step == 1 or step * wide <= 0.12 * extent)
    half = 0.66 * max(extent, 1e-3)
    with figure_style():
        figure, axes = _figure(3.5, 3.5)
        axes.plot(*flat.T, color=REFERENCE, lw=6, alpha=0.45, solid_joinstyle="round")
        axes.plot(*flat[0], "o", color="white", mec=MUTED, mew=1.5, ms=7, zorder=5)
        for controller, offset in offsets.items():
            axes.plot(*(flat + factor * offset).T, color=look[controller].colour, lw=0.75 * look[controller].width)
        middle = 0.5 * (flat.min(axis=0) + flat.max(axis=0))
        axes.set(
            xlim=(middle[0] - half, middle[0] + half),
            ylim=(middle[1] - half, middle[1] + half),
            aspect="equal",
            xlabel="in the path's plane, cm",
            ylabel="cm",
        )
        return inline_svg(figure, f"path-{name}"), factor


def legend(look: Looks) -> str:
    """An HTML legend of the controllers in their colours."""
    entries = (f'<span><i style="background:{one.colour}"></i>{escape(one.label)}</span>' for one in look.values())
    return f'<div class="legend">{themed("".join(entries))}</div>'


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def log_axis(axes: Any, which: str, values: Any) -> None:
    """Make an axis, "x" or "y", logarithmic, with plain numbers where values of such a spread need them."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    values = np.asarray([value for value in values if value is not None and value > 0], float)
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    wide = np.log10(values.max() / values.min()) > 2.2 if len(values) else False
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.grid(which="minor", visible=False)
    axes.grid(color=GRID)


def inline_svg(figure: Any, key: str) -> str:
    """A matplotlib figure as SVG text for a page; key: what the names inside are made from, one per figure."""
    import matplotlib

    data = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": key}):
        figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = data.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # The page scales the figure; only the proportions are the figure's own.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    return re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', text, count=1)
