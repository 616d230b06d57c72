"""How the report writes and draws each controller, from what the controller said of itself when it was run."""

from dataclasses import dataclass
from typing import Any

from armctl.plot_style import INK, PALETTE

THICK, THIN = 2.4, 1.5


@dataclass(frozen=True)
class Look:
    """One controller in text and figures."""

    label: str
    colour: str
    width: float
    """Of its lines: those of learned controllers and the user's own stand out."""


def looks(summary: dict[str, Any]) -> dict[str, Look]:
    """The look of every controller of a bench, the same in all its tables and figures.

    Each family has colours of its own. A controller under another name than its own, as one in a run folder or with a
    label, is written with both; one of several runs, RUN/NAME, with its run.
    """
    given = summary.get("given", {})
    tints = {family: iter(colours) for family, colours in PALETTE.items()}
    return {name: _look(name, given.get(name, {}), tints) for name in summary["controllers"]}


def _look(name: str, facts: dict[str, Any], tints: dict[str, Any]) -> Look:
    title, family = facts.get("title", ""), facts.get("family", "yours")
    plain = name.replace("_", " ").capitalize()
    run, _, within = name.rpartition("/")
    aside = run if within == facts.get("controller") else name
    label = f"{title} ({aside})" if title and aside else title or plain
    colour = next(tints[family], None) or next(tints["yours"], INK)
    return Look(label, colour, THICK if family in ("learned", "yours") else THIN)
