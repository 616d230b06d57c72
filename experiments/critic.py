"""Can a round of the closed loop tell which motions are hard: all on the same plants, or each on plants of its own?

And how much of the error lies in motions at all, which is what a curriculum of motions can change: shares of the
variance of its logarithm, and on how few plants the worst tenth of the episodes are.

The shipped tracker's regret on motions of the corpus, in the twin, a critic fitted to it, and how well measurement
and critic rank the motions by their mean regret on eight further plants (Spearman).

    python experiments/critic.py
    python experiments/critic.py --robot ur5e --scenario latency
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx

from armctl import store
from armctl.arm import Arm
from armctl.bench.stats import cvar
from armctl.commands.console import say
from armctl.controllers.shipped import best
from armctl.cotrain import CotrainConfig
from armctl.cotrain.ground import Ground, loop_corpus
from armctl.generator.difficulty import described, fit_critic
from armctl.generator.ranks import spearman
from armctl.motion.corpus import references
from armctl.urdf import load_chain

DRAWS = (1, 2, 4)
FURTHER = 8  # plants on which the truth is measured
LEAST = 1e-6  # m


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Arm."""
    scenario: str = CotrainConfig.scenario
    """Presets of the plants."""
    motions: int = 128
    """Motions that are measured."""
    seed: int = 0
    """Seed of motions and plants."""
    out: Path = Path("runs/critic")
    """Folder of the table."""


def main(args: Args) -> None:
    """Measure, fit, rank, and write table.csv."""
    config = CotrainConfig(robot=args.robot, scenario=args.scenario, references=args.motions, draws=1, seed=args.seed)
    chain = load_chain(args.robot)
    tracker, _ = best("tracker", Arm.from_chain(chain), config.control_dt)
    corpus = loop_corpus(config, chain)
    ground, params = Ground(config, chain, tracker, corpus), nnx.state(tracker, nnx.Param)
    part = corpus.subset("train").take(np.arange(args.motions))
    motions, features = references(part, chain, "train", config.control_dt), described(part, chain)

    def errors(plants: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of tracker and oracle, (N,) m each."""
        return ground.tracker(params, motions, plants)[0], ground.oracle(ground.truth, motions, plants)[0]

    def repeated(plants: Any, k: int) -> Any:
        return jax.tree.map(lambda x: np.repeat(np.asarray(x)[k : k + 1], len(motions), axis=0), plants)

    shared = ground.draw(DRAWS[-1] + FURTHER, args.seed, 1)
    say("every motion on the same plants")
    error, told = np.array([errors(repeated(shared, k)) for k in range(DRAWS[-1] + FURTHER)]).swapaxes(0, 1)
    same, shares = error - told, variance(np.log(error))
    tenths = {name: 1e3 * float(cvar(x.ravel())) for name, x in (("tracker", error), ("oracle", told))}
    worst = error >= np.quantile(error, 0.9)
    hard = np.sort(worst.sum(axis=1))[::-1].cumsum() / worst.sum()  # by so many of the plants
    print(shares, tenths, hard, flush=True)
    say("every motion on plants of its own")
    own = np.array([np.subtract(*errors(ground.draw(len(motions), args.seed, 2 + k))) for k in range(DRAWS[-1])])
    truth, rows = same[DRAWS[-1] :].mean(axis=0), []
    for plants, found in (("the same", same), ("its own", own)):
        for draws in DRAWS:
            measured = np.maximum(found[:draws].mean(axis=0), LEAST)
            critic = fit_critic(features, measured, seed=args.seed)
            ranks = spearman(measured, truth), critic.rank_correlation, spearman(critic.predict(features), truth)
            names = "measured_to_truth", "critic_cross_validated", "critic_to_truth"
            rows.append({"plants": plants, "draws": draws, **dict(zip(names, map(float, ranks), strict=True))})
            print(rows[-1], flush=True)
    store.write_rows(args.out / f"{chain.name}.csv", rows)
    facts: dict[str, Any] = {"variance": shares, "worst_tenth_mm": tenths, "worst_tenth_on_worst_plants": hard}
    facts |= {"machine": store.machine(), "versions": store.versions()}
    store.write_json(args.out / f"{chain.name}.json", {"settings": args, "rows": rows, **facts})


def variance(x: np.ndarray) -> dict[str, float]:
    """Shares of the variance of (plants, motions) that plants explain, motions explain, and neither does alone."""
    whole = x.var()
    plants, motions = x.mean(axis=1).var() / whole, x.mean(axis=0).var() / whole
    return {"plants": float(plants), "motions": float(motions), "both": float(1 - plants - motions)}


if __name__ == "__main__":
    main(tyro.cli(Args))
