"""One picture of an identification: what the twin missed before and after, and the estimates with their intervals."""

import io
from typing import Any

import numpy as np

from armctl.identify.result import Z95, Identification
from armctl.plot_style import INK, MUTED, PALETTE, figure_style

BEFORE, AFTER, TRUTH = "#D55E00", PALETTE["learned"][0], "#009E73"


def png(found: Identification, joint_names: tuple[str, ...], truth: np.ndarray | None = None) -> bytes:
    """The picture as PNG. truth: (p,) physical values where they are known."""
    from matplotlib.figure import Figure

    with figure_style():
        height = max(4.6, 1.6 + 0.27 * len(found.items))
        figure = Figure(figsize=(11.5, height), layout="constrained", facecolor="white")
        left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1, 1.15))).tolist()
        _residuals(left, found, joint_names)
        _estimates(right, found, truth)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=160, facecolor="white")
    return data.getvalue()


def _residuals(part: Any, found: Identification, joint_names: tuple[str, ...]) -> None:
    """RMS prediction error of every joint over a window, nominal and identified arm."""
    n = len(joint_names)
    top, bottom = part.subplots(2, 1, sharex=True)
    for axes, what, channels in ((top, "position, rad", slice(n)), (bottom, "velocity, rad/s", slice(n, None))):
        rows = np.arange(n)
        for residual, colour, label, shift in (
            (found.before, BEFORE, "nominal arm", -0.13),
            (found.residual, AFTER, "identified arm", 0.13),
        ):
            rms = np.maximum(np.sqrt(np.mean(residual[..., channels] ** 2, axis=(0, 1))), 1e-13)
            axes.plot(rows + shift, rms, "o", ms=7, color=colour, mec="white", mew=0.8, label=label)
        axes.hlines(found.noise[channels], rows - 0.32, rows + 0.32, color=MUTED, lw=1.2, label="noise found")
        axes.set_yscale("log")
        axes.margins(y=0.15)
        axes.set_ylabel(what)
        axes.grid(axis="x", visible=False)
    bottom.set_xticks(np.arange(n), joint_names, rotation=0 if max(map(len, joint_names)) < 8 else 25)
    top.set_title("What the twin misses within a window, RMS")
    top.legend(loc="best", fontsize=8.5)


def _estimates(part: Any, found: Identification, truth: np.ndarray | None) -> None:
    """Every estimate with its 95 % interval, in units of its standard deviation, and the truth."""
    groups = list(dict.fromkeys(item.group for item in found.items))
    members = [[i for i, item in enumerate(found.items) if item.group == group] for group in groups]
    panels = np.atleast_1d(part.subplots(len(groups), 1, height_ratios=[len(index) for index in members]))
    for axes, index in zip(panels, members, strict=True):
        rows = np.arange(len(index))[::-1]
        _panel(axes, found, index, rows, truth)
        axes.set_yticks(rows, [found.items[i].name for i in index])
        axes.set_ylim(-0.6, len(index) - 0.4)
        axes.grid(axis="y", visible=False)
        axes.axvline(0, color="#b8c0cc", lw=1)
    panels[0].set_title("Estimates with 95 % intervals" + (", truth as diamonds" if truth is not None else ""))
    panels[-1].set_xlabel("(value − estimate) / standard deviation")


def _panel(axes: Any, found: Identification, index: list[int], rows: np.ndarray, truth: np.ndarray | None) -> None:
    axes.hlines(rows, -Z95, Z95, color=AFTER, lw=6, alpha=0.3)
    axes.plot(0 * rows, rows, "o", ms=7, color=AFTER, mec="white", mew=1)
    if truth is not None:
        z = (truth[index] - found.values[index]) / found.std[index]
        shown = np.clip(z, -4.6, 4.6)
        axes.plot(shown, rows, "D", ms=5.5, color=TRUTH, mec="white", mew=0.8)
        for x, row, far in zip(shown, rows, np.abs(z) > 4.6, strict=True):
            if far:
                axes.annotate("outside", (x, row), (0, 5), textcoords="offset points", ha="center", fontsize=7)
    axes.set_xlim(-5, 5)
    for i, row in zip(index, rows, strict=True):
        item = found.items[i]
        unit = "" if item.unit == "-" else f" {item.unit}"
        text = f"{_rounded(found.values[i], found.std[i])}{unit}{'' if found.told[i] else '  (prior)'}"
        axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=INK)


def _rounded(value: float, std: float) -> str:
    """A value and its standard deviation, to the digit that counts."""
    digits = int(np.clip(1 - np.floor(np.log10(max(std, 1e-9))), 0, 9))
    return f"{value:.{digits}f} ± {std:.1g}".replace("-", "−", 1 if value < 0 else 0)
