"""`armctl tune` and `armctl train tracker`: a controller's parameters by the gradient through the twin."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.chain import Chain
from armctl.commands.console import bar, compiling, results_only, show, table
from armctl.commands.folders import Run, SeedArguments, run_in_folders
from armctl.commands.motions import FLOW_SECONDS, make_corpus
from armctl.commands.parsing import Folder, Limit, check_out, parse, part
from armctl.controllers import registry
from armctl.errors import UsageError
from armctl.jobs import Where
from armctl.learn import hosts
from armctl.learn.fresh import Draw
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import HELD_OUT, TuneConfig, tune
from armctl.motion.corpus import SPLIT_SHARES, references
from armctl.motion.files import load_suite_dir
from armctl.motion.reference import Reference
from armctl.plant.presets import check_preset
from armctl.urdf import load_chain


@dataclass(frozen=True)
class Budget(TrainConfig):
    """Budget and objective, with one seed for everything."""

    patience: Annotated[int, tyro.conf.arg(name="max-nonfinite")] = TrainConfig.patience
    """Consecutive non-finite updates after which training stops with the last good parameters."""
    seed: tyro.conf.Suppress[tyro.conf.Fixed[int]] = TrainConfig.seed


@dataclass(frozen=True)
class TrainArguments(SeedArguments, TuneConfig):
    """Train a tracker by the gradient through the differentiable twin and write a run folder."""

    seed: int = 0
    """Seed of weights, plants, references and episodes."""
    train: Annotated[Budget, tyro.conf.arg(name="")] = field(default_factory=Budget)
    controller: tyro.conf.Suppress[tyro.conf.Fixed[str]] = "tracker"
    data: Folder = None
    """Run folder of a generator, which proposes afresh as training goes on, or a folder of .npz or .csv references to
    train on, in place of a motion corpus made for the arm."""
    out: Folder = None
    """Run folder to write; runs/ROBOT-CONTROLLER if absent."""
    seeds: tuple[int, ...] = ()
    """Seeds of weights, plants and episodes to train with, on the same motions, each in OUT/SEED; the table has the one
    that does best on validation first."""
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Train over several machines: address of process 0, a free port; run the same command on every machine."""
    processes: Limit = None
    """How many machines; under SLURM the number of tasks, one a node."""
    process_id: Limit = None
    """Which of them this is, from 0; under SLURM the task's. Process 0 alone reads and writes the run folder."""


@dataclass(frozen=True)
class TuneArguments(TrainArguments):
    """Tune the gains of a controller by the gradient through the differentiable twin and write a run folder."""

    controller: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CONTROLLER")] = tyro.MISSING
    """Controller by name: diff_ik, computed_torque, operational_space, operational_space_integral, ..."""


def run_tune(argv: Sequence[str], prog: str) -> int:
    """`armctl tune CONTROLLER`; returns the exit status."""
    return run(parse(TuneArguments, argv, prog))


def run_tracker(argv: Sequence[str], prog: str) -> int:
    """`armctl train tracker` and `armctl train tracker_mlp`, the last word of prog; returns the exit status."""
    return run(replace(parse(TrainArguments, argv, prog), controller=prog.split()[-1]))


def run(arguments: TrainArguments) -> int:
    """Tune, with progress, and print the last training errors, the best seed first; of several processes one does."""
    where = _where(arguments)
    with results_only(arguments.coordinator is not None or where != Where()):
        hosts.connect(arguments.coordinator, arguments.processes, arguments.process_id)
        config, chain = seeded(part(arguments, TuneConfig), arguments.seed), load_chain(arguments.robot)
        out = arguments.out or Path("runs") / f"{chain.name}-{config.controller}"
        runs = {out / str(seed): seeded(config, seed) for seed in arguments.seeds} or {out: config}
        hosts.on_first(lambda: _check(runs, arguments))
        check_names(config, chain)
        motions, held_out = training_references(config, chain, arguments.data)
        work = partial(_train, motions, held_out)
        run_in_folders(work, runs, where, overwrite=arguments.overwrite, resume=arguments.resume)
    if hosts.is_first():
        found: list[dict[str, Any]] = [
            {"controller": config.controller, "robot": chain.name, **_last(x), "folder": str(x)} for x in runs
        ]
        rows = sorted(found, key=_rank)
        show(rows if arguments.seeds else rows[0], table(rows), arguments.json)
    return 0


def seeded(config: TuneConfig, seed: int) -> TuneConfig:
    """The same run from another seed of weights, plants and episodes."""
    return replace(config, seed=seed, train=replace(config.train, seed=seed))


def _where(arguments: TrainArguments) -> Where:
    """Where the seeds are trained. Raises UsageError for what does not go together."""
    where = Where(arguments.jobs, arguments.ray)
    if arguments.coordinator is not None and where != Where():
        raise UsageError(
            "--coordinator lets one run take several machines, --jobs and --ray take one run to each; leave out either."
        )
    where.check()
    return where


def _train(motions: list[Reference] | Draw, held_out: list[Reference] | None, run: Run) -> None:
    """Do a run, with progress where it can be seen; what it found is in its folder."""
    options: dict[str, Any] = {"overwrite": run.overwrite, "resume": run.resume, "held_out": held_out}
    if not run.here or not hosts.is_first():
        tune(run.config, motions, run.folder, **options)
        return
    compiling(registry.find(run.config.controller).compile_seconds)
    with bar(run.config.train.updates, f"tune {run.config.controller}", "update") as progress:
        tune(run.config, motions, run.folder, **options, progress=lambda row: advance(progress, row))


def check_names(config: TuneConfig, chain: Chain) -> None:
    """Raise UsageError for an unknown controller or scenario, before references are made for it."""
    registry.find(config.controller)
    for name in config.scenario.split(","):
        check_preset(name.strip())


def training_references(
    config: TuneConfig, chain: Chain, data: Path | None
) -> tuple[list[Reference] | Draw, list[Reference] | None]:
    """References to train on and to validate on: a generator's proposals and motions of another corpus, splits of a
    corpus made for the arm, or the user's own, for both."""
    if config.references < 1:
        raise UsageError(f"references is {config.references}; training needs at least 1.")
    if data is not None and (data / "params.npz").is_file():
        return _proposed(config, chain, data)
    if data is not None:
        return load_suite_dir(data, chain, config.control_dt)[: config.references], None
    count = max(10, math.ceil(config.references / SPLIT_SHARES[0]) + 1)
    corpus = make_corpus(chain, count, config.seed)
    train = references(corpus, chain, "train", config.control_dt, config.references)
    return train, references(corpus, chain, "val", config.control_dt) or None


def _proposed(config: TuneConfig, chain: Chain, folder: Path) -> tuple[Draw, list[Reference]]:
    """What draws a generator's proposals, and motions of validation from a corpus that it does not know."""
    from armctl.generator import Fresh, load_model

    draw = Fresh(load_model(folder), chain, config.fresh, config.control_dt, config.seed)
    compiling(FLOW_SECONDS, "the flow")
    corpus = make_corpus(chain, max(10, math.ceil(config.train.validation / SPLIT_SHARES[0])), HELD_OUT)
    held_out = references(corpus, chain, "train", config.control_dt)
    return draw, held_out


def advance(progress: Any, row: dict[str, Any]) -> None:
    """Move a bar to the update of a row of metrics."""
    progress.set_postfix({"position mm": f"{row['position_rms_mm']:.2f}", "loss": f"{row['loss']:.3g}"}, refresh=False)
    progress.update(row["update"] - progress.n)


def _check(folders: Iterable[Path], arguments: TrainArguments) -> None:
    for folder in folders:
        check_out(folder, overwrite=arguments.overwrite, resume=arguments.resume)


def _rank(row: dict[str, Any]) -> float:
    return float(row.get("validation_score", row["position_rms_mm"]))


def _last(out: Path) -> dict[str, float]:
    row = store.read_rows(out / "metrics.csv")[-1]
    figures = [
        "position_rms_mm",
        "orientation_rms_deg",
        "validation_position_rms_mm",
        "validation_score",
        "validation_contraction",
    ]
    figures += ["textbook_position_rms_mm"]
    return {"updates": int(row["update"]), **{name: float(row[name]) for name in figures if name in row}}
