"""The last step of a bench: from recorded episodes to `summary.json`."""

from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.bench import iso9283
from armctl.bench.grid import flat_rows, make_grid, markdown
from armctl.bench.reaching import summarise_reaching
from armctl.bench.records import Track, read_table, read_tracks
from armctl.bench.summary import Row, compare, summarise
from armctl.errors import UsageError

Table = dict[str, list[Row]]


def write_summary(folder: Path, given: dict[str, dict[str, Any]], seconds: float, subject: str = "") -> dict[str, Any]:
    """Write and return `summary.json`: statistics, ISO figures, what was given, configuration, versions, times.

    subject: the controller that the others are compared with, chosen as `summary.natural_subject` says where empty.
    Where there are several plants, the matrix controllers × plants also becomes `grid.csv` and `grid.md`.
    """
    table = read_table(folder, list(given))
    families = {name: facts["family"] for name, facts in given.items()}
    record = store.read_json(folder / "config.json")
    plan = store.read_json(folder / "plan.json")
    plants, own = list(dict.fromkeys(plant for _, _, plant, *_ in plan["episodes"])), list(plan.get("metrics", {}))
    elsewhere = tested_elsewhere(given, plants)
    summary = {
        **summarise([row for rows in table.values() for row in rows], families, own, subject),
        "reaching": summarise_reaching(table) if plan.get("reach") else [],
        "grid": make_grid(table, families, plants),
        "iso9283": _iso(folder, table),
        "given": given,
        "own_metrics": own,
        "tested_elsewhere": elsewhere,
        "caveats": how_run(record["config"]) + on_other_plants(given, elsewhere),
        "config": record["config"],
        "versions": record["versions"],
        "machine": store.machine(),
        "seeds": record["seeds"],
        "wall_seconds": {"bench": seconds},
    }
    store.write_json(folder / "summary.json", summary)
    if summary["grid"]:
        store.write_text(folder / "grid.md", markdown(summary["grid"]))
        store.write_rows(folder / "grid.csv", flat_rows(summary["grid"]))
    return store.read_json(folder / "summary.json")


def read_bench(folder: str | Path) -> dict[str, Any]:
    """The summary of a finished bench. Raises UsageError where the folder is not that of one."""
    summary = store.read_json(Path(folder) / "summary.json")
    if not isinstance(summary, dict) or not {"controllers", "comparison", "config"} <= set(summary):
        raise UsageError(f"'{folder}' is not the folder of a finished bench; name one of 'armctl bench'.")
    return summary


def change_subject(folder: Path, subject: str) -> dict[str, Any]:
    """Write and return `summary.json` anew, about another controller. Raises UsageError for one that was not run."""
    summary = store.read_json(folder / "summary.json")
    check_subject(subject, list(summary["controllers"]))
    families = {name: facts["family"] for name, facts in summary["given"].items()}
    summary["comparison"] = compare(read_table(folder, list(families)), families, subject)
    store.write_json(folder / "summary.json", summary)
    return store.read_json(folder / "summary.json")


def check_subject(subject: str, controllers: list[str]) -> None:
    """Raises UsageError for a controller that is not among those of the bench."""
    if subject and subject not in controllers:
        raise UsageError(f"The subject is '{subject}'; choose one of the bench: {', '.join(controllers)}.")


def tested_elsewhere(given: dict[str, dict[str, Any]], scenarios: list[str]) -> dict[str, list[str]]:
    """Controllers that were trained on a distribution of plants -> the scenarios of the bench that are others."""
    found = {name: [s for s in scenarios if s not in facts["trained_on"].split(",")] for name, facts in given.items()}
    return {name: others for name, others in found.items() if given[name]["trained_on"] and others}


def how_run(config: dict[str, Any]) -> list[str]:
    """What must be said with every table of a bench on how its episodes ran: how they start, and where."""
    settle = config.get("settle", 0.0)
    start = f"after the first pose has been held for {settle:g} s" if settle else "at once, as the load begins to fall"
    twin, scene = config.get("backend") == "twin", config.get("scene")
    told = {
        f"Errors count {start}.": True,
        "Episodes ran in the twin, not in PyBullet; times per action are those of both together.": twin,
        f"The arm stands in the scene {scene}.": scene,
        "The twin's arms pass through it: what follows a contact is not what PyBullet would show.": twin and scene,
    }
    return [sentence for sentence, holds in told.items() if holds]


def on_other_plants(given: dict[str, dict[str, Any]], elsewhere: dict[str, list[str]]) -> list[str]:
    """What must be said of those who are tested on other plants than they were trained on;
    elsewhere: what `tested_elsewhere` finds."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, others in elsewhere.items():
        trained = ", ".join(dict.fromkeys(given[name]["trained_on"].split(",")))
        alike.setdefault((trained, ", ".join(others)), []).append(name)
    return [
        f"Trained on {trained}, and tested elsewhere on {others}: {', '.join(names)}."
        for (trained, others), names in alike.items()
    ]


def _iso(folder: Path, table: Table) -> dict[str, dict[str, float]]:
    """AP, RP, AT, RT (mm) of every controller in the ISO suite; the worst pose and the worst path count."""
    found = {}
    for name, rows in table.items():
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row["suite"] == "iso9283" and not row["failure"]:
                groups.setdefault((row["reference"], row["scenario"]), []).append(row)
        figures = [value for group in groups.values() for value in _figures(read_tracks(folder, group))]
        if figures:
            names = sorted({key for figure in figures for key in figure})
            found[name] = {key: max(figure[key] for figure in figures if key in figure) for key in names}
    return found


def _figures(tracks: list[Track]) -> list[dict[str, float]]:
    """The figures of one reference: of every test pose over its visits, or of a path over the draws."""
    if len(tracks[0].dwells):
        return [pose for track in tracks for pose in _poses(track)]
    moving = tracks[0].moving
    paths, commanded = np.stack([track.pose[:moving, :3] for track in tracks]), tracks[0].reference[:moving, :3]
    repeated = {"RT_mm": iso9283.path_repeatability(paths, commanded)} if len(tracks) > 1 else {}
    return [{"AT_mm": iso9283.path_accuracy(paths, commanded), **repeated}]


def _poses(track: Track) -> list[dict[str, float]]:
    found = []
    for pose in np.unique(track.dwells[:, 0]):
        ends = np.round(track.dwells[track.dwells[:, 0] == pose, 2] / track.dt).astype(int).clip(0, len(track.pose) - 1)
        attained, commanded = track.pose[ends, :3], track.reference[ends[0], :3]
        repeatability = iso9283.pose_repeatability(attained)
        found.append({"AP_mm": iso9283.pose_accuracy(attained, commanded), "RP_mm": repeatability})
    return found
