"""What the tracker's advantage is made of, and where it ends.

Trains, on each plant preset, operational space + integral, the tracker with its network switched off (state prediction
and residual feed-through remain: a tuned disturbance observer) and the full tracker, all with one budget, and runs them
in PyBullet on held-out references of the corpus. Writes runs/ablation/.

    python experiments/ablation.py
"""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from armctl import store
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.learn.bptt import TrainConfig
from armctl.learn.tune import TuneConfig, tune
from armctl.motion.corpus import build_corpus, references
from armctl.urdf import load_chain


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    presets: tuple[str, ...] = ("payload_ideal", "payload", "stress")
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
    full = TrainConfig(updates=args.updates, batch=64, horizon=32)
    variants = {
        "operational_space_integral": ("operational_space_integral", full),
        "tracker_without_network": ("tracker", replace(full, learning_rate=0.0)),
        "tracker": ("tracker", full),
    }
    table = {}
    for preset in args.presets:
        trained = {}
        for name, (controller, train) in variants.items():
            config = TuneConfig(args.robot, controller, preset, seed=args.seed, train=train)
            trained[name] = tune(config, training, out / preset / name)
            print(f"{preset}: {name} trained", flush=True)
        bench = BenchConfig(robot=args.robot, seed=args.seed, lockstep=args.episodes)
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
