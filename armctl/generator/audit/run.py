"""The audit of a trained generator against the corpus it came from."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.generator.audit.block import audit
from armctl.generator.flow import FlowModel
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.proposals import Candidate, candidates
from armctl.generator.request import Request
from armctl.motion.certificate import Checker
from armctl.motion.corpus import Corpus, references
from armctl.motion.reference import Reference

STAGES = 6
"""Corpus, proposals, and every set of them compared with the held-out one."""


def audit_generator(
    model: FlowModel,
    corpus: Corpus,
    chain: Chain,
    *,
    count: int = 128,
    dt: float = 0.01,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The audit block of a generator, with guidance and without, next to the held-out floor and the corpus itself.

    model: trained on the "train" split. corpus: whose "test" split is the yardstick, "val" the floor, and "train" the
    honest competitor. count: references per set, before repeated contexts are dropped. dt: s. seed: decides everything.
    progress: told what begins, STAGES times.
    -> as `armctl.generator.audit.audit`. Raises UsageError where the corpus is too small for the statistics.
    """
    guidance = ClearanceGuidance.of(chain, model.paths, model.scene)
    request = Request(scene=model.scene, dt=dt, seed=seed)
    guided = candidates(model, chain, guidance, request)
    free = candidates(model, chain, request=request)
    progress("sampling the motions of the corpus")
    train = references(corpus, chain, "train", dt)
    drawn = np.random.default_rng(seed).permutation(len(train))[:count]
    progress("proposing motions with guidance and without")
    sets = {
        "generated": _take(guided, count),
        "unguided": _take(free, count),
        "held_out_floor": references(corpus, chain, "val", dt, limit=count),
        "corpus_and_reject": [train[k] for k in drawn],
    }
    test = references(corpus, chain, "test", dt)
    with Checker(chain, model.scene) as checker:
        return audit(
            sets, train, test, chain, checker.certify, history=np.asarray(model.history), seed=seed, progress=progress
        )


def _take(stream: Iterator[Candidate], count: int) -> list[Reference]:
    return [one for one in itertools.islice(stream, count) if isinstance(one, Reference)]
