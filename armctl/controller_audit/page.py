"""audit.html: the audit of a controller on one page that needs nothing outside itself."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from armctl.report.theme import figure, number, page, section, table

TITLES = {
    "over_fitting": "Over-fitting",
    "over_sensitivity": "Over-sensitivity",
    "instability": "Instability",
    "opacity": "Opacity",
}
NOTES = {
    "over_fitting": "The same controller on what it was trained on and on what it was not. Its own arm is always the "
    "nominal one; the true arm's links are longer, shorter, heavier or lighter where it says so.",
    "over_sensitivity": "Disturbances within a box, found by projected gradient ascent through the twin, against "
    "random ones of the same size. No gradient passes where a controller takes measurements for data, so the worst may "
    "be worse.",
    "instability": "Whether what disturbs the loop dies out, and how much delay, load and pushing it bears.",
    "opacity": "Whether what the controller says of the plant is so, and what each of its parts is good for.",
}
PLACES = {
    "over_fitting": {"over_fitting": "Line within a bar: what would remain with every joint exactly on its reference."},
    "over_sensitivity": {"over_sensitivity": "Median and quartiles over the episodes, in mid-motion."},
    "instability": {
        "margins": "Left: median and quartiles over the episodes; lost ones count 300 mm; shaded where none is lost. "
        "Right: load up to which each episode stays within 0.3 m of its reference.",
        "recovery": "Left: distance of the tip from where it would be without the kick; the line is at 1 mm. Right: by "
        "what factor the slowest disturbance of the joints dies out, at a quarter, half and three quarters of the time "
        "while the motion lasts, without dry friction, which would hold small ones for good; shaded: it grows.",
    },
    "opacity": {
        "beliefs": "Three episodes, with a light, a middling and a heavy load. Green: the truth.",
        "learned_torques": "What the model lacks at 0.2 rad/s in the episode with most of it.",
        "parts": "Learned torques: zero. Filter: what it believes at first, for ever. Delay bank: no delay preferred.",
    },
}
Summary = dict[str, Any]


def write_page(summary: Summary, pictures: Mapping[str, str]) -> str:
    """The page as HTML. summary: of summary.json; pictures: SVG text by name."""
    parts = [_header(summary), _cards(summary)]
    for name, title in TITLES.items():
        said = "".join(f"<li>{escape(text)}</li>" for text in summary["sentences"][name])
        drawn = "".join(
            figure(pictures[key], escape(caption)) for key, caption in PLACES[name].items() if key in pictures
        )
        parts.append(section(title, f"<ul>{said}</ul>{_table(name, summary)}{drawn}", NOTES[name]))
    parts.append(section("Background", _details(summary)))
    return page(f"armctl audit: {summary['controller']}", "".join(parts))


def _header(summary: Summary) -> str:
    config = summary["config"]
    facts = [f"robot {summary['robot']}", f"scenario {config['scenario']}", f"{config['episodes']} episodes each"]
    facts += [f"motions of up to {config['seconds']:g} s", f"seed {config['seed']}", summary["given"]]
    tags = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    return (
        f"<h1>Audit: {escape(summary['controller'])}</h1>"
        '<p class="lead">What the controller is not good at, measured in the twin.</p>'
        f'<div class="tags">{tags}</div>'
    )


def _cards(summary: Summary) -> str:
    """One figure for each weakness."""
    found = summary["findings"]
    held = next(row for row in found["over_fitting"]["conditions"] if row["condition"] == "held out")
    worst = max((row["ratio"] for row in found["over_sensitivity"].values()), default=float("nan"))
    margin = found["instability"]["delay"]["margin_steps"]
    items = [
        ("main", f"{number(held['iqm_mm'])} <small>mm</small>", "position error on held-out motions"),
        ("", f"{number(worst, 2)}×", "what disturbances chosen against it do, over random ones"),
        ("", str(margin) if margin >= 0 else "none", "control steps of delay without a lost episode"),
    ]
    if found["opacity"]["estimates"]:
        share = f"{100 * found['opacity']['mass_coverage']:.0f} <small>%</small>"
        items.append(("", share, "of the time the true load lies within two of its standard deviations"))
    else:
        items.append(("", "–", "it estimates nothing of the plant"))
    cells = (f'<div class="card {kind}"><b>{value}</b><span>{text}</span></div>' for kind, value, text in items)
    return f'<div class="cards">{"".join(cells)}</div>'


def _table(name: str, summary: Summary) -> str:
    """The numbers of a weakness that no picture has."""
    found = summary["findings"][name]
    if name == "over_sensitivity":
        rows = [
            [escape(channel), escape(row["size"]), *(number(row[key]) for key in ("random_mm", "worst_mm", "ratio"))]
            for channel, row in found.items()
        ]
        return table(["Disturbance of", "Size", "Random<br>mm", "Chosen<br>mm", "Times<br>random"], rows)
    return ""


def _details(summary: Summary) -> str:
    blocks = {"Configuration": summary["config"], "Versions": summary["versions"], "Wall time, s": summary["seconds"]}
    return "".join(
        f"<details><summary>{name}</summary><pre>{escape(json.dumps(value, indent=2))}</pre></details>"
        for name, value in blocks.items()
    )
