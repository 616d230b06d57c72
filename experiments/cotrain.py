"""Does steering by regret help? Curricula x seeds x controllers x arms in the closed loop, with the same updates.

All runs of an arm share one corpus and one generator, from which two families of motions are held out; curricula differ
in what they ask of it alone. Errors are those of the best parameters by validation, in the twin, on held-out motions of
the corpus's families and on motions out of family (the held-out families, figures, ISO 9283), plants that none was
trained on. Runs go to runs/cotrain/ROBOT/CONTROLLER/CURRICULUM-SEED and can be resumed; the table to runs/cotrain/.

    python experiments/cotrain.py
    python experiments/cotrain.py --robots panda --controllers tracker_mlp --seeds 0 1 2 3 4
    python experiments/cotrain.py --table
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy import stats

from armctl import store
from armctl.commands.console import say
from armctl.cotrain import CotrainConfig, cotrain
from armctl.cotrain.curricula import CURRICULA
from armctl.cotrain.ground import loop_corpus
from armctl.generator import FlowConfig, load_model, save_model, train_flow
from armctl.learn.learner import TrainConfig
from armctl.urdf import load_chain

AGAINST = "uniform"
"""What the others are compared with."""
METRICS = ("held_out_mean_mm", "held_out_cvar_mm", "outside_mean_mm", "outside_cvar_mm")


STEERED = "steered_regret"
"""Regret on motions that were steered to over that on the others of the same round, geometric mean over rounds."""


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robots: tuple[str, ...] = ("panda", "ur5e")
    """Arms."""
    controllers: tuple[str, ...] = ("tracker_mlp", "tracker")
    """Controllers by name."""
    curricula: tuple[str, ...] = (*CURRICULA, "regret-chosen", "regret-guided")
    """What steers; after a hyphen how."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of weights, plants, proposals and episodes."""
    rounds: int = 4
    """Rounds of each run."""
    updates: int = 75
    """Updates in a round."""
    batch: int = 32
    """Episodes under way at a time."""
    references: int = 64
    """Motions of a round."""
    seconds: float = 2.5
    """Longest part of a motion that is trained and measured on, s."""
    motions: int = 800
    """Motions of the corpus."""
    out: Path = Path("runs/cotrain")
    """Run folders and table."""
    table: bool = False
    """Write the table of the runs there are, and run nothing."""


def settings(args: Args, robot: str, controller: str, curriculum: str, seed: int) -> CotrainConfig:
    """One run."""
    score, _, how = curriculum.partition("-")
    train = TrainConfig(updates=args.updates, batch=args.batch, horizon=32, validation=32)
    return CotrainConfig(
        robot=robot, controller=controller, curriculum=score, steering=how or "conditioned", seed=seed,
        rounds=args.rounds, train=train,
        references=args.references, seconds=args.seconds, motions=args.motions, without=("arc", "figure_eight"),
        labelled=256, flow=FlowConfig(steps=1000),
    )  # fmt: skip


def run(args: Args) -> None:
    """All runs that are not finished yet, every curriculum of a seed before the next seed."""
    for robot, controller, seed in itertools.product(args.robots, args.controllers, args.seeds):
        chain = load_chain(robot)
        corpus = loop_corpus(settings(args, robot, controller, AGAINST, 0), chain)
        generator = args.out / chain.name / "generator"
        if not (generator / "config.json").exists():
            save_model(train_flow(corpus, FlowConfig(steps=1000), chain=chain), generator)
        for curriculum in args.curricula:
            folder = args.out / chain.name / controller / f"{curriculum}-{seed}"
            if finished(folder):
                continue
            config = settings(args, robot, controller, curriculum, seed)
            say(f"{folder}")
            cotrain(config, folder, generator=load_model(generator), corpus=corpus, resume=folder.exists(), tell=say)
            write_table(args)


def finished(folder: Path) -> bool:
    """Whether a run has come to its end."""
    summary = folder / "summary.json"
    return summary.exists() and store.read_json(summary)["status"] == "finished"


def write_table(args: Args) -> None:
    """What every curriculum has reached, and by how much its errors exceed those of uniform proposals, seed by seed."""
    rows = []
    for robot, controller in itertools.product(args.robots, args.controllers):
        folder = args.out / load_chain(robot).name / controller
        found = {
            (curriculum, seed): figures(store.read_json(folder / f"{curriculum}-{seed}" / "summary.json"))
            for curriculum, seed in itertools.product(args.curricula, args.seeds)
            if finished(folder / f"{curriculum}-{seed}")
        }
        for curriculum in args.curricula:
            seeds = [seed for seed in args.seeds if (curriculum, seed) in found]
            if seeds:
                facts = {"robot": robot, "controller": controller, "curriculum": curriculum, "seeds": len(seeds)}
                rows.append(facts | errors(found, curriculum, seeds))
    if rows:
        store.write_rows(args.out / "table.csv", rows)
        facts = {"machine": store.machine(), "versions": store.versions(), "settings": replace(args, table=False)}
        store.write_json(args.out / "summary.json", {"rows": rows, **facts})
        print(markdown(rows), flush=True)


def figures(summary: dict[str, Any]) -> dict[str, float]:
    """Errors of a run's best parameters, and by how much the motions that it steered to had more regret than others."""
    pairs = [(float(row["regret_steered_mm"]), float(row["regret_unsteered_mm"])) for row in summary["rounds"]]
    ratios = [np.log(steered / others) for steered, others in pairs if np.isfinite(steered)]
    return {**summary["best"], STEERED: float(np.exp(np.mean(ratios))) if ratios else np.nan}


def errors(found: dict[tuple[str, int], dict[str, float]], curriculum: str, seeds: list[int]) -> dict[str, Any]:
    """Geometric mean over the seeds of every metric, and of its ratio to uniform proposals with a 95 % interval.

    The interval is Student's, of the logarithms of the ratios seed by seed; there is none for a single seed.
    """
    row: dict[str, Any] = {}
    paired = [seed for seed in seeds if (AGAINST, seed) in found]
    for name in METRICS:
        row[name] = float(np.exp(np.mean([np.log(found[curriculum, seed][name]) for seed in seeds])))
        logs = np.array([np.log(found[curriculum, s][name] / found[AGAINST, s][name]) for s in paired])
        count = len(logs)
        reach = stats.t.ppf(0.975, count - 1) * np.std(logs, ddof=1) / np.sqrt(count) if count > 1 else np.nan
        middle = logs.mean() if len(logs) else np.nan
        row[f"{name}_ratio"] = float(np.exp(middle))
        row[f"{name}_low"], row[f"{name}_high"] = float(np.exp(middle - reach)), float(np.exp(middle + reach))
    row[STEERED] = float(np.exp(np.mean([np.log(found[curriculum, seed][STEERED]) for seed in seeds])))
    return row


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table for a page: errors of uniform proposals in mm, those of the others as ratios to them."""
    head = ["arm", "controller", "curriculum", "seeds", "held out, mean", "worst tenth", "outside, mean", "worst tenth"]
    head += ["regret steered to"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * 3 + " ---: |" * 6]
    for row in rows:
        first = [*(str(row[k]) for k in ("robot", "controller", "curriculum", "seeds"))]
        steered = "–" if row[STEERED] is None or np.isnan(row[STEERED]) else f"× {row[STEERED]:.2f}"
        lines.append("| " + " | ".join([*first, *(cell(row, name) for name in METRICS), steered]) + " |")
    return "\n".join(lines)


def cell(row: dict[str, Any], name: str) -> str:
    """One figure."""
    if row["curriculum"] == AGAINST:
        return f"{row[name]:.3f} mm"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    within = f" [{low:.2f}, {high:.2f}]" if low is not None and np.isfinite(low) else ""  # JSON has None for nan
    return f"× {row[f'{name}_ratio']:.2f}{within}"


def main(args: Args) -> None:
    """Run, then the table."""
    if not args.table:
        run(args)
    write_table(args)


if __name__ == "__main__":
    main(tyro.cli(Args))
