"""The audit's pictures, each a matplotlib figure in the house's style, and how they are written."""

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.controller_audit.instability import HEAVIEST
from armctl.controller_audit.over_sensitivity import CHANNELS, UNITS
from armctl.plot_style import INK, MUTED, PALETTE, REFERENCE, figure_style
from armctl.report.plots import inline_svg, log_axis

OURS, TRUTH, AGAINST = PALETTE["learned"][0], PALETTE["classical"][2], PALETTE["classical"][0]
SHADES = {"motions": OURS, "plants": PALETTE["classical"][2], "arm": PALETTE["classical"][0], "family": REFERENCE}
SHOWN = 3
"""Episodes whose beliefs are drawn."""
Numbers = dict[str, Any]
Series = dict[str, np.ndarray]


def write(folder: Path, numbers: Numbers, series: Series) -> dict[str, str]:
    """Write every picture there is something for as PNG and SVG, and return each as SVG text for a page."""
    return {
        name: _written(folder, name, draw, numbers, series) for name, draw in PICTURES.items() if _there(name, series)
    }


def _written(folder: Path, name: str, draw: Callable[..., Any], numbers: Numbers, series: Series) -> str:
    with figure_style():
        figure, data = draw(numbers, series), io.BytesIO()
        figure.savefig(data, format="png", dpi=160, facecolor="white")
        text = inline_svg(figure, name)
    store.write_bytes(folder / f"{name}.png", data.getvalue())
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    store.write_text(folder / f"{name}.svg", head + text.replace("<svg", '<svg style="background:#fff"', 1))
    return text


def _there(name: str, series: Series) -> bool:
    needed = {"beliefs": "opacity/mass", "learned_torques": "opacity/learned", "parts": "opacity/mass"}
    return name not in needed or needed[name] in series


def over_fitting(numbers: Numbers, series: Series) -> Any:
    """Bars of the error on every condition, with intervals, and by family."""
    found = numbers["over_fitting"]
    rows = [*found["conditions"], *(_family(name, error) for name, error in found["families_mm"].items())]
    figure, axes = _figure(10.4, 0.8 + 0.3 * len(rows))
    place = np.arange(len(rows)) + np.cumsum([0, *(0.6 * (a["group"] != b["group"]) for a, b in pairwise(rows))])
    for y, row in zip(place, rows, strict=True):
        axes.barh(y, row["iqm_mm"], height=0.62, color=SHADES[row["group"]], alpha=0.85)
        if row["low_mm"] < row["high_mm"]:
            axes.plot([row["low_mm"], row["high_mm"]], [y, y], color=INK, lw=1.2)
        if "joints_exact_mm" in row:
            axes.plot([row["joints_exact_mm"]] * 2, [y - 0.31, y + 0.31], color="white", lw=1.6)
        _mark(axes, max(row["high_mm"], row["iqm_mm"]), y, row)
    axes.set_yticks(place, [f"{row['group']}: {row['condition']}" for row in rows])
    _horizontal(axes)
    axes.set_xlabel("position error, rms, mm (interquartile mean, 95 % interval)")
    return figure


def _family(name: str, error: float) -> Numbers:
    """A row of the picture for a family of held-out motions."""
    condition = name.replace("_", " ")
    return {"group": "family", "condition": condition, **dict.fromkeys(("iqm_mm", "low_mm", "high_mm"), error)}


def _mark(axes: Any, x: float, y: float, row: Numbers) -> None:
    """The number of a bar, and how many episodes are in it that diverged."""
    lost = f", {row['diverged']} diverged" if row.get("diverged") else ""
    text = f"{row['iqm_mm']:.3g}{lost}"
    axes.annotate(text, (x, y), (6, 0), textcoords="offset points", va="center", fontsize=9)


def _horizontal(axes: Any) -> None:
    """What all axes with horizontal bars have in common."""
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.16)
    axes.set_xlim(0, None)


def over_sensitivity(numbers: Numbers, series: Series) -> Any:
    """How far random and worst disturbances move the tip over time, one panel per kind."""
    figure, panels = _figure(10.4, 3.1, 3)
    for i, axes in enumerate(panels):
        for kind, colour in (("random", REFERENCE), ("worst", AGAINST)):
            away = series[f"sensitivity/{i}/{kind}"]
            low, middle, high = np.nanquantile(away, [0.25, 0.5, 0.75], axis=1)
            step = np.arange(1, len(middle) + 1)
            axes.fill_between(step, low, high, color=colour, alpha=0.18, lw=0)
            axes.plot(step, middle, color=colour, lw=2, label=kind if kind == "random" else "chosen against it")
        axes.set(title=f"{CHANNELS[i]}, {UNITS[i]}", xlabel="control steps", xlim=(0, None), ylim=(0, None))
    panels[0].set_ylabel("tip moved by, mm")
    panels[0].legend(loc="upper left", fontsize=9)
    return figure


def margins(numbers: Numbers, series: Series) -> Any:
    """Error and lost episodes over the delay, and the share of episodes that bear a load."""
    figure, (left, right) = _figure(9.6, 3.3, 2)
    found, rms = numbers["instability"]["delay"], series["instability/delay"]
    delay = np.arange(len(rms))
    low, middle, high = np.quantile(rms, [0.25, 0.5, 0.75], axis=1)
    left.fill_between(delay, low, high, color=OURS, alpha=0.15, lw=0)
    left.plot(delay, middle, "o-", color=OURS, lw=2, ms=5)
    log_axis(left, "y", np.ravel(rms))
    lost = np.array(found["diverged"])
    for x, count in zip(delay, lost, strict=True):
        if count:
            left.annotate(
                f"{count} lost",
                (x, middle[x]),
                (0, 9),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
                color=AGAINST,
            )
    if found["margin_steps"] >= 0:
        left.axvspan(-0.4, found["margin_steps"] + 0.5, color=TRUTH, alpha=0.08, lw=0)
    left.set(
        title="Delay margin",
        xlabel="constant delay, control steps",
        ylabel="position error, mm",
        xlim=(-0.4, len(rms) - 0.6),
    )
    left.margins(y=0.2)
    _bearing(right, series["instability/payload"], numbers["instability"]["payload"])
    return figure


def _bearing(axes: Any, margin: np.ndarray, found: Numbers) -> None:
    """The share of episodes that stay on their way under a load, over the load."""
    x = np.sort(margin[margin < HEAVIEST])
    share = 100 * (1 - np.arange(len(x) + 1) / len(margin))
    top = max(1.15 * margin.max(), 1.5)
    axes.step([0, *x, min(margin.max(), HEAVIEST)], [100, *share], where="pre", color=OURS, lw=2)
    axes.axvline(1, color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.annotate("payload range", (1, 4), (4, 0), textcoords="offset points", fontsize=8.5, color=MUTED)
    axes.axvspan(0, found["margin_times_rated"], color=TRUTH, alpha=0.08, lw=0)
    axes.set(title="Payload margin", xlabel="load, times the payload range", ylabel="episodes on their way, %")
    axes.set(xlim=(0, top), ylim=(0, 104))


def recovery(numbers: Numbers, series: Series) -> Any:
    """How far the tip is from where it would be without the kick, over time; contraction along the references."""
    figure, (left, right) = _figure(9.6, 3.1, 2)
    away, dt = series["instability/kick"], float(series["dt"])
    time = dt * np.arange(1, len(away) + 1)
    low, middle, high, most = np.nanquantile(np.maximum(away, 1e-3), [0.25, 0.5, 0.75, 1.0], axis=1)
    left.fill_between(time, low, high, color=OURS, alpha=0.15, lw=0)
    left.plot(time, middle, color=OURS, lw=2, label="median")
    left.plot(time, most, color=OURS, lw=1, ls=(0, (4, 3)), label="worst")
    left.axhline(1, color=TRUTH, lw=1)
    log_axis(left, "y", np.concatenate([middle, most]))
    left.set(
        title=f"After a kick of {numbers['instability']['kick']['kick_rad_s']:g} rad/s",
        xlabel="time since, s",
        ylabel="tip moved by, mm",
        xlim=(0, None),
    )
    left.legend(fontsize=9)
    radius = series["instability/contraction"]
    radius = radius[np.isfinite(radius)]
    right.hist(radius, bins=24, color=OURS, alpha=0.85)
    right.axvline(1, color=AGAINST, lw=1.4)
    right.axvspan(1, 2, color=AGAINST, alpha=0.08, lw=0)
    right.set(title="Contraction along the references", xlabel="factor per control step", ylabel="places")
    low, high = float(np.min(radius, initial=0.99)), float(np.max(radius, initial=1.0))
    right.set_xlim(low - 0.005, high + max(0.005, 0.1 * (high - low)))
    return figure


def beliefs(numbers: Numbers, series: Series) -> Any:
    """Load, dry friction and delay as they are believed over time, with bands of two deviations, against the truth."""
    figure, panels = _figure(10.4, 6.6, SHOWN, 3)
    time, episodes = series["opacity/time"], _spread(series["opacity/mass_truth"][0])
    joint = int(np.argmax(series["opacity/dry_truth"].mean(axis=0)))
    for column, e in enumerate(episodes):
        own = series["opacity/counted"][:, e]
        t = time[own]
        top, middle, bottom = panels[:, column]
        _band(
            top,
            t,
            series["opacity/mass"][own, e],
            series["opacity/mass_deviation"][own, e],
            series["opacity/mass_truth"][own, e],
        )
        row = series["opacity/dry"][own, e, joint], series["opacity/dry_deviation"][own, e, joint]
        _band(middle, t, *row, np.full(len(t), series["opacity/dry_truth"][e, joint]))
        delay, probability = series["opacity/delay_truth"][e], series["opacity/delay"][own, e]
        bottom.pcolormesh(
            t,
            np.arange(probability.shape[1]),
            probability.T,
            cmap=_blues(),
            vmin=0,
            vmax=1,
            shading="nearest",
            rasterized=True,
        )
        bottom.axhline(delay, color=TRUTH, lw=1.4)
        bottom.set(xlabel="time, s", yticks=np.arange(probability.shape[1]))
        bottom.grid(visible=False)
        top.set_title(f"episode {e + 1}")
        for axes in (top, middle, bottom):
            axes.set_xlim(0, t[-1])
    for axes, label in zip(
        panels[:, 0], ("load, kg", f"dry friction, joint {joint + 1}, N m", "delay, control steps"), strict=True
    ):
        axes.set_ylabel(label)
    panels[0, 0].legend(fontsize=8.5, loc="best")
    return figure


def _band(axes: Any, time: np.ndarray, middle: np.ndarray, deviation: np.ndarray, truth: np.ndarray) -> None:
    axes.fill_between(
        time, middle - 2 * deviation, middle + 2 * deviation, color=OURS, alpha=0.18, lw=0, label="two deviations"
    )
    axes.plot(time, middle, color=OURS, lw=1.8, label="believed")
    axes.plot(time, truth, color=TRUTH, lw=1.4, label="true")
    late = time > 0.05  # the prior's band would hide all that follows
    reach = np.concatenate([(middle + 2 * deviation)[late], (middle - 2 * deviation)[late], truth])
    low, high = np.min(reach), np.max(reach)
    axes.set_ylim(low - 0.1 * (high - low) - 1e-6, high + 0.1 * (high - low) + 1e-6)


def _spread(truth: np.ndarray) -> np.ndarray:
    """Episodes with a light, a middling and a heavy load."""
    order = np.argsort(truth)
    return order[np.linspace(0, len(order) - 1, SHOWN).round().astype(int)]


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("belief", ["white", OURS])


def learned_torques(numbers: Numbers, series: Series) -> Any:
    """Learned torques, as believed at the end of an episode, against the true ones, over each joint's range."""
    angle, learned, truth = (series[f"opacity/{name}"] for name in ("angle", "learned", "unmodelled"))
    n = angle.shape[1]
    rows, columns = -(-n // 4), min(n, 4)
    figure, panels = _figure(2.75 * columns, 2.3 * rows, rows, columns)
    e = int(np.argmax(np.mean(truth**2, axis=(0, 2))))
    for i, axes in enumerate(np.ravel(panels)):
        if i >= n:
            axes.set_visible(False)
            continue
        axes.plot(angle[:, i], truth[:, e, i], color=TRUTH, lw=1.4, label="true")
        axes.plot(angle[:, i], learned[:, e, i], color=OURS, lw=1.6, label="learned × believed")
        axes.set_title(f"joint {i + 1}")
        if i >= n - columns:
            axes.set_xlabel("angle, rad")
        if i % columns == 0:
            axes.set_ylabel("N m")
    handles = np.ravel(panels)[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=2, fontsize=9)
    return figure


def parts(numbers: Numbers, series: Series) -> Any:
    """The error without each part."""
    rows = numbers["opacity"]["parts"]
    figure, axes = _figure(10.4, 0.8 + 0.36 * len(rows))
    for y, (name, row) in enumerate(rows.items()):
        axes.barh(y, row["iqm_mm"], height=0.6, color=OURS if name == "whole" else REFERENCE)
        _mark(axes, row["iqm_mm"], y, row)
    axes.set_yticks(range(len(rows)), list(rows))
    _horizontal(axes)
    axes.set_xlabel("position error, rms, mm (interquartile mean)")
    return figure


PICTURES: dict[str, Callable[[Numbers, Series], Any]] = {
    draw.__name__: draw for draw in (over_fitting, over_sensitivity, margins, recovery, beliefs, learned_torques, parts)
}
"""By name, in the order of the page."""


def _figure(width: float, height: float, rows: int = 1, columns: int = 0) -> tuple[Any, Any]:
    """A figure with so many panels; one row of them where columns is 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    if columns:
        return figure, figure.subplots(rows, columns, squeeze=False)
    return figure, figure.subplots(1, rows)
