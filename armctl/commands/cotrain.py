"""`armctl cotrain`: rounds of proposing, certifying, training and measuring, which steer what is proposed next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.commands.console import bar, compiling, say, show, table
from armctl.commands.demo import DemoFlow
from armctl.commands.generator import corpus_of
from armctl.commands.parsing import Flag, Folder, check_out, parse, part
from armctl.commands.training import Budget, advance, check_names
from armctl.controllers import registry
from armctl.cotrain import CotrainConfig, cotrain
from armctl.generator import load_model
from armctl.urdf import load_chain

SHOWN = ("round", "acceptance_rate", "error_mm", "regret_mm", "held_out_mean_mm", "held_out_cvar_mm", "outside_cvar_mm")


@dataclass(frozen=True)
class CotrainArguments(CotrainConfig):
    """Train a tracker and steer a generator in rounds, by the tracker's regret to the oracle; write a run folder."""

    train: Annotated[Budget, tyro.conf.arg(name="")] = field(
        default_factory=lambda: Budget(**vars(CotrainConfig().train))
    )
    fresh: tyro.conf.Suppress[tyro.conf.Fixed[int]] = CotrainConfig.fresh
    flow: DemoFlow = field(default_factory=DemoFlow)
    data: Folder = None
    """Run folder of the generator to begin with; one is trained on the corpus if absent."""
    out: Folder = None
    """Run folder to write; runs/ROBOT-cotrain if absent."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    resume: Flag = False
    """Continue an interrupted run with the same settings, at the round that it was in."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """Co-train, with progress, and print the rounds; returns the exit status."""
    arguments = parse(CotrainArguments, argv, prog)
    config, chain = part(arguments, CotrainConfig), load_chain(arguments.robot)
    out = arguments.out or Path("runs") / f"{chain.name}-cotrain"
    check_out(out, overwrite=arguments.overwrite, resume=arguments.resume)
    check_names(config, chain)
    options: dict[str, Any] = {"overwrite": arguments.overwrite, "resume": arguments.resume, "tell": say}
    if arguments.data is not None:
        options |= {"generator": load_model(arguments.data), "corpus": corpus_of(arguments.data)}
    compiling(registry.find(config.controller).compile_seconds)
    with bar(config.rounds * config.train.updates, f"cotrain {config.controller}", "update") as progress:
        cotrain(config, out, **options, progress=lambda row: advance(progress, row))
    summary = store.read_json(out / "summary.json")
    rows = [{name: float(row[name]) for name in SHOWN} for row in summary["rounds"]]
    show({**summary, "folder": str(out)}, f"{table(rows)}\n\npage: {out / 'rounds.html'}", arguments.json)
    return 0
