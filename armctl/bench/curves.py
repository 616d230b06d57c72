"""Error over payload, delay and friction: how soon a controller gets worse, and where it fails."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.bench.grid import cell
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table, recorded_scene
from armctl.bench.run import run_bench
from armctl.bench.summary import Row
from armctl.chain import Chain
from armctl.motion.reference import Reference
from armctl.plant.presets import rated_payload, sample_scenario
from armctl.plant.scenario import Scenario
from armctl.urdf import load_chain

REFERENCES = 6
"""References of a suite that every point is run on, evenly chosen."""


@dataclass(frozen=True)
class Curve:
    """One property of the plant over some values."""

    label: str
    """What the values are, with their unit."""
    values: tuple[float, ...]
    fields: Callable[[Chain, float], dict[str, Any]]
    """The fields of Scenario that a value stands for."""


CURVES = {
    "payload": Curve(
        "payload, × payload range",
        (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
        lambda chain, value: {"payload_mass": value * rated_payload(chain)},
    ),
    "delay": Curve("delay, control steps", tuple(range(7)), lambda chain, value: {"latency": value}),
    "friction": Curve(
        "dry friction, % of the effort limit",
        (0.0, 1.0, 2.0, 3.0, 4.5, 6.0),
        lambda chain, value: {"coulomb": tuple((value / 100 * chain.effort).tolist())},
    ),
}
"""The curves by name: payload and friction end at twice the largest of the presets."""


def curve_scenarios(chain: Chain) -> dict[str, Scenario]:
    """Every point of every curve as a fixed scenario, named after both, as "delay 3".

    What the curve is not about is that of the preset `payload` at half the payload range, 5 cm before the tip.
    """
    drawn = sample_scenario("payload", chain, np.random.default_rng(0))
    base = replace(drawn, payload_mass=0.5 * rated_payload(chain), payload_com=(0.0, 0.0, 0.05))
    return {
        _point(name, value): replace(base, **curve.fields(chain, value))
        for name, curve in CURVES.items()
        for value in curve.values
    }


def run_curves(
    config: BenchConfig,
    controllers: Mapping[str, Any],
    suites: Mapping[str, Sequence[Reference]],
    out: str | Path,
    *,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Run the controllers of a finished bench over the curves; return its summary with the block `curves`.

    The episodes are a bench of their own in `out`/curves, on `REFERENCES` of each suite, once each; `summary.json` of
    `out` gets the block (see `make_curves`). Arguments as those of `run_bench`, whose folder `out` is.
    Raises UsageError where `out` is not finished, or has curves that are not to be resumed.
    """
    folder, started = Path(out), time.perf_counter()
    summary = store.read_json(folder / "summary.json")
    run_bench(
        controllers, {name: _some(references) for name, references in suites.items()},
        curve_scenarios(load_chain(config.robot)), folder / "curves", config=replace(config, draws=1), records=records,
        scene=recorded_scene(folder), resume=resume, progress=progress,
    )  # fmt: skip
    families = {name: facts["family"] for name, facts in summary["given"].items()}
    summary["curves"] = make_curves(read_table(folder / "curves", list(controllers)), families)
    summary["wall_seconds"]["curves"] = time.perf_counter() - started
    store.write_json(folder / "summary.json", summary)
    return store.read_json(folder / "summary.json")


def make_curves(table: Mapping[str, list[Row]], families: Mapping[str, str]) -> dict[str, Any]:
    """The block `curves` of `summary.json`.

    table: controller -> its rows under `curve_scenarios`, in an order that is the same for all. families: controller ->
    family.
    -> curve -> `label`, `values`, and `cells`: controller -> for every value what `grid.cell` says.
    """
    oracle = next((name for name in table if families[name] == "oracle"), None)

    def at(name: str | None, scenario: str) -> list[Row]:
        return [row for row in table[name] if row["scenario"] == scenario] if name else []

    return {
        title: {
            "label": curve.label,
            "values": list(curve.values),
            "cells": {
                name: [cell(at(name, point), at(oracle, point)) for point in (_point(title, v) for v in curve.values)]
                for name in table
            },
        }
        for title, curve in CURVES.items()
    }


def _point(curve: str, value: float) -> str:
    return f"{curve} {value:g}"


def _some(references: Sequence[Reference]) -> list[Reference]:
    places = np.linspace(0, len(references) - 1, min(REFERENCES, len(references))).round().astype(int)
    return [references[place] for place in places]
