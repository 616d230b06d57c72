"""An endless series of certified proposals in blocks, each decided by a seed and its number alone."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.flow import FlowModel
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.proposals import BATCH, PATIENCE, candidates, check_fits
from armctl.motion.certificate import Checker
from armctl.motion.reference import Reference


@dataclass(frozen=True, eq=False)
class Fresh:
    """What `armctl.learn.tune.tune` draws references from: block by block, as training goes on.

    model: trained on a corpus of the arm. chain: the arm. count: references in a block. dt: s. seed: of all blocks.
    Raises UsageError for a model of another arm.
    """

    model: FlowModel
    chain: Chain
    count: int
    dt: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_fits(self.model, self.chain)

    def __call__(self, number: int) -> tuple[list[Reference], dict[str, float]]:
        """The certified references of a block, and which part of the proposals those are as `acceptance_rate`."""
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        found, attempts = certified(self.model, self.chain, self.count, dt=self.dt, seed=seed)
        return found, {"acceptance_rate": self.count / attempts}


def certified(model: FlowModel, chain: Chain, count: int, **requests: Any) -> tuple[list[Reference], int]:
    """So many certified references and how many proposals they took; requests as in `candidates`.

    Unlike `propose` it does not also judge proposals without guidance. Raises UsageError for too few certified ones.
    """
    stream = candidates(model, chain, ClearanceGuidance.of(chain, model.paths), **requests)
    kept: list[Reference] = []
    with Checker(chain) as checker:
        for attempts in itertools.count(1):
            candidate = next(stream)
            reference = None if candidate is None else checker.certified(candidate)
            if reference is not None and reference.meta["certificate"]["valid"]:
                kept.append(reference)
            if len(kept) == count:
                return kept, attempts
            if attempts >= max(PATIENCE * count, 2 * BATCH):
                raise UsageError(
                    f"Only {len(kept)} of {attempts} proposals were certified while {count} were wanted; train the "
                    "generator longer."
                )
    raise AssertionError("the stream of proposals is endless")
