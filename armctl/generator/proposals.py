"""From a trained flow to certified references: contexts, guided paths, closed-form timing, independent certificate."""

import dataclasses
import functools
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.contexts import draw_contexts
from armctl.generator.difficulty import shape_of_paths
from armctl.generator.flow import FlowModel, Guidance, sample
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.paths import PathCoder
from armctl.generator.request import Request, make_request
from armctl.generator.vias import ViaGuidance, chosen, onto
from armctl.motion.certificate import Checker
from armctl.motion.postures import Asked
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.motion.spline import CONSTRAINTS
from armctl.scene import Scene

BATCH = 64  # one compiled size serves every request
PATIENCE = 25  # attempts per wanted reference before giving up
NUDGE = 1e-2  # rad; a path that has to be moved farther to pass its via points was not made for them
NEAR_DIFFICULTY = 0.05  # percentiles by which a proposal may miss the difficulty asked for
REMEDIES = {
    "duration": "give a longer duration",
    "difficulty": "ask for another difficulty, or leave the speed open",
    "via": "choose other via points",
    "scene": "choose another start, goal or scene",
}
BASELINE = 64  # proposals certified without guidance, and at least as many with it, to compare validity


WISHES = ("via", "duration", "difficulty")
"""What a proposal can miss of what was asked, beside what a certificate finds broken."""

Candidate = Reference | str
"""A proposal, or the name of what it misses: one of WISHES, or "timing" where gravity alone is too much."""


@dataclasses.dataclass(frozen=True)
class ProposalStats:
    """What became of the proposals.

    attempts, accepted: proposals certified or refused, and those kept. acceptance_rate: accepted / attempts.
    validity_before: fraction of unguided proposals, same contexts and noise, that the checker certifies, of those that
    are as asked. validity_after: the same with guidance; both of at least 64 proposals. broken: how often the checker
    found each constraint broken after guidance ("timing": gravity alone is too much), and how often a wish was missed.
    seconds: wall-clock time.
    """

    attempts: int
    accepted: int
    acceptance_rate: float
    validity_before: float
    validity_after: float
    broken: dict[str, int]
    seconds: float


def propose(
    model: FlowModel, chain: Chain, count: int, *, speed: float | None = None, difficulty: float | None = None,
    family: str | None = None, start: Asked | None = None, goal: Asked | None = None, via: Sequence[Asked] = (),
    duration: float | None = None, scene: Scene | str | Path | None = None, dt: float = 0.01, seed: int = 0,
    guided: bool = True, progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Reference], ProposalStats]:  # fmt: skip
    """`count` references that the independent checker certifies, and what became of all proposals.

    model: trained on a corpus of this arm. What is None is drawn as in the corpus: speed, eta in (0, 1], the share of
    the arm's limits that is used; difficulty, the percentile in [0, 1] of the error that controllers are expected to
    make, for a model that has learned what is difficult (found by the speed, where that is not given too); family of
    the motion; start and goal, joints (n,) rad, a `TipPose`, or text as `armctl.motion.postures` reads it, goals met to
    1 mm and 0.1 degrees; via, at most four of the same, passed in their order; duration, s, in place of a speed.
    scene: what to keep off, a Scene or what `load_scene` takes; that in which the model was trained if None. dt: s.
    seed: decides everything. guided: whether the flow is bent away from collisions. progress: called with (accepted,
    attempts) after every attempt. The references' meta holds family, eta, t_min, binding, context, seed, certificate,
    the scene's name and the difficulty where they are known.
    Raises UsageError for wishes that cannot be met, a model of another arm, and too few certified proposals.
    """
    _check(model, chain, count)
    began = time.perf_counter()
    request = make_request(
        model, chain, speed=speed, difficulty=difficulty, family=family, start=start, goal=goal, via=via,
        duration=duration, scene=scene, dt=dt, seed=seed,
    )  # fmt: skip
    guidance = ClearanceGuidance.of(chain, model.paths, request.scene) if guided else None
    with Checker(chain, request.scene) as checker:
        baseline = itertools.islice(candidates(model, chain, None, request), BASELINE)
        before = [judged(checker, candidate)[1] for candidate in baseline]
        kept, verdicts, attempts = _collect(checker, candidates(model, chain, guidance, request), count, progress)
    broken, seconds = dict(Counter(itertools.chain(*verdicts))), time.perf_counter() - began
    rates = validity(before), validity(verdicts)
    return kept, ProposalStats(attempts, count, count / attempts, *rates, broken, seconds)


def validity(verdicts: Sequence[tuple[str, ...]]) -> float:
    """Share of certified proposals among those that are as asked; verdicts: names of what each breaks or misses."""
    asked = [reasons for reasons in verdicts if not set(reasons) & set(WISHES)]
    return float(np.mean([not reasons for reasons in asked])) if asked else float("nan")


def _collect(
    checker: Checker, stream: Iterator[Candidate], count: int, progress: Callable[[int, int], None] | None
) -> tuple[list[Reference], list[tuple[str, ...]], int]:
    """The first `count` certified references, what each proposal broke, and how many proposals it took.

    Goes on judging to at least BASELINE proposals, so that validity is known however few are wanted.
    """
    kept: list[Reference] = []
    verdicts: list[tuple[str, ...]] = []
    attempts = 0
    for candidate in stream:
        reference, reasons = judged(checker, candidate)
        verdicts.append(reasons)
        if len(kept) < count:
            attempts += 1
            kept += [reference] if reference is not None and not reasons else []
            if progress is not None:
                progress(len(kept), attempts)
            refuse_hopeless(count, len(kept), attempts, verdicts)
        if len(kept) == count and len(verdicts) >= BASELINE:
            return kept, verdicts, attempts
    raise AssertionError("the stream of proposals is endless")


def candidates(
    model: FlowModel, chain: Chain, guidance: Guidance | None = None, request: Request | None = None
) -> Iterator[Candidate]:
    """An endless stream of uncertified references that are as the request says, or of what is amiss with them.

    One seed gives the same contexts and noise with and without guidance.
    """
    request = request or Request(scene=model.scene)
    rng, key = np.random.default_rng(request.seed), jax.random.key(request.seed)
    for round_ in itertools.count():
        conditions, contexts = draw_contexts(model, chain, rng, BATCH, request)
        points, passed = _paths(model, jax.random.fold_in(key, round_), conditions, guidance, request)
        t_min, binding = path_timing(chain, points)
        eta, difficulty = _speeds(model, chain, points, t_min, conditions[:, model.paths.columns.speed.start], request)
        amiss = _amiss(request, passed, t_min, eta, difficulty)
        for k in range(BATCH):
            if amiss[k]:
                yield amiss[k]
                continue
            name = model.paths.families[int(np.argmax(conditions[k, model.paths.columns.family]))]
            meta = {"family": name, "context": int(contexts[k]), "seed": request.seed, "source": "generator"}
            meta |= {} if request.scene is None else {"scene": request.scene.name}
            meta |= {} if np.isnan(difficulty[k]) else {"difficulty": float(difficulty[k])}
            yield path_reference(
                chain, points[k], t_min[k], eta[k], request.dt,
                binding=CONSTRAINTS[int(binding[k])], name=f"generated_{name}_{round_ * BATCH + k:04d}", meta=meta,
            )  # fmt: skip


def _paths(
    model: FlowModel, key: jax.Array, conditions: np.ndarray, guidance: Guidance | None, request: Request
) -> tuple[np.ndarray, np.ndarray]:
    """Control points (B, C, n) rad of sampled paths, and whether they pass the via points (B,)."""
    condition, coder = jnp.asarray(conditions), model.paths
    if not request.vias:
        x = sample(model, key, condition, guidance=guidance)
        return np.asarray(_decode(coder, x, condition), float), np.ones(len(conditions), bool)
    vias = chosen(coder, request.vias, conditions)
    through_vias = ViaGuidance.of(model, conditions, vias, guidance)
    points = np.asarray(_decode(coder, sample(model, key, condition, guidance=through_vias), condition), float)
    exact = onto(points, np.asarray(through_vias.rows), vias)
    return exact, np.abs(exact - points).max(axis=(1, 2)) < NUDGE


def _speeds(
    model: FlowModel, chain: Chain, points: np.ndarray, t_min: np.ndarray, drawn: np.ndarray, request: Request
) -> tuple[np.ndarray, np.ndarray]:
    """Speeds (B,) of paths, and the difficulty (B,) that they have then, nan where that is not known."""
    eta = t_min / request.duration if request.duration is not None else drawn
    if model.dial is None:
        return eta, np.full(len(eta), np.nan)
    timed = np.where(np.isfinite(t_min), t_min, 1.0)
    shape = shape_of_paths(chain, points)
    if request.difficulty is not None and request.speed is None and request.duration is None:
        return model.dial.speeds(shape, timed, request.difficulty, near=eta)
    return eta, model.dial.percentile(shape.features(timed / eta))


def _amiss(
    request: Request, passed: np.ndarray, t_min: np.ndarray, eta: np.ndarray, difficulty: np.ndarray
) -> list[str]:
    """What every proposal misses, "" where nothing is known to be amiss before its certificate."""
    off = np.zeros(len(eta), bool)
    if request.difficulty is not None:
        off = np.abs(difficulty - request.difficulty) > NEAR_DIFFICULTY  # never where it is not known
    reasons = np.select([~np.isfinite(t_min), ~passed, eta > 1, off], ["timing", *WISHES], "")
    return [str(reason) for reason in reasons]


@functools.partial(jax.jit, static_argnums=0)
def _decode(coder: PathCoder, x: jax.Array, condition: jax.Array) -> jax.Array:
    return coder.decode(x, condition)


def judged(checker: Checker, candidate: Candidate) -> tuple[Reference | None, tuple[str, ...]]:
    """The reference with its certificate, and the names of what it breaks."""
    if isinstance(candidate, str):
        return None, (candidate,)
    certificate = checker.certify(candidate)
    meta = {**candidate.meta, "certificate": certificate.as_dict()}
    return dataclasses.replace(candidate, meta=meta), certificate.broken


def _check(model: FlowModel, chain: Chain, count: int) -> None:
    if count < 1:
        raise UsageError(f"Cannot propose {count} references; ask for at least 1.")
    check_fits(model, chain)


def check_fits(model: FlowModel, chain: Chain) -> None:
    """Raise UsageError for a model of another arm."""
    if not model.paths.fits(chain):
        raise UsageError(f"This generator was trained on another arm than {chain.name}; train one for it first.")


def refuse_hopeless(count: int, accepted: int, attempts: int, verdicts: Sequence[tuple[str, ...]]) -> None:
    """Raise UsageError where so many attempts have brought too little; verdicts: what each proposal broke or missed."""
    if accepted == count or attempts < max(PATIENCE * count, 2 * BATCH):
        return
    worst = Counter(itertools.chain(*verdicts)).most_common(3)
    said = ", ".join(f"{name} {times}x" for name, times in worst)
    raise UsageError(
        f"Only {accepted} of {attempts} proposals were certified while {count} were wanted (broken: {said}); "
        f"{REMEDIES.get(worst[0][0], 'lower the speed, choose another family or train the generator longer')}."
    )
