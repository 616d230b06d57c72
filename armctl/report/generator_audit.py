"""audit.html of a generator: its audit block on one page that needs nothing outside itself, with pictures."""

import io
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from armctl import store
from armctl.plot_style import INK, MUTED, PALETTE, REFERENCE, figure_style
from armctl.report.plots import inline_svg
from armctl.report.theme import figure, number, page, section
from armctl.report.weaknesses import audit_table

TITLES = {
    "generated": "the generator",
    "unguided": "without guidance",
    "held_out_floor": "held-out motions",
    "corpus_and_reject": "corpus and reject",
    "gaussian": "Gaussian (ProMP)",
    "autoencoder": "autoencoder (CVAE)",
    "one_step": "one Euler step",
    "repaired": "repair afterwards",
    "few_motions": "trained on few motions",
}
PANELS = {
    "validity": "valid as proposed",
    "c2st": "told from held-out (0.5: not)",
    "energy": "energy distance to held-out",
    "coverage": "coverage of held-out",
    "vendi": "diversity (Vendi)",
    "nn_ratio": "distance to training (copies < 1)",
}
CAPTION = "Dashed: held-out motions of the corpus, which no model can be better than but by chance."
NOTE = (
    "Every row is judged as it was proposed, before any rejection, in the same contexts, and compared with motions of "
    "the corpus that nothing was trained on. Each figure alone can be gamed: copies of the training set have perfect "
    "fidelity, the mean of the data is valid. Together they cannot."
)
LOSSES = (
    "Validation loss (solid) and training loss (dotted). A flow trained on few motions learns them by heart: its two "
    "losses part, which the monitors have to show."
)
Block = dict[str, Any]


def draw(folder: Path, block: Block) -> dict[str, str]:
    """Write the pictures of a block as PNG and SVG into a folder, and return each as SVG text for a page."""
    return {name: _written(folder, name, picture(block)) for name, picture in PICTURES.items()}


def _written(folder: Path, name: str, drawn: Any) -> str:
    with figure_style():
        data = io.BytesIO()
        drawn.savefig(data, format="png", dpi=160, facecolor="white")
        text = inline_svg(drawn, name)
    store.write_bytes(folder / f"{name}.png", data.getvalue())
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    store.write_text(folder / f"{name}.svg", head + text.replace("<svg", '<svg style="background:#fff"', 1))
    return text


def fidelity(block: Block) -> Any:
    """A panel for each of the telling figures, a bar for each row, and the held-out floor as a line."""
    from matplotlib.figure import Figure

    rows = block["rows"]
    names = [name for name in TITLES if name in rows]
    with figure_style():
        drawn = Figure((10.4, 5.6), layout="constrained")
        for axes, (key, title) in zip(drawn.subplots(2, 3, sharey=True).flat, PANELS.items(), strict=True):
            values = [rows[name][key] for name in names]
            colours = [_colour(name) for name in names]
            axes.barh(range(len(names)), values, color=colours, height=0.64)
            axes.axvline(rows["held_out_floor"][key], color=INK, lw=1, ls="--")
            axes.set_title(title)
            axes.set_yticks(range(len(names)), [TITLES[name] for name in names])
            axes.grid(visible=False, axis="y")
        axes.invert_yaxis()
    return drawn


def _colour(name: str) -> str:
    if name == "generated":
        return PALETTE["learned"][0]
    return REFERENCE if name in ("held_out_floor", "corpus_and_reject") else PALETTE["learned"][1]


def losses(block: Block) -> Any:
    """Losses against steps, of the generator and of the flow trained on few motions."""
    from matplotlib.figure import Figure

    with figure_style():
        drawn = Figure((10.4, 3.4), layout="constrained")
        axes = drawn.subplots()
        for found, colour in zip(
            block["training"].values(), (PALETTE["learned"][0], PALETTE["classical"][0]), strict=True
        ):
            axes.plot(found["step"], found["validation_loss"], color=colour, label=f"{found['motions']} motions")
            axes.plot(found["step"], found["train_loss"], color=colour, ls=":")
        axes.set_xlabel("gradient updates", color=MUTED)
        axes.set_ylabel("flow matching loss")
        axes.legend()
    return drawn


PICTURES = {"fidelity": fidelity, "losses": losses}


def write_page(summary: dict[str, Any], pictures: Mapping[str, str]) -> str:
    """The page as HTML. summary: of summary.json, with the block under "audit"; pictures: SVG text by name."""
    block, config = summary["audit"], summary["config"]
    facts = [
        f"robot {summary['robot']}",
        f"{config['count']} motions a row",
        f"seed {config['seed']}",
        config["generator"],
    ]
    tags = "".join(f"<span>{escape(str(fact))}</span>" for fact in facts)
    rows = {TITLES.get(name, name): row for name, row in block["rows"].items()}
    background = {name: summary[name] for name in ("config", "versions", "machine")}
    details = f"<details><summary>Settings</summary><pre>{escape(json.dumps(background, indent=2))}</pre></details>"
    return page(
        f"armctl audit: generator of {summary['robot']}",
        "".join(
            [
                f"<h1>Audit: generator of {escape(summary['robot'])}</h1>",
                '<p class="lead">What the generator is worth, beside what else could have made its motions.</p>',
                f'<div class="tags">{tags}</div>',
                _cards(block),
                section("Fidelity, diversity, copying", figure(pictures["fidelity"], CAPTION), NOTE),
                section("Every figure", audit_table(rows)),
                section("Over-fitting", _gaps(block) + figure(pictures["losses"], ""), LOSSES),
                section("Background", details),
            ]
        ),
    )


def _cards(block: Block) -> str:
    ours, floor = block["rows"]["generated"], block["rows"]["held_out_floor"]
    items = [
        ("main", f"{100 * ours['validity']:.1f} <small>%</small>", "of its motions are valid as proposed"),
        ("", number(ours["c2st"], 2), "of them and held-out ones a classifier tells apart; 0.5 is chance"),
        ("", f"{ours['coverage'] / floor['coverage']:.2f}×", "the held-out motions' coverage of the corpus"),
        ("", f"{1e3 * ours['seconds_per_certified']:.0f} <small>ms</small>", "of CPU time for each certified motion"),
    ]
    cells = (f'<div class="card {kind}"><b>{value}</b><span>{text}</span></div>' for kind, value, text in items)
    return f'<div class="cards">{"".join(cells)}</div>'


def _gaps(block: Block) -> str:
    said = [
        f"<li>{found['motions']} motions: validation loss {100 * found['gap']:.1f} % above the training loss where "
        f"training was stopped, {100 * found['gap_last']:.1f} % at its end</li>"
        for found in block["training"].values()
    ]
    return f"<ul>{''.join(said)}</ul>"
