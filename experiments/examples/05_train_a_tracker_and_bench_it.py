"""Train the differential network through the twin, tune a classical rival alike, and compare them in PyBullet.

Both get the same updates, motions and distribution of plants: unknown loads, a delayed command, noisy sensors. The
bench runs them on motions and loads that neither has met. The budget is a taste; `armctl train tracker` has a real one.

    python experiments/examples/05_train_a_tracker_and_bench_it.py
    python experiments/examples/05_train_a_tracker_and_bench_it.py --robot iiwa14 --updates 300
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

import armctl
from armctl.bench.plan import BenchConfig
from armctl.bench.tuning import describe_tuning
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig, tune
from armctl.motion.corpus import build_corpus, references


@dataclass
class Args:
    """What is trained, for how long, and where it is kept."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""
    controllers: tuple[str, ...] = ("tracker", "operational_space_integral")
    """Controllers by name; `armctl.controllers.known()` lists them."""
    updates: int = 60
    """Gradient updates of each."""
    episodes: int = 8
    """Motions of the bench."""
    out: Path = Path("runs/examples/05")
    """Folder of the runs; an older one is replaced."""


def show(row: dict) -> None:
    """Tell how a training goes on."""
    print(f"  update {row['update']:3d}: {row['position_rms_mm']:6.2f} mm rms in the twin", flush=True)


args = tyro.cli(Args)
chain = armctl.load_chain(args.robot)
corpus = build_corpus(chain, 100)
train = TrainConfig(updates=args.updates, batch=32, horizon=16, chunk=min(20, args.updates), validation=0)
tuned, records = {}, {}
for name in args.controllers:
    print(f"{name}: {args.updates} updates under the preset 'payload'")
    config = TuneConfig(robot=args.robot, controller=name, scenario="payload", train=train)
    tuned[name] = tune(config, references(corpus, chain, "train"), args.out / name, overwrite=True, progress=show)
    records[name] = describe_tuning(args.out / name)
suites = {"unseen": references(corpus, chain, "test", limit=args.episodes)}
bench, out = BenchConfig(robot=args.robot), args.out / "bench"
said = armctl.run_bench(tuned, suites, ["payload"], out, config=bench, records=records, overwrite=True)
for name, block in said["controllers"].items():
    rmse = block["position_rmse_mm"]
    print(f"{name}: {rmse['iqm']:.2f} mm rms in PyBullet, 95 % interval {rmse['low']:.2f} to {rmse['high']:.2f} mm")
