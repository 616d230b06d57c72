"""Several benches as one: what their controllers did on the episodes that all of them ran."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armctl import store
from armctl.bench.finish import check_subject, how_run, on_other_plants, read_bench, tested_elsewhere
from armctl.bench.grid import make_grid
from armctl.bench.reaching import summarise_reaching
from armctl.bench.records import read_table
from armctl.bench.summary import HEADLINE, Row, pair, paired_order, summarise
from armctl.errors import UsageError
from armctl.plant.scenario import RANGES

HARMLESS = ("jobs", "ray", "batch", "patience")
"""Settings that change no episode."""
Key = tuple[str, str, str, int]
Table = dict[str, list[Row]]


@dataclass(frozen=True, eq=False)
class _Run:
    """One bench: its label in the comparison, its summary and its episodes."""

    label: str
    summary: dict[str, Any]
    table: Table
    checksums: dict[str, int]
    """Of its controllers' parameters and code."""
    seeds: dict[Key, tuple[int, ...]]
    """Of every episode; a checksum of its reference with them."""


def compare_runs(folders: Sequence[str | Path], subject: str = "") -> dict[str, Any]:
    """What `summary.json` says, of the controllers of two or more finished benches on the episodes that all share.

    An episode is the same where suite, reference, scenario, draw, seed, the joint path, scene and true plant are.
    Controllers are called RUN/CONTROLLER. subject: the one that the others are compared with; that of the first run
    where empty.
    -> the blocks of `summary.json`, and `runs`: label -> `folder`, `episodes`, how many of them are `shared`;
    `differences`: what differs between the runs -> label -> value; `same`: for every controller that several runs have,
    its `run` minus `against`, the first of them, on `pairs` episodes, in each headline metric as `summary.pair` says.
    Raises UsageError for fewer than two folders, one named twice, one that is no finished bench, benches that share no
    episode, and an unknown subject.
    """
    runs = [_read(label, folder) for label, folder in labels(folders).items()]
    shared = _shared(runs)
    table = {f"{run.label}/{name}": _kept(run, name, shared) for run in runs for name in run.table}
    given = {f"{run.label}/{name}": facts for run in runs for name, facts in run.summary["given"].items()}
    families = {name: facts["family"] for name, facts in given.items()}
    check_subject(subject, list(table))
    first, plants = runs[0].summary, list(dict.fromkeys(row["scenario"] for row in next(iter(table.values()))))
    own = [name for name in first.get("own_metrics", []) if all(name in run.summary["own_metrics"] for run in runs)]
    about = subject or f"{runs[0].label}/{first['comparison']['subject']}"
    reach = all(run.summary.get("reaching") for run in runs)
    elsewhere = tested_elsewhere(given, plants)
    return {
        **summarise([row for rows in table.values() for row in rows], families, own, about),
        "reaching": summarise_reaching(table) if reach else [],
        "grid": make_grid(table, families, plants),
        "given": given,
        "own_metrics": own,
        "tested_elsewhere": elsewhere,
        "caveats": _how(runs) + on_other_plants(given, elsewhere),
        **{field: first[field] for field in ("config", "versions", "machine", "seeds")},
        "runs": {run.label: _facts(run, folder, shared) for run, folder in zip(runs, folders, strict=True)},
        "differences": _differences(runs),
        "same": _same(runs, table),
    }


def labels(folders: Sequence[str | Path]) -> dict[str, Path]:
    """Run folders by the ends of their paths, as short as tells them apart.

    Raises UsageError for fewer than two and for one that is named twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    if len(paths) < 2:
        raise UsageError(f"A comparison of {len(paths)} run(s) says nothing; name two run folders or more.")
    if twice := [str(folder) for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]:
        raise UsageError(f"'{twice[-1]}' is named twice; name different run folders.")
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        named = {"/".join(path.parts[-depth:]): Path(folder) for folder, path in zip(folders, paths, strict=True)}
        if len(named) == len(paths):
            break
    return named


def _read(label: str, folder: Path) -> _Run:
    summary = read_bench(folder)
    table, plan = read_table(folder, list(summary["controllers"])), store.read_json(folder / "plan.json")
    seeds = {
        (suite, name, plant, draw): (*marks[:2], *marks[3:]) for suite, name, plant, draw, *marks in plan["episodes"]
    }
    return _Run(label, summary, table, plan["controllers"], seeds)


def _key(row: Row) -> Key:
    return row["suite"], row["reference"], row["scenario"], int(row["draw"])


def _shared(runs: list[_Run]) -> set[Key]:
    """The episodes that are the same in all runs."""
    first = [next(iter(run.table.values())) for run in runs]
    fields = [name for name in (*RANGES, "effects") if all(name in rows[0] for rows in first)]
    found = [
        {_key(row): (run.seeds.get(_key(row)), *(str(row[field]) for field in fields)) for row in rows}
        for run, rows in zip(runs, first, strict=True)
    ]
    shared = {key for key, what in found[0].items() if all(other.get(key) == what for other in found[1:])}
    if not shared:
        differing = [f"{name} ({', '.join(values.values())})" for name, values in _settings(runs).items()]
        raise UsageError(
            f"The runs {', '.join(run.label for run in runs)} share no episode (suite, reference, scenario, draw and "
            f"seed){'; they differ in ' + ', '.join(differing) if differing else ''}; run them with the same --robot, "
            "--suite, --scenarios, --control-dt and --seed."
        )
    return shared


def _kept(run: _Run, name: str, shared: set[Key]) -> list[Row]:
    called = {"controller": f"{run.label}/{name}"}
    return paired_order([row | called for row in run.table[name] if _key(row) in shared])


def _how(runs: list[_Run]) -> list[str]:
    """How the episodes ran: once, or of every run where they did not run alike."""
    said = {run.label: " ".join(how_run(run.summary["config"])) for run in runs}
    if len(set(said.values())) == 1:
        return how_run(runs[0].summary["config"])
    return [f"{label}: {sentence[0].lower()}{sentence[1:]}" for label, sentence in said.items()]


def _facts(run: _Run, folder: str | Path, shared: set[Key]) -> dict[str, Any]:
    return {"folder": str(folder), "episodes": len(next(iter(run.table.values()))), "shared": len(shared)}


def _settings(runs: list[_Run]) -> dict[str, dict[str, str]]:
    """Settings that are not alike -> run -> value."""
    configs = {run.label: run.summary["config"] for run in runs}
    names = dict.fromkeys(name for config in configs.values() for name in config if name not in HARMLESS)
    return _unlike({name: {label: config.get(name, "–") for label, config in configs.items()} for name in names})


def _differences(runs: list[_Run]) -> dict[str, dict[str, str]]:
    """Settings, versions, processors and the checksums of controllers that are not alike -> run -> value."""
    versions = {run.label: run.summary["versions"] for run in runs}
    packages = dict.fromkeys(name for found in versions.values() for name in found)
    names = dict.fromkeys(name for run in runs for name in run.table)
    facts = {f"version of {name}": {run: of.get(name, "–") for run, of in versions.items()} for name in packages}
    facts["processor"] = {run.label: run.summary.get("machine", {}).get("cpu", "–") for run in runs}
    for name in names:
        sums = {run.label: f"{run.checksums[name]:08x}" for run in runs if name in run.checksums}
        facts[f"parameters and code of {name} (checksum)"] = sums
    return _settings(runs) | _unlike(facts)


def _unlike(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    told = {name: {label: str(value) for label, value in of.items()} for name, of in values.items()}
    return {name: of for name, of in told.items() if len(set(of.values())) > 1}


def _same(runs: list[_Run], table: Table) -> list[dict[str, Any]]:
    """Every controller that several runs have, against itself in the first of them."""
    found = []
    for name in dict.fromkeys(name for run in runs for name in run.table):
        against, *others = [run.label for run in runs if name in run.table]
        for run in others:
            a, b = table[f"{run}/{name}"], table[f"{against}/{name}"]
            figures = {metric: pair(a, b, metric) for metric in HEADLINE}
            found.append({"controller": name, "run": run, "against": against, "pairs": len(a), **figures})
    return found
