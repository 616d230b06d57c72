"""From what was measured to what is proposed next: labels of difficulty, a flow that learns them, its proposals."""

import dataclasses
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from armctl.chain import Chain
from armctl.cotrain.config import CotrainConfig
from armctl.cotrain.curricula import SCORES, Measured, failure_weights
from armctl.cotrain.paths import as_corpus, fits, joined
from armctl.generator import FlowModel, train_flow
from armctl.generator.difficulty import Critic, described, fit_critic
from armctl.generator.fresh import certified
from armctl.generator.ranks import ranks
from armctl.generator.uphill import in_coordinates
from armctl.motion.certificate import Checker
from armctl.motion.corpus import Corpus, references
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference
from armctl.scene import Scene

ASKED = (0.75, 0.95)
"""Percentiles of the score that steered proposals are asked for, half of them each."""
MADE = 16
"""Motions that the tracker really made which join the generator's data in a round, at most."""
NEAR = 0.15
"""Percentiles by which a context may be easier or harder than what is asked for around it."""
CHOICE = 4
"""Certified proposals per one that is chosen, by failure bins or by the critic."""
CHANCE = 1.645
"""Standard deviations that a rank correlation of nothing exceeds one time in 20."""
CONTEXTS = 1024
"""Contexts that a flow draws around: always so many, so that one compiled program serves."""
RATE = 0.3
"""Of the flow's learning rate, when it is refined."""


class Proposals(NamedTuple):
    """What a round trains on."""

    paths: Corpus  # N, all in the split "train"
    steered: np.ndarray  # (N,) bool, which of them
    acceptance: float  # of what was proposed
    seconds: float  # that proposing took

    def motions(self, chain: Chain, dt: float) -> list[Reference]:
        """The references, N."""
        return references(self.paths, chain, "train", dt)


def proposals(
    config: CotrainConfig, chain: Chain, model: FlowModel, corpus: Corpus, measured: Measured | None,
    critic: Critic | None, number: int,
) -> Proposals:  # fmt: skip
    """What the round of this number trains on.

    measured: what the one before has shown, None before the first; critic: of its scores, None where the curriculum
    has none or they cannot be foretold, and nothing is steered by them.
    """
    began = time.perf_counter()
    count, seeds = config.references, np.random.SeedSequence([config.seed, number]).generate_state(5)
    rng = np.random.default_rng(seeds[0])
    if config.curriculum == "corpus":
        part = corpus.subset("train")
        return Proposals(
            part.take(rng.choice(len(part), count, replace=count > len(part))), np.zeros(count, bool), 1.0, 0.0
        )
    by = {"uniform": None, "failure_bins": measured}.get(config.curriculum, critic)
    steered = 0 if by is None else round((1 - config.unsteered) * count)
    # a refined flow's own contexts are in part those that were steered to
    known = model.paths.dataset(corpus, "train", reversal=model.config.reversal)[1]
    even = around(dataclasses.replace(model, contexts=jnp.asarray(known)), None, rng)
    found, attempts = certified(even, chain, count - steered, dt=config.control_dt, seed=int(seeds[1]))
    if steered and (config.curriculum == "failure_bins" or config.steering == "chosen"):
        more, tries = certified(even, chain, CHOICE * steered, dt=config.control_dt, seed=int(seeds[2]))
        if critic is not None:
            chosen = np.argsort(critic.score(more, chain))[-steered:]
        else:
            assert measured is not None
            chosen = rng.choice(len(more), steered, replace=False, p=failure_weights(measured, more))
        found, attempts = found + [more[i] for i in chosen], attempts + tries // CHOICE
    elif steered:
        guide = None
        if config.steering == "guided" and critic is not None:
            guide = in_coordinates(critic, model, chain, corpus.subset("train"))
        for k, percentile in enumerate(ASKED):
            part_count = steered // 2 + (steered % 2 if k else 0)
            if not part_count:
                continue
            pushed = around(model, percentile, rng)
            if guide is None:
                pushed = dataclasses.replace(pushed, emphasis=config.emphasis)
            more, tries = certified(
                pushed, chain, part_count,
                critic=guide, difficulty=percentile, dt=config.control_dt, seed=int(seeds[2 + k]),
            )  # fmt: skip
            found, attempts = found + more, attempts + tries
    paths, seconds = as_corpus(chain, found, corpus.families), time.perf_counter() - began
    return Proposals(paths, np.arange(count) >= count - steered, count / attempts, seconds)


def around(model: FlowModel, percentile: float | None, rng: np.random.Generator) -> FlowModel:
    """The model with CONTEXTS of its contexts: those about as difficult as asked, any where nothing is asked.

    Start, goal and speed say most of how difficult a motion is; to ask for a hard one between easy ends at a low speed
    would be to ask for what there is not.
    """
    contexts, place = np.asarray(model.contexts), model.paths.columns.difficulty
    near: np.ndarray = np.ones(len(contexts), bool)
    if percentile is not None:
        own, known = contexts[:, place].T
        near = (known > 0.5) & (np.abs(own - percentile) <= NEAR)
    chosen = contexts[rng.choice(np.flatnonzero(near) if near.any() else len(contexts), CONTEXTS)]
    if percentile is None:
        chosen[:, place] = 0.0
    return dataclasses.replace(model, contexts=jnp.asarray(chosen))


def scorer(config: CotrainConfig, chain: Chain, measured: Measured, paths: Corpus) -> Critic:
    """What says how the curriculum would score motions that were not measured; paths: of those that were."""
    return fit_critic(described(paths, chain), SCORES[config.curriculum](measured), seed=config.seed)


def foretells(critic: Critic, count: int) -> bool:
    """Whether a critic of so many motions ranks those it was not fitted on better than chance would one time in 20."""
    return critic.rank_correlation > CHANCE / np.sqrt(count - 1)


def refined(
    config: CotrainConfig, chain: Chain, model: FlowModel, known: Corpus, known_features: np.ndarray,
    critic: Critic, paths: Corpus, made: Corpus | None, number: int,
) -> FlowModel:  # fmt: skip
    """The flow taught what the curriculum's critic thinks difficult.

    known: motions of the corpus, train and val, of these features (N, F). paths: of the motions that were measured;
    made: of those that the tracker really made.
    """
    further = [paths] if made is None else [paths, made]
    fill = np.arange(2 * len(paths) - sum(map(len, further))) % len(paths)  # one size, so one compiled program
    new = joined(*further, paths.take(fill))
    guess = critic.predict(np.concatenate([known_features, described(new, chain)]))
    percentile = (ranks(guess) - 0.5) / len(guess)
    schedule = dataclasses.replace(
        config.flow, steps=config.refine, seed=config.seed + number,
        learning_rate=RATE * config.flow.learning_rate,
    )  # fmt: skip
    return train_flow(joined(known, new), schedule, chain=chain, difficulty=percentile, start=model)


def made_motions(
    chain: Chain,
    motions: Sequence[Reference],
    q: np.ndarray,
    error: np.ndarray,
    limit: float,
    families: tuple[str, ...],
    scene: Scene | None = None,
) -> Corpus | None:
    """Paths of what a tracker made of motions, certified (PARC, 2505.04002); at most MADE, None where there are none.

    q: (T, N, n) rad, the joints from the first sample on. error: (N,) m; those above limit are failures, not motions.
    scene: what motions have to keep off.
    """
    found: list[Reference] = []
    with Checker(chain, scene) as checker:
        for k, motion in enumerate(motions):
            length = len(motion.q)
            if len(found) == MADE:
                break
            if length > len(q) or error[k] > limit or not fits(chain, q[:length, k].astype(float)):
                continue
            own = dataclasses.replace(motion, q=q[:length, k].astype(float))
            path = as_corpus(chain, [own], families)
            if not np.isfinite(path.t_min[0]):
                continue
            timing = path.t_min[0], path.eta[0], motion.dt
            made = path_reference(chain, path.control_points[0], *timing, name=motion.name, meta=_made(motion))
            if checker.certify(made).valid:
                found.append(made)
    return as_corpus(chain, found, families) if found else None


def _made(motion: Reference) -> dict[str, object]:
    return {"family": motion.meta["family"], "context": motion.meta.get("context", -1), "source": "tracker"}
