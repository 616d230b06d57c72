"""Plants × controllers as a heat map: a table whose cells are the darker the larger the error."""

from html import escape
from typing import Any

import numpy as np

from armctl.plot_style import HEAT, INK
from armctl.report.tables import ELSEWHERE, ORIENTATION, POSITION, Summary, controller
from armctl.report.theme import number

ENDS = (0.01, 100.0)  # mm; what lies beyond has the colour of the end, so that pages can be compared


def heat_map(summary: Summary) -> str:
    """The block `grid` as a table, one row per plant and one column per controller; nothing if there is none."""
    grid = summary.get("grid")
    if not grid:
        return ""
    names, elsewhere = list(grid["cells"]), summary.get("tested_elsewhere", {})
    head = "".join(f"<th>{controller(summary, name)}</th>" for name in names)
    body = "".join(
        f"<tr><td>{escape(facts['title'])}<small>{facts['episodes']}</small></td>"
        + "".join(_cell(grid, name, plant, plant in elsewhere.get(name, [])) for name in names)
        + "</tr>\n"
        for plant, facts in grid["plants"].items()
    )
    return (
        f'{_scale()}<div class="scroll"><table class="heat"><thead><tr><th>Plant<small>episodes</small></th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>{ELSEWHERE if elsewhere else ''}"
    )


def shade(error: float) -> str:
    """The colour of an error in mm, on a logarithmic scale, as #rrggbb."""
    low, high = np.log(ENDS)
    place = np.clip((np.log(max(error, 1e-9)) - low) / (high - low), 0, 1) * (len(HEAT) - 1)
    stops = np.array([_rgb(colour) for colour in HEAT], float)
    mixed = [np.interp(place, range(len(HEAT)), stops[:, channel]) for channel in range(3)]
    return "#" + "".join(f"{round(value):02x}" for value in mixed)


def ink_on(colour: str) -> str:
    """Whichever of the page's ink and white is told apart better on a colour (contrast of WCAG 2)."""
    ground, ink = _luminance(colour), _luminance(INK)
    return INK if (ground + 0.05) / (ink + 0.05) >= 1.05 / (ground + 0.05) else "#ffffff"


def _cell(grid: dict[str, Any], name: str, plant: str, elsewhere: bool) -> str:
    cell, facts = grid["cells"][name][plant], grid["plants"][plant]
    value, failures = cell[POSITION], cell["failures"]
    colour = shade(value["iqm"])
    notes = []
    if cell["times_oracle"] and name != grid["oracle"]:
        notes.append(f"×{number(cell['times_oracle']['iqm'], 2)}")
    if 0 < failures < cell["episodes"]:
        notes.append(f"<b>✗ {failures} failed</b>")
    if cell["flagged"]:
        notes.append(f"⚑ {cell['flagged']}")
    text = f"<b>✗ all failed</b>{'†' if elsewhere else ''}"
    if failures < cell["episodes"]:
        text = (
            f"<span>{number(value['iqm'])}{'†' if elsewhere else ''}</span>"
            f"<small>[{number(value['low'])}, {number(value['high'])}] · {number(cell[ORIENTATION]['iqm'], 2)}°</small>"
            + (f"<small>{' · '.join(notes)}</small>" if notes else "")
        )
    tip = f"90 % below {number(value['p90'])} mm, largest {number(value['max'])} mm"
    best = ' class="top"' if facts["best"] == name else ""
    return f'<td{best} title="{tip}" style="background:{colour};color:{ink_on(colour)}">{text}</td>'


def _scale() -> str:
    steps = np.geomspace(*ENDS, 5)
    boxes = "".join(
        f'<span style="background:{shade(step)};color:{ink_on(shade(step))}">{number(step, 1)}</span>' for step in steps
    )
    return f'<div class="shades">{boxes} mm and more</div>'


def _rgb(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _luminance(colour: str) -> float:
    share = np.array(_rgb(colour)) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
