"""What the tracker's advantage is made of, and where it ends.

Trains, on each plant preset, operational space + integral, the disturbance observer, the filter bank (the tracker
without its network) and the tracker, all with one budget, and runs them in PyBullet on held-out references.
Writes runs/ablation/.

    python experiments/ablation.py
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from armctl import store
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig, tune
from armctl.motion.corpus import build_corpus, references
from armctl.urdf import load_chain


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    presets: tuple[str, ...] = ("payload", "latency", "combined")
    """Plant presets, each trained for and tested on separately."""
    updates: int = 300
    """Updates per controller, as in the demo."""
    episodes: int = 24
    """Held-out references, each with its own plant."""
    seed: int = 0
    """Seed of everything."""
    out: Path = Path("runs/ablation")
    """Run folder."""
    overwrite: bool = False
    """Replace an earlier run."""


def main(args: Args) -> None:
    """Train, run and print the table."""
    out = store.create_run(args.out, args, overwrite=args.overwrite)
    chain = load_chain(args.robot)
    corpus = build_corpus(chain, 1500, args.seed)
    training = references(corpus, chain, "train", limit=TuneConfig.references)
    held_out = [r for r in references(corpus, chain, "test") if r.duration <= 5.0][: args.episodes]
    train = TrainConfig(updates=args.updates, batch=64, horizon=32, seed=args.seed, validation=0)
    table = {}
    for preset in args.presets:
        trained = {}
        for name in ("operational_space_integral", "disturbance_observer", "filter_bank", "tracker"):
            config = TuneConfig(args.robot, name, preset, seed=args.seed, train=train)
            trained[name] = tune(config, training, out / preset / name)
            print(f"{preset}: {name} trained", flush=True)
        bench = BenchConfig(robot=args.robot, seed=args.seed, batch=args.episodes)
        summary = run_bench(bench, trained, {"held-out": held_out}, [preset], out / preset / "bench", progress=False)
        table[preset] = {name: block["position_rmse_mm"] for name, block in summary["controllers"].items()}
    store.write_json(
        out / "summary.json",
        {
            "position_rmse_mm": table,
            "machine": store.machine(),
            "versions": store.versions(),
            "seeds": {"seed": args.seed},
        },
    )
    for preset, row in table.items():
        print(preset, {name: f"{x['iqm']:.3f} [{x['low']:.3f}, {x['high']:.3f}]" for name, x in row.items()})
    store.finish_run(out)


if __name__ == "__main__":
    main(tyro.cli(Args))
