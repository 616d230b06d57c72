"""The audit of a trained generator against the corpus it came from, beside what else could have made its motions."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from armctl.chain import Chain
from armctl.generator.audit import rivals
from armctl.generator.audit.block import Yardstick, row_of, train_validation_gap, yardstick
from armctl.generator.contexts import draw_contexts
from armctl.generator.difficulty import Dial, described
from armctl.generator.flow import HISTORY, FlowModel
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.paths import PathCoder
from armctl.generator.request import Request
from armctl.generator.training import train_flow
from armctl.motion.certificate import Checker
from armctl.motion.corpus import Corpus, build_corpus, references
from armctl.motion.families import FAMILIES
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.motion.spline import CONSTRAINTS

BATCH = 64
FEW = 500
"""Motions of the model that is made to over-fit."""
ROWS = (
    "generated", "unguided", "held_out_floor", "corpus_and_reject", "gaussian", "autoencoder", "one_step", "repaired",
    "few_motions",
)  # fmt: skip
STAGES = 1 + len(ROWS)
"""How often an audit says what begins."""
_decode = jax.jit(PathCoder.decode, static_argnums=0)
Row = dict[str, Any]
Made = tuple[list[Reference], float]
"""References and the seconds of CPU time that making them took, which other programs disturb least."""


def audit_generator(
    model: FlowModel,
    corpus: Corpus,
    chain: Chain,
    *,
    count: int = 128,
    few: int = FEW,
    dt: float = 0.01,
    seed: int = 0,
    dial: Dial | None = None,
    known: Mapping[str, Row] | None = None,
    keep: Callable[[str, Row], None] = lambda name, row: None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The audit block of a generator: rows ROWS of figures, each of the same contexts and, in all, one seed.

    model: trained on the "train" split. corpus: whose "test" split is the yardstick, "val" the floor, and "train" the
    honest competitor. count: references per set, before repeated contexts are dropped. few: motions of a second flow,
    trained like the first but on so few, whose over-fitting the monitors have to show. dt: s. seed: decides everything.
    dial: of difficulty, for what a reference of the hardest tenth costs; the model's own if None. known: rows of an
    earlier, interrupted audit; keep: given every new one. progress: told what begins, at most STAGES times.
    -> {"rows": {name: row, see `armctl.generator.audit.block.row_of`}, "train_validation_gap": of the model,
    "training": {"all", "few": motions seen, losses, and the gap where training was stopped and at its end}}.
    Raises UsageError where the corpus is too small for the statistics.
    """
    rows, dial = {name: _read(row) for name, row in (known or {}).items()}, dial or model.dial
    progress("sampling the motions of the corpus")
    train, test = references(corpus, chain, "train", dt), references(corpus, chain, "test", dt)
    against = yardstick(train, test, chain, seed=seed, size=_comparable(corpus, count))
    makers = _makers(model, corpus, chain, train, count, dt, seed)
    with Checker(chain, model.scene) as checker:
        for name in ROWS[:-1]:
            if name not in rows:
                progress(f"judging {name.replace('_', ' ')}")
                rows[name] = row_of(name, *makers[name](), against, checker.certify, dial=dial)
                keep(name, rows[name])
        if ROWS[-1] not in rows:
            progress(f"training on {few} motions and judging that")
            rows[ROWS[-1]] = _few_motions(model, corpus, chain, few, count, dt, seed, checker, dial)
            keep(ROWS[-1], dict(rows[ROWS[-1]]))
    training = {"all": _training(model, corpus), "few": rows[ROWS[-1]].pop("training")}
    return {
        "rows": {name: rows[name] for name in ROWS},
        "train_validation_gap": training["all"]["gap"],
        "training": training,
    }


def _read(row: Mapping[str, Any]) -> Row:
    """A row as it was before it was written as JSON, which has no number that is not finite."""
    return {name: float("nan") if x is None else x for name, x in row.items()}


def _training(model: FlowModel, corpus: Corpus) -> dict[str, Any]:
    """Losses of a flow against steps, and the train/validation gap where training was stopped and at its end."""
    history = np.asarray(model.history)
    losses = {name: history[:, HISTORY.index(name)].tolist() for name in ("step", "train_loss", "validation_loss")}
    gaps = {"gap": train_validation_gap(history), "gap_last": train_validation_gap(history, last=True)}
    return {"motions": int(corpus.in_split("train").sum()), **gaps, **losses}


def _makers(
    model: FlowModel, corpus: Corpus, chain: Chain, train: list[Reference], count: int, dt: float, seed: int
) -> dict[str, Callable[[], Made]]:
    """What makes the references of every row but the last."""
    labels = None if model.dial is None else model.dial.percentile(described(corpus, chain))
    x, condition = model.paths.dataset(corpus, "train", labels, reversal=model.config.reversal)
    guidance = ClearanceGuidance.of(chain, model.paths, model.scene)

    def made(sampler: Callable[[], rivals.Sampler]) -> Callable[[], Made]:
        return lambda: motions(sampler(), model, chain, count, dt, seed)

    def held_out() -> Made:
        return references(corpus, chain, "val", dt, limit=count), float("nan")

    def drawn() -> Made:
        seconds = float("nan")
        if set(corpus.families) <= set(FAMILIES):  # nobody draws demonstrations anew
            began = time.process_time()  # what drawing as many anew takes
            fresh = build_corpus(chain, count, seed + 1, corpus.families, scene=corpus.scene)
            for split in ("train", "val", "test"):
                references(fresh, chain, split, dt)
            seconds = time.process_time() - began
        return [train[k] for k in np.random.default_rng(seed).permutation(len(train))[:count]], seconds

    return {
        "generated": made(lambda: rivals.flow(model, guidance)),
        "unguided": made(lambda: rivals.flow(model)),
        "held_out_floor": held_out,
        "corpus_and_reject": drawn,
        "gaussian": made(lambda: rivals.gaussian(x, condition)),
        "autoencoder": made(lambda: rivals.autoencoder(x, condition, model.config)),
        "one_step": made(lambda: rivals.one_step(model)),
        "repaired": made(lambda: rivals.repaired(model, guidance)),
    }


def motions(sampler: rivals.Sampler, model: FlowModel, chain: Chain, count: int, dt: float, seed: int) -> Made:
    """References of `count` paths that a sampler draws in contexts that the seed decides, once it is compiled."""
    rng, key = np.random.default_rng(seed), jax.random.key(seed)
    contexts = [draw_contexts(model, chain, rng, BATCH, Request(scene=model.scene)) for _ in range(-(-count // BATCH))]
    _decode(model.paths, sampler(key, contexts[0][0]), contexts[0][0])
    began, found = time.process_time(), list[Reference]()
    for round_, (conditions, origin) in enumerate(contexts):
        x = sampler(jax.random.fold_in(key, round_), conditions)
        found += _references(x, model.paths, chain, conditions, origin, dt)[: count - round_ * BATCH]
    return found, time.process_time() - began


def _references(
    x: np.ndarray, coder: PathCoder, chain: Chain, conditions: np.ndarray, origin: np.ndarray, dt: float
) -> list[Reference]:
    """References of path vectors x (B, D), but for those on which gravity alone exceeds the torque limits."""
    points = np.asarray(_decode(coder, x, conditions), float)
    shortest, binding = path_timing(chain, points)
    return [
        path_reference(
            chain, points[k], shortest[k], conditions[k, coder.columns.speed.start], dt,
            binding=CONSTRAINTS[int(binding[k])], meta={"context": int(origin[k])},
        )
        for k in np.flatnonzero(np.isfinite(shortest))
    ]  # fmt: skip


def fewer(corpus: Corpus, count: int, seed: int = 0) -> Corpus:
    """The corpus with `count` motions of its "train" split, drawn by contexts, and all of the others."""
    own, rng = corpus.in_split("train"), np.random.default_rng(seed)
    rank = rng.permutation(int(corpus.context.max()) + 1)[corpus.context]
    chosen = np.argsort(np.where(own, rank, len(rank) + 1), kind="stable")[: min(count, own.sum())]
    return corpus.take(np.isin(np.arange(len(corpus)), chosen) | ~own)


def _comparable(corpus: Corpus, count: int) -> int:
    """So many of every set are compared where figures depend on how many: as many as the held-out floor has."""
    return min(count // 2, len(np.unique(corpus.context[corpus.in_split("val")])))


def _few_motions(
    model: FlowModel, corpus: Corpus, chain: Chain, few: int, count: int, dt: float, seed: int,
    checker: Checker, dial: Dial | None,
) -> Row:  # fmt: skip
    """The row of a flow trained on few motions, compared with those, and its train/validation gap."""
    small = fewer(corpus, few, seed)
    trained = train_flow(small, dataclasses.replace(model.config, seed=seed), chain=chain, difficulty=model.dial)
    seen, test = (references(small, chain, split, dt) for split in ("train", "test"))
    against: Yardstick = yardstick(seen, test, chain, seed=seed, size=_comparable(corpus, count))
    guidance = ClearanceGuidance.of(chain, trained.paths, trained.scene)
    made = motions(rivals.flow(trained, guidance), trained, chain, count, dt, seed)
    row = row_of(ROWS[-1], *made, against, checker.certify, dial=dial)
    return {**row, "training": _training(trained, small)}
