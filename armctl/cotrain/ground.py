"""What stays the same in all rounds: the arm, the corpus, compiled programs, and motions and plants to measure on."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.bench.stats import cvar
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.controllers.shipped import best
from armctl.cotrain.config import CotrainConfig
from armctl.cotrain.curricula import Measured
from armctl.cotrain.monitors import Monitors
from armctl.cotrain.paths import joined
from armctl.errors import UsageError
from armctl.generator.difficulty import described
from armctl.learn.tracking import Tracking
from armctl.learn.tune import HELD_OUT, draw_plants, training_setting
from armctl.motion.corpus import Corpus, build_corpus, references
from armctl.motion.families import FAMILIES
from armctl.motion.reference import Reference
from armctl.motion.shapes import iso_suite, shape_suite
from armctl.plant.scenario import PlantParams
from armctl.scene import Scene

LEAST_HELD_OUT = 4  # motions; of fewer nothing can be said


def loop_corpus(config: CotrainConfig, chain: Chain, scene: Scene | None = None) -> Corpus:
    """The motions in a scene that the generator learns from: of all families but those that are held out."""
    families = [name for name in FAMILIES if name not in config.without]
    return build_corpus(chain, config.motions, config.seed, families, scene=scene)


def check_held_back(corpus: Corpus) -> None:
    """Raise UsageError for a corpus too small to hold motions back."""
    left = min(int(corpus.in_split(split).sum()) for split in ("val", "test"))
    if left < LEAST_HELD_OUT:
        raise UsageError(
            f"A corpus of {len(corpus)} motions leaves {left} to hold back, of {LEAST_HELD_OUT} that are needed; give "
            "more motions."
        )


class Ground:
    """A controller and an oracle to be measured, on what and beside what."""

    def __init__(self, config: CotrainConfig, chain: Chain, controller: Controller, corpus: Corpus) -> None:
        """Raises UsageError for a corpus too small to hold motions back."""
        self.config, self.chain, self.corpus = config, chain, corpus
        check_held_back(corpus)
        dt = config.control_dt
        self.held_out, unseen = (references(corpus, chain, split, dt) for split in ("val", "test"))
        known = corpus.subset("train").take(np.arange(min(config.labelled, int(corpus.in_split("train").sum()))))
        self.known = joined(known, corpus.subset("val"))
        self.described = described(self.known, chain)
        self.monitors = Monitors(chain, references(corpus, chain, "train", dt), unseen)
        self.suites = {"held_out": self.held_out, "outside": self._outside()}
        samples, arm = round(config.seconds / dt) + 1, Arm.from_chain(chain)
        oracle, _ = best("oracle", arm, dt)
        self.setting = training_setting(arm, controller.control, config)
        told = training_setting(arm, oracle.control, config)._replace(preview=oracle.preview)
        self.tracker, self.oracle = Tracking(controller, self.setting, samples), Tracking(oracle, told, samples)
        self.truth = nnx.state(oracle, nnx.Param)
        self.plants = self.draw(config.references * config.draws, HELD_OUT + 1)
        self.shared = self.draw(config.draws, config.seed, HELD_OUT + 2)

    def _outside(self) -> list[Reference]:
        """Motions of no family of the corpus: figures, those of ISO 9283, and of the families that are held out."""
        dt, without = self.config.control_dt, self.config.without
        found = [*shape_suite(self.chain, dt), *iso_suite(self.chain, dt)]
        if without:
            found += references(build_corpus(self.chain, 32, HELD_OUT, without), self.chain, "train", dt)
        return found

    def draw(self, count: int, *seeds: int) -> PlantParams:
        """So many true plants of the scenario."""
        return draw_plants(self.chain, self.config.scenario, count, np.random.default_rng(seeds))

    def measured(self, params: Any, motions: Sequence[Reference]) -> tuple[Measured, np.ndarray]:
        """Tracker and oracle on motions (N), each on config.draws plants; joints (T, N, n) rad on the first.

        All motions of all rounds meet the same plants: regret differs more between plants than between motions, and
        what is wanted is which of the motions are hard, and whether rounds lower it.
        """
        draws = self.config.draws
        rows = [one for one in motions for _ in range(draws)]
        plants = jax.tree.map(lambda x: np.tile(x, (len(motions), *[1] * (np.ndim(x) - 1))), self.shared)
        error, q = self.tracker(params, rows, plants)
        told, _ = self.oracle(self.truth, rows, plants)
        shape = len(motions), draws
        return Measured(motions, error.reshape(shape), told.reshape(shape)), q[:, ::draws]

    def on_suites(self, params: Any) -> dict[str, float]:
        """Mean and CVaR of the error, mm, on each fixed suite."""
        row, count = {}, self.config.references * self.config.draws
        for name, suite in self.suites.items():
            # all of a suite in turn, or as many as there is room for, evenly
            each = np.arange(count) % len(suite) if len(suite) <= count else np.arange(count) * len(suite) // count
            error, _ = self.tracker(params, [suite[i] for i in each], self.plants)
            row[f"{name}_mean_mm"], row[f"{name}_cvar_mm"] = 1e3 * float(error.mean()), 1e3 * float(cvar(error))
        return row
