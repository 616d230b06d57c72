"""What is asked of difficulty and what comes of it: a panel's percentile, controllers outside the panel, PyBullet.

    python experiments/difficulty.py                      # panda and ur5e, about 10 minutes each on two cores
    python experiments/difficulty.py --robots panda --per-level 2 --levels 5

Motions are proposed at levels of difficulty, and beside them at levels of speed. Controllers that were not in the
panel follow them in PyBullet, all on the same plants. A row is the rank correlation of what was asked with a
controller's error, of single motions; then follow the rank correlations between controllers, for whether what is hard
for one is hard for another, and what tells the panel that a motion is hard.
"""

import argparse
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from armctl import Arm, store
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.chain import Chain
from armctl.controllers.shipped import best
from armctl.generator import FlowConfig, train_flow
from armctl.generator.difficulty import FEATURES
from armctl.generator.flow import FlowModel
from armctl.generator.fresh import certified
from armctl.generator.panel import PANEL, learn_dial
from armctl.generator.ranks import spearman
from armctl.motion.corpus import build_corpus
from armctl.motion.reference import Reference
from armctl.plant.presets import sample_scenario
from armctl.urdf import load_chain

OUTSIDE = ("disturbance_observer", "extended_state_observer", "impedance", "adaptive", "tracker")


def main() -> None:
    """Measure, write runs/difficulty and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", nargs="+", default=["panda", "ur5e"])
    parser.add_argument("--levels", type=int, default=10)
    parser.add_argument("--per-level", type=int, default=4)
    parser.add_argument("--plants", type=int, default=4)
    parser.add_argument("--motions", type=int, default=2000, help="of the corpus")
    parser.add_argument("--scenario", default="payload")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/difficulty"))
    args = parser.parse_args()
    for robot in args.robots:
        path = args.out / f"{robot}-{args.scenario}-{args.seed}.json"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            store.write_json(path, measure(load_chain(robot), args))
        show(robot, store.read_json(path))


def measure(chain: Chain, args: argparse.Namespace) -> dict[str, Any]:
    """What was asked, and the error of every controller on every motion, mean of the logarithm over the plants."""
    corpus = build_corpus(chain, args.motions, args.seed)
    dial = learn_dial(corpus, chain, args.scenario, seed=args.seed)
    model = train_flow(corpus, FlowConfig(steps=1000, seed=args.seed), chain=chain, difficulty=dial)
    motions, asked = {}, {}
    for kind, (low, high) in {"difficulty": (0.05, 0.95), "speed": (0.3, 1.0)}.items():
        levels = np.repeat(np.linspace(low, high, args.levels), args.per_level)
        motions[kind] = proposed(model, chain, kind, levels, args.per_level, args.seed)
        asked[kind] = levels.tolist()
    errors = followed(chain, motions, args)
    weights = dict(zip(FEATURES, dial.critic.weights[1 : 1 + len(FEATURES)].tolist(), strict=True))
    return {
        "asked": asked, "errors": errors, "weights": weights, "critic": dial.critic.rank_correlation,
        "machine": store.machine(), "versions": store.versions(),
    }  # fmt: skip


def proposed(model: FlowModel, chain: Chain, kind: str, levels: np.ndarray, each: int, seed: int) -> list[Reference]:
    """Certified motions, so many of each level of difficulty or speed."""
    found: list[Reference] = []
    for k, level in enumerate(levels[::each]):
        asked: dict[str, Any] = {kind: float(level), "seed": seed + 100 * k}
        made, _ = certified(model, chain, each, **asked)
        found += [dataclasses.replace(one, name=f"{kind}_{k:02d}_{j}") for j, one in enumerate(made)]
    return found


def followed(chain: Chain, motions: dict[str, list[Reference]], args: argparse.Namespace) -> dict[str, Any]:
    """Logarithms of the position error of every controller on every motion, means over the plants, by kind."""
    rng = np.random.default_rng(args.seed + 1)  # other plants than the panel's
    plants = {f"plant {k}": sample_scenario(args.scenario, chain, rng) for k in range(args.plants)}
    arm = Arm.from_chain(chain)
    controllers = {name: best(name, arm)[0] for name in (*PANEL, *OUTSIDE)}
    config = BenchConfig(robot=chain.name, hold=0.0, batch=40, jobs=2)
    out = args.out / f"{chain.name}-bench"
    run_bench(controllers, motions, plants, out, config=config, resume=out.exists())
    rows = store.read_rows(out / "episodes.csv")
    found: dict[str, Any] = {kind: {name: [0.0] * len(of) for name in controllers} for kind, of in motions.items()}
    place = {one.name: k for of in motions.values() for k, one in enumerate(of)}
    for row in rows:
        value = np.log(float(row["position_rmse_mm"])) / len(plants)
        found[row["suite"]][row["controller"]][place[row["reference"]]] += value
    return found


def show(robot: str, found: dict[str, Any]) -> None:
    """Print the tables of one arm."""
    asked, errors = found["asked"], found["errors"]
    print(f"\n{robot}: rank correlation of what was asked with the error in PyBullet; critic {found['critic']:.2f}")
    print("| controller | by difficulty | by speed alone |\n|---|---:|---:|")
    for name in errors["difficulty"]:
        by = [spearman(np.array(asked[kind]), np.array(errors[kind][name])) for kind in ("difficulty", "speed")]
        print(f"| `{name}`{' (panel)' if name in PANEL else ''} | {by[0]:.2f} | {by[1]:.2f} |")
    names = list(errors["difficulty"])
    print("\nIs what is hard for one hard for another? Rank correlation of errors on the same motions")
    print("| |" + "".join(f" `{name}` |" for name in names) + "\n|---|" + "---:|" * len(names))
    both = {name: np.array(errors["difficulty"][name] + errors["speed"][name]) for name in names}
    table = {pair: spearman(both[pair[0]], both[pair[1]]) for pair in itertools.product(names, names)}
    for row in names:
        print(f"| `{row}` |" + "".join(f" {table[row, column]:.2f} |" for column in names))
    ranked = sorted(found["weights"].items(), key=lambda item: -abs(item[1]))[:6]
    print("\nWhat makes a motion hard for the panel (standardised weights): ", end="")
    print(", ".join(f"{name} {weight:+.2f}" for name, weight in ranked))


if __name__ == "__main__":
    main()
