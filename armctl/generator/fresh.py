"""An endless series of certified proposals in blocks, each decided by a seed and its number alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.generator.difficulty import Critic
from armctl.generator.flow import FlowModel
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.proposals import candidates, check_fits, judged, refuse_hopeless
from armctl.generator.request import make_request
from armctl.generator.uphill import CriticGuidance
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


def certified(
    model: FlowModel, chain: Chain, count: int, *, critic: Critic | None = None, **requests: Any
) -> tuple[list[Reference], int]:
    """So many certified references and how many proposals they took; requests as of `propose`.

    critic: in the flow's coordinates (uphill.py), up whose score the flow is bent.
    Unlike `propose` it does not also judge proposals without guidance. Raises UsageError for too few certified ones.
    """
    request = make_request(model, chain, **requests)
    clear = ClearanceGuidance.of(chain, model.paths, request.scene)
    stream = candidates(model, chain, clear if critic is None else CriticGuidance.of(critic, clear), request)
    kept: list[Reference] = []
    verdicts: list[tuple[str, ...]] = []
    with Checker(chain, request.scene) as checker:
        for candidate in stream:
            reference, reasons = judged(checker, candidate)
            verdicts.append(reasons)
            kept += [reference] if reference is not None and not reasons else []
            if len(kept) == count:
                return kept, len(verdicts)
            refuse_hopeless(count, len(kept), len(verdicts), verdicts)
    raise AssertionError("the stream of proposals is endless")
