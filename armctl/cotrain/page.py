"""Round by round: a picture and a page that needs nothing outside itself."""

import io
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.cotrain.curricula import SCORES
from armctl.plot_style import MUTED, PALETTE, figure_style
from armctl.report.plots import inline_svg
from armctl.report.theme import figure, number, page, section, table

PAGE = "rounds.html"
OURS, AGAINST, TRUTH = PALETTE["learned"][0], PALETTE["classical"][0], PALETTE["classical"][2]
PANELS = {
    "Regret on the round's motions, mm": {
        "regret_mm": ("all", OURS),
        "regret_steered_mm": ("steered", AGAINST),
        "regret_unsteered_mm": ("unsteered", TRUTH),
    },
    "Held-out motions, mm": {"held_out_mean_mm": ("mean", OURS), "held_out_cvar_mm": ("worst tenth", AGAINST)},
    "Out of family, mm": {"outside_mean_mm": ("mean", OURS), "outside_cvar_mm": ("worst tenth", AGAINST)},
    "Coverage of held-out motions": {"coverage": ("proposals", OURS), "coverage_floor": ("other motions", MUTED)},
}
COLUMNS = {
    "round": "Round", "error_mm": "Error, mm", "oracle_mm": "Oracle, mm",
    "regret_mm": "Regret, mm", "held_out_mean_mm": "Held out, mm", "held_out_cvar_mm": "worst tenth",
    "outside_mean_mm": "Outside, mm", "outside_cvar_mm": "worst tenth", "coverage": "Coverage",
    "nn_ratio": "Neighbours", "z_u": "Z_U", "critic_rank": "Critic's rank",
}  # fmt: skip


def write_page(folder: Path) -> Path:
    """Write rounds.png and rounds.html of a co-training run from its rounds.csv; returns the page's path."""
    rows = [{k: float(v) for k, v in row.items()} for row in store.read_rows(folder / "rounds.csv")]
    config = store.read_config(folder)
    with figure_style():
        drawn, data = _drawn(rows), io.BytesIO()
        drawn.savefig(data, format="png", dpi=160, facecolor="white")
        picture = inline_svg(drawn, "rounds")
    store.write_bytes(folder / "rounds.png", data.getvalue())
    steering = "" if config["curriculum"] not in SCORES else f", {config['steering']}"
    tags: tuple[str, ...] = (f"robot {config['robot_name']}", f"curriculum {config['curriculum']}{steering}")
    tags += (f"scenario {config['scenario']}",)
    head = f"<h1>Co-training: {escape(config['controller'])}</h1>"
    head += f'<div class="tags">{"".join(f"<span>{escape(tag)}</span>" for tag in tags)}</div>'
    caption = (
        "Regret is the error less the oracle's on the same motion and plant; the worst tenth is CVaR. Neighbours: the "
        "ratio of distances to known and to held-out motions, Z_U the test of copying. Critic's rank: the correlation "
        "of regrets that it predicts, cross-validated, with those that were measured."
    )
    cells = [[str(int(row["round"]) + 1), *(number(row[name]) for name in list(COLUMNS)[1:])] for row in rows]
    body = head + section("Round by round", figure(picture, caption) + table(list(COLUMNS.values()), cells))
    store.write_text(folder / PAGE, page(f"armctl cotrain: {config['controller']}", body))
    return folder / PAGE


def _drawn(rows: list[dict[str, float]]) -> Any:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(10.4, 5.6), layout="constrained")
    rounds = [row["round"] + 1 for row in rows]
    for axes, (title, lines) in zip(drawn.subplots(2, 2).flat, PANELS.items(), strict=True):
        for name, (label, colour) in lines.items():
            values = np.array([row[name] for row in rows])
            if np.isfinite(values).any():
                axes.plot(rounds, values, color=colour, marker="o", ms=4, label=label)
        axes.set_title(title)
        axes.set_xlabel("round")
        axes.set_xticks(rounds)
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        axes.legend()
    return drawn
