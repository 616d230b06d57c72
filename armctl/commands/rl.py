"""`armctl train rl`: a policy by reinforcement learning, judged in PyBullet as it learns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl.commands.console import bar, compiling, results_only, show, table
from armctl.commands.folders import Run, SeedArguments, run_in_folders
from armctl.commands.parsing import Folder, Limit, check_out, parse, part
from armctl.jobs import Where
from armctl.plant.presets import check_preset
from armctl.rl.learn import check_installed, train_policy
from armctl.rl.settings import RLConfig, recipe
from armctl.urdf import load_chain

File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


@dataclass(frozen=True)
class RLArguments(SeedArguments, RLConfig):
    """Train a policy by reinforcement learning (sbx), on the twin or in PyBullet, and write a run folder."""

    steps: Limit = None
    """Environment steps, of all arms together; those of the hyper-parameters if absent."""
    arms: Limit = None
    """Arms that learn side by side; as many as the hyper-parameters say if absent."""
    hyperparameters: File = None
    """TOML file with hyper-parameters of your own, over those of armctl/rl/hyperparameters.toml."""
    out: Folder = None
    """Run folder to write; runs/ROBOT-TASK-ALGO if absent."""
    seeds: tuple[int, ...] = ()
    """Seeds to train with, each in OUT/SEED; the table has the best first."""


def run(argv: Sequence[str], prog: str) -> int:
    """Train, with progress, and print what the best policy achieves; returns the exit status."""
    arguments = parse(RLArguments, argv, prog)
    config, chain = part(arguments, RLConfig), load_chain(arguments.robot)
    out = arguments.out or Path("runs") / f"{chain.name}-{config.task}-{config.algo}"
    runs = {out / str(seed): replace(config, seed=seed) for seed in arguments.seeds} or {out: config}
    check_preset(config.scenario)
    check_installed()
    where = Where(arguments.jobs, arguments.ray)
    where.check()
    for folder in runs:
        check_out(folder, overwrite=arguments.overwrite, resume=arguments.resume)
    with results_only():
        found = run_in_folders(_train, runs, where, overwrite=arguments.overwrite, resume=arguments.resume)
        found = [{**row, "folder": str(folder)} for row, folder in zip(found, runs, strict=True)]
    rows = sorted(found, key=lambda row: (-row["success"], row["position_error_mm"]))
    show(rows if arguments.seeds else rows[0], table(rows), arguments.json)
    return 0


def _train(run: Run) -> dict[str, Any]:
    """Do a run, with progress where it can be seen -> what its best judgement found."""
    config: RLConfig = run.config
    options: dict[str, Any] = {"overwrite": run.overwrite, "resume": run.resume}
    if not run.here:
        return _found(config, train_policy(config, run.folder, **options))
    compiling(10)
    with bar(recipe(config).steps, f"{config.algo} on {config.task}", "step") as progress:

        def advance(row: dict[str, float]) -> None:
            said = {"success": f"{row['success']:.0%}", "mm": f"{row['position_error_mm']:.1f}"}
            progress.set_postfix(said, refresh=False)
            progress.update(row["steps"] - progress.n)

        return _found(config, train_policy(config, run.folder, **options, progress=advance))


def _found(config: RLConfig, summary: dict[str, Any]) -> dict[str, Any]:
    return {"algorithm": config.algo, "task": config.task, **summary["best"]}
