"""The last step of a bench: from recorded episodes to ``summary.json``."""

from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.bench import iso9283
from armctl.bench.records import read_table, read_tracks
from armctl.bench.summary import Row, summarise

Table = dict[str, list[Row]]


def write_summary(folder: Path, controllers: list[str], given: dict[str, dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Write and return ``summary.json``: statistics, ISO figures, what was given, configuration, versions, seeds, wall time."""
    table = read_table(folder, controllers)
    record = store.read_json(folder / "config.json")
    summary = {
        **summarise([row for rows in table.values() for row in rows], controllers), "iso9283": _iso(folder, table),
        "given": given, "config": record["config"], "versions": record["versions"], "seeds": record["seeds"],
        "wall_seconds": {"bench": seconds},
    }
    store.write_json(folder / "summary.json", summary)
    return store.read_json(folder / "summary.json")


def _iso(folder: Path, table: Table) -> dict[str, dict[str, float]]:
    """Return AP, RP, AT, RT of every controller in the ISO suite: repetitions are the draws, the worst reference counts."""
    found = {}
    for name, rows in table.items():
        groups: dict[str, list[Row]] = {}
        for row in rows:
            if row["suite"] == "iso9283" and not row["failure"]:
                groups.setdefault(row["reference"], []).append(row)
        if groups:
            figures = [_figures(folder, group) for group in groups.values()]
            found[name] = {key: max(figure[key] for figure in figures) for key in figures[0]}
    return found


def _figures(folder: Path, rows: list[Row]) -> dict[str, float]:
    tracks = read_tracks(folder, rows)
    moving = tracks[0].moving
    paths = np.stack([track.pose[:moving, :3] for track in tracks])
    ends = np.stack([track.pose[-1, :3] for track in tracks])
    commanded = tracks[0].reference[:moving, :3]
    return {"AP_mm": iso9283.pose_accuracy(ends, commanded[-1]), "RP_mm": iso9283.pose_repeatability(ends),
            "AT_mm": iso9283.path_accuracy(paths, commanded), "RT_mm": iso9283.path_repeatability(paths, commanded)}
