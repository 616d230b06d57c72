"""`armctl train generator`: the goal generator of one arm."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.chain import Chain
from armctl.commands.console import bar, compiling, say, show, stages, table
from armctl.commands.motions import make_corpus
from armctl.commands.parsing import Flag, Folder, check_out, parse, part
from armctl.errors import UsageError
from armctl.generator import FlowConfig, FlowModel, save_model, train_flow
from armctl.generator.difficulty import Dial
from armctl.generator.panel import PANEL, learn_dial
from armctl.motion.certificate import check_measured
from armctl.motion.corpus import Corpus, import_demonstrations
from armctl.motion.free import check_scene
from armctl.plant.presets import check_preset
from armctl.scene import load_scene
from armctl.urdf import load_chain


@dataclass(frozen=True)
class Flow(FlowConfig):
    """A generator, whose gradient steps are called updates, as those of all that is trained."""

    steps: Annotated[int, tyro.conf.arg(name="updates")] = FlowConfig.steps
    """Gradient updates."""


@dataclass(frozen=True)
class GeneratorConfig(Flow):
    """A generator and what it learns from."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    motions: int = 4000
    """Motions of the corpus that is made for the arm."""
    data: Folder = None
    """Folder of your own .npz or .csv demonstrations to learn from, in place of the corpus."""
    difficulty_scenario: Annotated[str | None, tyro.conf.arg(metavar="PRESET")] = None
    """Plants on which a panel of controllers says what is difficult, such as payload; then proposals can be asked for
    by difficulty. None: it is not learned (it takes about a minute)."""
    scene: str | None = None
    """Obstacles that the motions keep off: table, shelf, pillars, bin, wall, or a .json, .toml or .urdf file."""


@dataclass(frozen=True)
class GeneratorArguments(GeneratorConfig):
    """Train the goal generator of an arm on a motion corpus and write a run folder."""

    out: Folder = None
    """Run folder to write; runs/ROBOT-generator if absent."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    resume: Flag = False
    """Keep a finished run with the same settings; an unfinished one wrote nothing and starts anew."""
    audit: Flag = False
    """Also audit the generator against the corpus (some minutes); the block goes into summary.json."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """Train, with progress, and print the losses; returns the exit status."""
    arguments = parse(GeneratorArguments, argv, prog)
    config, chain = part(arguments, GeneratorConfig), load_chain(arguments.robot)
    out = arguments.out or Path("runs") / f"{chain.name}-generator"
    check_out(out, overwrite=arguments.overwrite, resume=arguments.resume)
    if config.difficulty_scenario is not None:
        check_preset(config.difficulty_scenario)
    check_scene(chain, None if config.scene is None else load_scene(config.scene, chain))
    if arguments.audit:
        check_measured(chain)
    motions, finished = None, arguments.resume and (out / "summary.json").is_file()  # which is written last
    if arguments.resume and (out / "config.json").is_file():
        store.create_run(out, config, resume=True)  # refuses other settings before work starts
    if not finished:
        motions = corpus(config, chain)
        write(train(config, chain, motions), config, out, overwrite=arguments.overwrite, resume=arguments.resume)
    if arguments.audit:
        audit(config, chain, out, motions or corpus(config, chain))
    row = {"robot": chain.name, **store.read_json(out / "summary.json"), "folder": str(out)}
    show(row, table([{name: value for name, value in row.items() if name != "audit"}]), arguments.json)
    return 0


def train(config: GeneratorConfig, chain: Chain, motions: Corpus) -> tuple[FlowModel, float]:
    """The trained model and the seconds it took."""
    started = time.perf_counter()
    compiling(5)
    dial = None if config.difficulty_scenario is None else learn(config.difficulty_scenario, config, chain, motions)
    with bar(config.steps, "train generator", "step") as progress:
        model = train_flow(
            motions, part(config, FlowConfig), chain=chain, difficulty=dial,
            progress=lambda row: _advance(progress, row),
        )  # fmt: skip
    return model, time.perf_counter() - started


def learn(scenario: str, config: GeneratorConfig, chain: Chain, motions: Corpus) -> Dial:
    """The dial of difficulty under a scenario: a panel of controllers is made to follow some of the motions."""
    with stages(len(PANEL), "learn what is difficult") as tell:
        dial = learn_dial(motions, chain, scenario, seed=config.seed, progress=tell)
    told = dial.critic.rank_correlation
    say(f"what is difficult under {scenario} is told by a motion's features to rank correlation {told:.2f}")
    return dial


def corpus(config: GeneratorConfig, chain: Chain) -> Corpus:
    """The motions to learn from."""
    scene = None if config.scene is None else load_scene(config.scene, chain)
    if config.data is not None:
        found = dataclasses.replace(import_demonstrations(config.data, chain, config.seed), scene=scene)
        if not len(found.subset("val")):
            say(f"{len(found)} demonstration(s), too few to hold one back: the validation loss is on the same ones")
        return found
    if config.motions < 1:
        raise UsageError(f"motions is {config.motions}; a corpus needs at least 1.")
    return make_corpus(chain, config.motions, config.seed, scene)


def trained_config(folder: Path) -> GeneratorConfig:
    """What `armctl train generator` was told. Raises UsageError for a folder that something else has written."""
    told = store.read_config(folder)
    if not {"robot", "motions"} <= told.keys():
        raise UsageError(
            f"'{folder}' does not say on what motions its generator was trained, because another command made it; "
            "give one of `armctl train generator`."
        )
    return GeneratorConfig(**told)


def corpus_of(folder: Path) -> Corpus:
    """The motions that the generator in a run folder was trained on, made again as its config.json says."""
    config = trained_config(folder)
    return corpus(config, load_chain(config.robot))


def audit(config: GeneratorConfig, chain: Chain, out: Path, motions: Corpus) -> None:
    """Add the audit block of the model in a run folder to its summary.json and show it on standard error."""
    from armctl.generator import audit as audits
    from armctl.generator import load_model

    with stages(audits.STAGES, "audit generator") as tell:
        block = audits.audit_generator(load_model(out), motions, chain, seed=config.seed, progress=tell)
    store.write_json(out / "summary.json", {**store.read_json(out / "summary.json"), "audit": block})
    say(audits.table(block))


def _advance(progress: Any, row: dict[str, float]) -> None:
    progress.set_postfix({"validation loss": f"{row['validation_loss']:.3f}"}, refresh=False)
    progress.update(int(row["step"]) - progress.n)


def write(
    trained: tuple[FlowModel, float], config: GeneratorConfig, out: Path, *, overwrite: bool, resume: bool
) -> None:
    """Write the run folder of a trained model; resume: over what a run with the same settings has left of it."""
    from armctl.generator.flow import HISTORY

    model, seconds = trained
    history = [dict(zip(HISTORY, map(float, row), strict=True)) for row in model.history]
    best = min(history, key=lambda row: row["validation_loss"])
    store.create_run(out, config, overwrite=overwrite, resume=resume)
    store.write_rows(out / "metrics.csv", history)
    save_model(model, out)
    facts = {"parameters": model.parameters, "updates": int(history[-1]["step"])}
    losses = {"train_loss": best["train_loss"], "validation_loss": best["validation_loss"]}
    store.write_json(out / "summary.json", {**facts, **losses, "seconds": seconds})
    store.finish_run(out)
