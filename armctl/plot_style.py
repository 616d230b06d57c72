"""Colours and figure style of everything that is drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Okabe & Ito's palette and kin, told apart by every common form of colour vision, by family of controllers.
PALETTE = {
    "learned": ("#0072B2", "#56B4E9", "#332288"),
    "classical": ("#D55E00", "#E69F00", "#009E73", "#CC79A7", "#8C6D31"),
    "yours": ("#882255", "#44AA99", "#999933", "#4D4D4D"),
    "oracle": ("#1b2330",),
}
SERIES = (PALETTE["learned"][0], *PALETTE["classical"], *PALETTE["yours"], *PALETTE["learned"][1:])
"""For lines that are no controllers, in the order of use."""
HEAT = ("#ffffff", "#fff3d1", "#fed98e", "#fe9929", "#cc4c02", "#7a2e04")
"""From good to bad: lightness alone tells them apart."""
INK, MUTED, GRID, REFERENCE, EDGE = "#1b2330", "#647084", "#e3e7ee", "#9aa4b5", "#b8c0cc"
PAPER, BODY, WARN = "#ffffff", "#c3cad5", "#b45309"
DARK = {
    INK: "#e6eaf1",
    MUTED: "#9ba6b7",
    GRID: "#2b3441",
    REFERENCE: "#7f8a9c",
    EDGE: "#4b5666",
    PAPER: "#11161d",
    BODY: "#5a6678",
    WARN: "#f0a04b",
    "#0072B2": "#3fa2e0",
    "#56B4E9": "#9ad4f7",
    "#332288": "#9c8cf2",
    "#D55E00": "#f07a2c",
    "#009E73": "#22bd92",
    "#8C6D31": "#c3a35c",
    "#882255": "#ea4f78",
    "#4D4D4D": "#aeb4bd",
}
"""What takes a colour's place on a dark page, where it would not be seen."""


@contextmanager
def figure_style() -> Iterator[None]:
    """Set matplotlib's look for the figures made inside: text stays text, thin grid, no box."""
    import matplotlib

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "armctl",
        "font.size": 10,
        "font.family": "sans-serif",
        "font.sans-serif": ["Inter", "DejaVu Sans"],
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": EDGE,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.grid": True,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "lines.solid_capstyle": "round",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
    }
    with matplotlib.rc_context(style):
        yield
