"""`armctl robots`: the arms that come with armctl."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armctl.chain import Chain
from armctl.commands.console import show, table
from armctl.commands.parsing import Flag, parse
from armctl.motion.families import reach
from armctl.plant.presets import rated_payload
from armctl.urdf import load_chain, robots


@dataclass(frozen=True)
class RobotsArguments:
    """List the arms by name, with their joints, tip, reach, payload range and the source of their numbers."""

    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """Print the table; returns the exit status."""
    arguments = parse(RobotsArguments, argv, prog)
    rows = [describe(load_chain(name), path) for name, path in robots().items()]
    columns = ("name", "dof", "tip", "reach_m", "payload_range_kg", "description")
    text = table([{name: row[name] for name in columns} for row in rows])
    notes = "payload range: heaviest unknown mass that the scenario presets draw. Sources: armctl robots --json"
    show(rows, f"{text}\n\n{notes}", arguments.json)
    return 0


def describe(chain: Chain, path: Path) -> dict[str, Any]:
    """Facts about one arm; the description and the source of its numbers are the first comment of its URDF."""
    comment = re.search(r"<!--(.*?)-->", path.read_text(encoding="utf-8"), re.DOTALL)
    title, _, source = comment.group(1).strip().partition("\n\n") if comment else ("", "", "")
    return {
        "name": chain.name,
        "dof": chain.n,
        "tip": chain.tip,
        "reach_m": round(reach(chain), 3),
        "payload_range_kg": round(rated_payload(chain), 2),
        "description": " ".join(title.split()).partition(": ")[2].partition(",")[0],
        "joints": list(chain.joint_names),
        "source": " ".join(source.split()),
        "file": chain.source,
    }
