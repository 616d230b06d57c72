"""Tune every controller and train the tracker, as they are shipped in assets/policies.

All on the same presets of plants, motions, objective and budget; chosen by validation on other plants and motions. What
does not contract on every validation plant is not released. Runs go to runs/policies/ROBOT/CONTROLLER and can be
resumed; of each its config.json and params.npz are copied.

    python experiments/policies.py --robots panda
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import tyro

from armctl import store
from armctl.controllers import known
from armctl.errors import UnstableError
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig, tune
from armctl.motion.corpus import build_corpus, references
from armctl.urdf import load_chain

SHIPPED = ("config.json", "params.npz")


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
    seed: int = 0
    """Seed of everything."""
    runs: Path = Path("runs/policies")
    """Run folders."""
    assets: Path = Path("assets/policies")
    """What is shipped."""


def main(args: Args) -> None:
    """Tune, copy and print what validation says."""
    for robot in args.robots:
        chain = load_chain(robot)
        corpus = build_corpus(chain, 1500, args.seed)
        training = references(corpus, chain, "train", limit=TuneConfig.references)
        held_out = references(corpus, chain, "val")
        for name in args.controllers:
            train = TrainConfig(updates=args.updates, batch=args.batch, horizon=32, seed=args.seed)
            config = TuneConfig(robot, name, seed=args.seed, train=train)
            run, released = args.runs / robot / name, args.assets / robot / name
            try:
                tune(config, training, run, held_out=held_out, resume=run.exists())
            except UnstableError as error:
                print(f"{robot} {name}: not released. {error}", flush=True)
                shutil.rmtree(released, ignore_errors=True)
                continue
            released.mkdir(parents=True, exist_ok=True)
            for file in SHIPPED:
                shutil.copy(run / file, released / file)
            last = store.read_json(run / "summary.json")["last"]
            print(f"{robot} {name}: {last['validation_position_rms_mm']:.3f} mm on validation", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args))
