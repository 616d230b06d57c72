"""The audit of generators: several arms and seeds, each a corpus, a flow trained on it, and every row of the audit.

Resumable: every seed's block is kept as it is done, and its rows as they are; the same command goes on.

    python experiments/generator_audit.py      # prints the table, writes runs/generator_audit/summary.json
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from armctl import store
from armctl.commands.console import say, show, table
from armctl.generator import FlowConfig, FlowModel, load_model, save_model, train_flow
from armctl.generator.audit import ROWS, audit_generator
from armctl.motion.corpus import Corpus, build_corpus
from armctl.urdf import load_chain

SHOWN = (
    "validity", "c2st", "energy", "energy_p", "mmd_p", "density", "coverage", "vendi", "nn_ratio", "z_u",
    "seconds_per_certified",
)  # fmt: skip
BOUNDS = {"energy": (-np.inf, 1.5), "coverage": (0.9, np.inf), "nn_ratio": (0.95, 1.10)}
"""What figures of guided proposals have to lie within: energy distance over that of unguided ones, coverage over that
of held-out references, nearest-neighbour ratio."""


@dataclass
class Args:
    """What is audited."""

    robots: tuple[str, ...] = ("panda", "ur5e")
    """Names of arms in the assets, or paths of URDFs."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of corpus, training and audit."""
    motions: int = 4000
    """Motions of a corpus."""
    count: int = 256
    """References of a row."""
    few: int = 500
    """Motions of the flow that is made to over-fit."""
    out: Path = Path("runs/generator_audit")
    """Folder of summary.json, and of every flow and its block."""


def one_block(robot: str, seed: int, args: Args) -> dict[str, Any]:
    """The block of one arm and seed, from its folder where it is done."""
    folder = args.out / f"{robot}-{seed}"
    if (folder / "block.json").is_file():
        return store.read_json(folder / "block.json")
    chain = load_chain(robot)
    say(f"{robot}, seed {seed}: corpus and flow")
    corpus = build_corpus(chain, args.motions, seed)
    model = trained(folder, corpus, seed)
    known = store.read_json(folder / "rows.json") if (folder / "rows.json").is_file() else {}

    def keep(name: str, row: dict[str, Any]) -> None:
        known[name] = row
        store.write_json(folder / "rows.json", known)

    block = audit_generator(
        model, corpus, chain, count=args.count, few=args.few, seed=seed, known=dict(known), keep=keep,
        progress=lambda text: say(f"{robot}, seed {seed}: {text}"),
    )  # fmt: skip
    store.write_json(folder / "block.json", block)
    return store.read_json(folder / "block.json")


def trained(folder: Path, corpus: Corpus, seed: int) -> FlowModel:
    """The flow of a folder, trained if it is not there."""
    if not (folder / "params.npz").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save_model(train_flow(corpus, FlowConfig(seed=seed), chain=load_chain(corpus.robot)), folder)
    return load_model(folder)


def verdicts(block: dict[str, Any]) -> dict[str, float]:
    """The figures that have bounds."""
    rows = block["rows"]
    ours, plain, floor = (rows[name] for name in ("generated", "unguided", "held_out_floor"))
    return {
        "energy": ours["energy"] / max(plain["energy"], 1e-12),
        "coverage": ours["coverage"] / floor["coverage"],
        "nn_ratio": ours["nn_ratio"],
    }


def summarise(robot: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of every figure, with the least and the greatest of those that have bounds."""

    def mean(values: list[Any]) -> float:
        return float(np.mean([np.nan if value is None else value for value in values]))

    rows = {name: {key: mean([b["rows"][name][key] for b in blocks]) for key in SHOWN} for name in ROWS}
    found = {name: [verdicts(block)[name] for block in blocks] for name in BOUNDS}
    bounded = {
        name: {"mean": mean(x), "least": min(x), "greatest": max(x), "within": within(name, mean(x)), "each": x}
        for name, x in found.items()
    }
    gaps = {
        name: {gap: mean([b["training"][name][gap] for b in blocks]) for gap in ("gap", "gap_last")}
        for name in ("all", "few")
    }
    return {"robot": robot, "seeds": len(blocks), "rows": rows, "bounded": bounded, "gaps": gaps}


def within(name: str, value: float) -> bool:
    """Whether a figure is as good as wanted."""
    low, high = BOUNDS[name]
    return bool(low <= value <= high)


def text(summary: dict[str, Any]) -> str:
    """A table of means over the seeds, and the figures with bounds."""
    shown = [{"row": name, **row} for name, row in summary["rows"].items()]
    lines = [
        f"{name}: {x['mean']:.3g} ({x['least']:.3g} to {x['greatest']:.3g}), {'within' if x['within'] else 'OUTSIDE'} "
        f"{BOUNDS[name]}"
        for name, x in summary["bounded"].items()
    ]
    gaps = [
        f"train/validation gap, {name} motions: {x['gap']:.3g}, {x['gap_last']:.3g} at the end of training"
        for name, x in summary["gaps"].items()
    ]
    return "\n".join([f"{summary['robot']}, {summary['seeds']} seeds", table(shown), *lines, *gaps])


def main(args: Args) -> None:
    """Audit all, seed by seed so that every arm has as many, and write the summary after each."""
    found: dict[str, list[dict[str, Any]]] = {robot: [] for robot in args.robots}
    settings = {name: str(x) if isinstance(x, Path) else x for name, x in asdict(args).items()}
    about = {"config": settings, "machine": store.machine(), "versions": store.versions()}
    for seed in args.seeds:
        for robot in args.robots:
            found[robot].append(one_block(robot, seed, args))
            arms = [summarise(name, blocks) for name, blocks in found.items() if blocks]
            store.write_json(args.out / "summary.json", {**about, "arms": arms})
    show(arms, "\n\n".join(map(text, arms)), False)


if __name__ == "__main__":
    main(tyro.cli(Args))
