"""Names, colours and figure style shared by the report's plots and tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Okabe & Ito's palette, told apart by every common form of colour vision; the learned controllers get the blues.
LEARNED = ("#0072B2", "#56B4E9", "#332288")
CLASSICAL = {
    "operational_space_integral": "#D55E00",
    "operational_space": "#E69F00",
    "computed_torque": "#009E73",
    "diff_ik": "#CC79A7",
    "disturbance_observer": "#8C6D31",
}
SPARE = ("#4D4D4D", "#999933", "#882255", "#44AA99")
INK, MUTED, GRID, REFERENCE = "#1b2330", "#647084", "#e3e7ee", "#9aa4b5"
LABELS = {
    "tracker": "Learned tracker",
    "tracker_mlp": "Learned MLP",
    "operational_space": "Operational space",
    "operational_space_integral": "Operational space + integral",
    "computed_torque": "Computed torque",
    "diff_ik": "Differential IK",
    "disturbance_observer": "Disturbance observer",
}


def label(name: str) -> str:
    """Return how the report writes a controller's name."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def colours(names: list[str]) -> dict[str, str]:
    """Return one colour per controller, the same in every figure."""
    learned, spare, found = iter(LEARNED), iter(SPARE), {}
    for name in names:
        found[name] = CLASSICAL.get(name) or next(learned if name.startswith("tracker") else spare, INK)
    return found


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
        "axes.edgecolor": "#b8c0cc",
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
