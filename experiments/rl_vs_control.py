"""Reinforcement learning against control: error against samples, and the best policies beside the controllers.

Reads the runs of rl.py and, for what gradient updates through the twin need, those of policies.py. Benches the best
seed of each cell, chosen by its own judgements, in PyBullet beside controllers as they are shipped: on random goals,
shown alone, and on held-out motions. Writes runs/rl_vs_control/: reach/ and track/ (runs of the bench), curves.png and
summary.json.

    python experiments/rl.py && python experiments/rl_vs_control.py
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from grid import LEAST, held_out
from rl import CELLS, finished

from armctl import store
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.bench.suite import load_suite
from armctl.commands.bench import load_controllers
from armctl.commands.console import bench_table
from armctl.errors import UsageError
from armctl.plot_style import MUTED, SERIES, figure_style
from armctl.rl.transfer import judge_run
from armctl.urdf import load_chain

Row = dict[str, float]
PANELS = {
    "reach_position-nominal": "Reach a position, nominal",
    "reach-nominal": "Reach a pose, nominal",
    "track-nominal": "Track, nominal",
    "track-combined": "Track, combined",
}
LEARNED = 0.9
"""Success that counts as learned."""


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    controllers: tuple[str, ...] = ("tracker", "diff_ik", "joint_servo", "operational_space_integral", "oracle")
    """Controllers beside the policies."""
    goals: int = 24
    """Goals to reach."""
    references: int = 24
    """Held-out motions to track."""
    seed: int = 0
    """Seed of goals, motions and plants."""
    jobs: int = 2
    """Worker processes of the bench."""
    runs: Path = Path("runs/rl")
    """Run folders of rl.py."""
    trackers: Path = Path("runs/policies")
    """Run folders of policies.py."""
    out: Path = Path("runs/rl_vs_control")
    """Run folder."""
    overwrite: bool = False
    """Replace an earlier run."""
    resume: bool = False
    """Continue an interrupted run with the same settings."""


def rows_of(folder: Path) -> list[Row]:
    """The judgements of a run."""
    return [{name: float(x) for name, x in row.items()} for row in store.read_rows(folder / "metrics.csv")]


def seeds_of(args: Args) -> dict[str, dict[str, list[Row]]]:
    """Cell -> seed -> judgements, of the runs that are finished. Raises UsageError where there are none."""
    found: dict[str, dict[str, list[Row]]] = {}
    for cell in CELLS:
        folders = sorted(path for path in (args.runs / cell).glob("*") if finished(path))
        if folders:
            found[cell] = {path.name: rows_of(path) for path in folders}
    if not found:
        raise UsageError(f"'{args.runs}' has no finished run of rl.py; run that first.")
    return found


def best_of(args: Args, cell: str, seeds: dict[str, list[Row]]) -> Path:
    """The run of a cell that was judged best."""
    best = {seed: store.read_json(args.runs / cell / seed / "summary.json")["best"] for seed in seeds}
    tracking = cell.startswith("track")
    return args.runs / cell / min(
        best, key=lambda s: (0 if tracking else -best[s]["success"], best[s]["position_error_mm"])
    )  # fmt: skip


def figures(seeds: dict[str, list[Row]], runs: Path) -> dict[str, Any]:
    """What the seeds of a cell achieve at their best, how many steps they need to learn, and how long they train."""
    best = [store.read_json(runs / seed / "summary.json")["best"] for seed in seeds]
    learned = [next((row["steps"] for row in rows if row["success"] >= LEARNED), None) for rows in seeds.values()]
    config = store.read_config(runs / next(iter(seeds)))["recipe"]
    return {
        **{key: [one[key] for one in best] for key in ("success", "position_error_mm", "orientation_error_deg")},
        "steps": config["steps"],
        "backend": config["backend"],
        "learned_after": learned,
        "seconds": [rows[-1]["seconds"] for rows in seeds.values()],
    }


def tracker_curves(args: Args) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Of every training of the tracker, environment steps in the twin, the validation error, mm, and seconds."""
    found = []
    for folder in sorted((args.trackers / load_chain(args.robot).name).glob("tracker-[0-9]*")):
        train, rows = store.read_config(folder)["train"], rows_of(folder)
        steps = train["batch"] * train["horizon"] * np.array([row["update"] for row in rows])
        found.append(
            (steps, np.array([row["validation_position_rms_mm"] for row in rows]), sum(row["seconds"] for row in rows))
        )
    return found


def bench(args: Args, name: str, suites: dict[str, Any], policies: dict[str, Path]) -> dict[str, Any]:
    """The best policies and the controllers on the same episodes."""
    config = BenchConfig(args.robot, seed=args.seed, batch=LEAST, jobs=args.jobs)
    entries = [*(f"{label}={path}" for label, path in policies.items()), *args.controllers]
    controllers, records = load_controllers(entries, config)
    summary = run_bench(
        controllers, suites, ["nominal", "combined"], args.out / name, config=config, records=records,
        overwrite=args.overwrite, resume=args.resume,
    )  # fmt: skip
    print(bench_table(summary))
    return summary


def picture(cells: dict[str, dict[str, list[Row]]], trackers: list[Any], levels: dict[str, dict[str, float]]) -> bytes:
    """A PNG: error in PyBullet against environment steps, of every seed; controllers as levels."""
    import io

    import matplotlib.pyplot as plt

    with figure_style():
        figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
        for ax, (panel, title) in zip(axes.flat, PANELS.items(), strict=True):
            for number, algo in enumerate(("ppo", "sac")):
                for rows in cells.get(f"{panel}-{algo}", {}).values():
                    x = [row["steps"] for row in rows]
                    ax.plot(x, [row["position_error_mm"] for row in rows], color=SERIES[number], alpha=0.55, lw=1.2)
                ax.plot([], [], color=SERIES[number], label=algo.upper())
            if panel == "track-combined":
                for steps, error, _ in trackers:
                    ax.plot(steps, error, color=SERIES[2], alpha=0.7, lw=1.2)
                ax.plot([], [], color=SERIES[2], label="tracker, by gradient (validation)")
            for label, level in levels.get(panel, {}).items():
                ax.axhline(level, color=MUTED, lw=0.8, ls=":")
                ax.annotate(label, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
            ax.set(title=title, xscale="log", yscale="log", xlabel="environment steps", ylabel="position error, mm")
            ax.legend(loc="center left")
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=160, facecolor="white")
        plt.close(figure)
    return data.getvalue()


def levels_of(args: Args, reach: dict[str, Any], track: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Panel -> controller -> interquartile mean of its position error in PyBullet, mm."""
    shown = [name for name in args.controllers if name != "oracle"]
    reached = {
        cell["controller"]: cell["goal_error_mm"]["iqm"]
        for cell in reach["reaching"]
        if cell["scenario"] == "nominal" and cell["suite"] == "goal"
    }
    levels = {name: reached[name] for name in shown}
    found = {"reach_position-nominal": levels, "reach-nominal": levels}
    for plant in ("nominal", "combined"):
        cells = track["grid"]["cells"]
        found[f"track-{plant}"] = {name: cells[name][plant]["position_rmse_mm"]["iqm"] for name in shown}
    return found


def transferred(run: Path) -> dict[str, Any]:
    """What a policy achieves on either backend."""
    return {backend: judge_run(run, backend)._asdict() for backend in ("twin", "bullet")}


def main(args: Args) -> None:
    """Bench, draw, write."""
    chain, cells = load_chain(args.robot), seeds_of(args)
    best = {cell: best_of(args, cell, seeds) for cell, seeds in cells.items()}
    reaching = {cell: path for cell, path in best.items() if cell.startswith("reach")}
    tracking = {cell: path for cell, path in best.items() if cell.startswith("track")}
    goals = {"goal": load_suite("goal", chain, limit=args.goals, seed=args.seed)}
    motions = held_out(chain, ("corpus",), references=args.references, longest=5.0, draws=1, seed=args.seed)
    reach, track = bench(args, "reach", goals, reaching), bench(args, "track", motions, tracking)
    trackers = tracker_curves(args)
    store.write_bytes(args.out / "curves.png", picture(cells, trackers, levels_of(args, reach, track)))
    summary = {
        "cells": {cell: figures(seeds, args.runs / cell) for cell, seeds in cells.items()},
        "tracker": [{"steps": x[-1], "first_mm": y[0], "last_mm": y[-1], "seconds": s} for x, y, s in trackers],
        "transfer": {
            cell: {b: judge_run(path, b)._asdict() for b in ("twin", "bullet")} for cell, path in best.items()
        },
        "reaching": reach["reaching"],
        "tracking": track["grid"],
        "machine": store.machine(),
        "versions": store.versions(),
    }
    store.write_json(args.out / "summary.json", summary)


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
