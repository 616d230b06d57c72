"""`armctl suite build`: a frozen suite of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl.commands.console import compiling, show, stages, table
from armctl.commands.motions import FLOW_SECONDS
from armctl.commands.parsing import Flag, parse, part
from armctl.errors import UsageError
from armctl.generator.suites import SuiteConfig, build_suite, scenes_of
from armctl.motion.certificate import check_measured
from armctl.motion.free import check_scene
from armctl.plant.presets import check_preset
from armctl.urdf import load_chain


@dataclass(frozen=True)
class SuiteBuildArguments(SuiteConfig):
    """Make a frozen suite: certified motions in free space and in scenes, in bands of difficulty, in one small file."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npz")] = None
    """File to write; runs/ROBOT-suite.npz if absent."""
    overwrite: Flag = False
    """Replace a file."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """Make the suite, with progress, and print its cells; returns the exit status."""
    arguments = parse(SuiteBuildArguments, argv, prog)
    config, chain = part(arguments, SuiteConfig), load_chain(arguments.robot)
    out = arguments.out or Path("runs") / f"{chain.name}-suite.npz"
    if out.suffix != ".npz":
        raise UsageError(f"A frozen suite is one .npz file, not '{out}'.")
    if out.exists() and not arguments.overwrite:
        raise UsageError(f"'{out}' already exists; name another file or replace it with --overwrite.")
    check_preset(config.scenario)
    check_measured(chain)
    scenes = scenes_of(config, chain)
    for scene in scenes.values():
        check_scene(chain, scene)
    compiling(FLOW_SECONDS, "panel and flow")
    with stages(1 + len(scenes), "build suite") as tell:
        found = build_suite(config, chain, out, tell)
    rows: list[dict[str, Any]] = []
    for cell in dict.fromkeys(tuple(one.meta["cell"]) for one in found):
        members = [one for one in found if tuple(one.meta["cell"]) == cell]
        seconds = sum(one.duration for one in members) / len(members)
        rows.append({"scene": cell[0], "band": cell[1], "motions": len(members), "mean duration s": round(seconds, 2)})
    show({"suite": str(out), "cells": rows}, f"{table(rows)}\n\n{len(found)} motions in {out}", arguments.json)
    return 0
