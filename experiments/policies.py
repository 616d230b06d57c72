"""Tune every controller and train the tracker, as they are shipped in assets/policies.

All on the same presets of plants, motions, objective and budget: certified proposals of one generator, drawn afresh as
training goes on, or with --corpus the motions that the generator was trained on. Parameters are chosen by validation on
other plants and motions. Of rivals the best there is is shipped even where its loop does not contract on every
validation plant (no gains of most do, under delays they do not know of), and summary.json says so; what is ours is not.
Runs go to runs/policies/ROBOT/CONTROLLER-SEED and can be resumed; of the best seed's three files are copied.

    python experiments/policies.py --robots panda
    python experiments/policies.py --controllers tracker filter_bank --seeds 0 1 2 3 4
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import tyro

from armctl import store
from armctl.chain import Chain
from armctl.controllers import known
from armctl.errors import NonFiniteError, UnstableError
from armctl.generator import Fresh, load_model, save_model, train_flow
from armctl.learn.fresh import Draw
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig, tune
from armctl.motion.corpus import Corpus, build_corpus, references
from armctl.motion.reference import Reference
from armctl.urdf import load_chain

SHIPPED = ("config.json", "params.npz", "summary.json")
OURS = ("tracker", "filter_bank", "oracle")


@dataclass(frozen=True)
class Args:
    """What is tuned, and with which budget."""

    robots: tuple[str, ...] = ("panda", "ur5e")
    """Arms."""
    controllers: tuple[str, ...] = tuple(name for name in known() if name not in ("mppi", "tracker_mlp"))
    """Controllers by name."""
    updates: int = 500
    """Updates of each."""
    batch: int = 64
    """Episodes under way at a time."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of weights, plants and episodes; the corpus is the same for all."""
    corpus: bool = False
    """Train on the motions of the corpus in place of proposals; what is shipped so far was."""
    runs: Path = Path("runs/policies")
    """Run folders."""
    assets: Path = Path("assets/policies")
    """What is shipped."""


def motions(args: Args, chain: Chain, corpus: Corpus) -> list[Reference] | Draw:
    """What all controllers of an arm are trained on."""
    if args.corpus:
        return references(corpus, chain, "train", limit=TuneConfig.references)
    folder = args.runs / chain.name / "generator"
    if not (folder / "config.json").exists():
        save_model(train_flow(corpus, chain=chain), folder)
    return Fresh(load_model(folder), chain, TuneConfig.fresh)


def tuned(
    args: Args, robot: str, chain: Chain, corpus: Corpus, training: list[Reference] | Draw, name: str, seed: int
) -> tuple[float, Path] | None:
    """Score on validation and run folder of a controller's tuning; None where it is not to be released."""
    train = TrainConfig(updates=args.updates, batch=args.batch, horizon=32, seed=seed)
    config = TuneConfig(robot, name, seed=seed, train=train)
    run = args.runs / chain.name / f"{name}-{seed}"
    try:
        tune(config, training, run, held_out=references(corpus, chain, "val"), resume=run.exists())
    except (UnstableError, NonFiniteError) as error:
        print(f"{chain.name} {name} {seed}: {error}", flush=True)
        if name in OURS:
            return None
    last = store.read_json(run / "summary.json")["last"]
    print(f"{chain.name} {name} {seed}: {last['validation_position_rms_mm']:.3f} mm on validation", flush=True)
    return last["validation_score"], run


def main(args: Args) -> None:
    """Tune, say what validation says, copy the best."""
    for robot in args.robots:
        chain = load_chain(robot)
        corpus = build_corpus(chain, 1500, 0)
        training = motions(args, chain, corpus)
        for name in args.controllers:
            runs = [tuned(args, robot, chain, corpus, training, name, seed) for seed in args.seeds]
            found = sorted(run for run in runs if run is not None)
            released = args.assets / chain.name / name
            shutil.rmtree(released, ignore_errors=True)
            for _, run in found[:1]:
                released.mkdir(parents=True)
                for file in SHIPPED:
                    shutil.copy(run / file, released / file)


if __name__ == "__main__":
    main(tyro.cli(Args))
