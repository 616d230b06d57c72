"""From a trained flow to certified references: contexts, guided paths, closed-form timing, independent certificate."""

import dataclasses
import functools
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.contexts import draw_contexts
from armctl.generator.flow import FlowModel, Guidance, sample
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.paths import PathCoder
from armctl.motion.certificate import Checker
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.motion.spline import CONSTRAINTS

BATCH = 64  # one compiled size serves every request
PATIENCE = 10  # attempts per wanted reference before giving up
BASELINE = 64  # proposals certified without guidance, and at least as many with it, to compare validity


@dataclasses.dataclass(frozen=True)
class ProposalStats:
    """What became of the proposals.

    attempts, accepted: proposals certified or refused, and those kept. acceptance_rate: accepted / attempts.
    validity_before: fraction of unguided proposals, same contexts and noise, that the checker certifies.
    validity_after: the same with guidance; both of at least 64 proposals. broken: how often the checker found each
    constraint broken after guidance ("timing": gravity alone is too much). seconds: wall-clock time.
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
    family: str | None = None, dt: float = 0.01, seed: int = 0, guided: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Reference], ProposalStats]:  # fmt: skip
    """`count` references that the independent checker certifies, and what became of all proposals.

    model: trained on a corpus of this arm. speed: eta in (0, 1], the share of the arm's limits that is used;
    difficulty: percentile in [0, 1] of the error that controllers are expected to make, for a model that was told the
    difficulty of its corpus; family: of the motion; each drawn as in the corpus if None. dt: s. seed: decides
    everything. guided: whether the flow is bent away from collisions. progress: called with (accepted, attempts) after
    every attempt. The references' meta holds family, eta, t_min, binding, context, seed and certificate.
    Raises UsageError for a bad count, speed, difficulty or family, a model of another arm, and too few certified
    proposals.
    """
    _check(model, chain, count)
    began = time.perf_counter()
    options: dict[str, Any] = {"speed": speed, "difficulty": difficulty, "family": family, "dt": dt, "seed": seed}
    guidance = ClearanceGuidance.of(chain, model.paths) if guided else None
    with Checker(chain) as checker:
        baseline = itertools.islice(candidates(model, chain, None, **options), BASELINE)
        before = [not _judged(checker, candidate)[1] for candidate in baseline]
        kept, verdicts, attempts = _collect(checker, candidates(model, chain, guidance, **options), count, progress)
    after = float(np.mean([not reasons for reasons in verdicts]))
    broken, seconds = dict(Counter(itertools.chain(*verdicts))), time.perf_counter() - began
    return kept, ProposalStats(attempts, count, count / attempts, float(np.mean(before)), after, broken, seconds)


def _collect(
    checker: Checker, stream: Iterator[Reference | None], count: int, progress: Callable[[int, int], None] | None
) -> tuple[list[Reference], list[tuple[str, ...]], int]:
    """The first `count` certified references, what each proposal broke, and how many proposals it took.

    Goes on judging to at least BASELINE proposals, so that validity is known however few are wanted.
    """
    kept: list[Reference] = []
    verdicts: list[tuple[str, ...]] = []
    attempts = 0
    for candidate in stream:
        reference, reasons = _judged(checker, candidate)
        verdicts.append(reasons)
        if len(kept) < count:
            attempts += 1
            kept += [reference] if reference is not None and not reasons else []
            if progress is not None:
                progress(len(kept), attempts)
            _refuse_hopeless(count, len(kept), attempts, verdicts)
        if len(kept) == count and len(verdicts) >= BASELINE:
            return kept, verdicts, attempts
    raise AssertionError("the stream of proposals is endless")


def candidates(
    model: FlowModel, chain: Chain, guidance: Guidance | None = None, *, speed: float | None = None,
    difficulty: float | None = None, family: str | None = None, dt: float = 0.01, seed: int = 0,
) -> Iterator[Reference | None]:  # fmt: skip
    """An endless stream of uncertified references; arguments as in `propose`.

    One seed gives the same contexts and noise with and without guidance. None stands for a path on which gravity alone
    exceeds the torque limits.
    """
    rng, key = np.random.default_rng(seed), jax.random.key(seed)
    columns = model.paths.columns
    for round_ in itertools.count():
        conditions, contexts = draw_contexts(
            model, chain, rng, BATCH, speed=speed, difficulty=difficulty, family=family
        )
        condition = jnp.asarray(conditions)
        x = sample(model, jax.random.fold_in(key, round_), condition, guidance=guidance)
        points = np.asarray(_decode(model.paths, x, condition), float)
        t_min, binding = path_timing(chain, points)
        for k in range(BATCH):
            if not np.isfinite(t_min[k]):
                yield None
                continue
            name = model.paths.families[int(np.argmax(conditions[k, columns.family]))]
            meta = {"family": name, "context": int(contexts[k]), "seed": seed, "source": "generator"}
            yield path_reference(
                chain, points[k], t_min[k], conditions[k, columns.speed.start], dt,
                binding=CONSTRAINTS[int(binding[k])], name=f"generated_{name}_{round_ * BATCH + k:04d}", meta=meta,
            )  # fmt: skip


@functools.partial(jax.jit, static_argnums=0)
def _decode(coder: PathCoder, x: jax.Array, condition: jax.Array) -> jax.Array:
    return coder.decode(x, condition)


def _judged(checker: Checker, reference: Reference | None) -> tuple[Reference | None, tuple[str, ...]]:
    """The reference with its certificate, and the names of what it breaks."""
    if reference is None:
        return None, ("timing",)
    certificate = checker.certify(reference)
    meta = {**reference.meta, "certificate": certificate.as_dict()}
    return dataclasses.replace(reference, meta=meta), certificate.broken


def _check(model: FlowModel, chain: Chain, count: int) -> None:
    if count < 1:
        raise UsageError(f"Cannot propose {count} references; ask for at least 1.")
    check_fits(model, chain)


def check_fits(model: FlowModel, chain: Chain) -> None:
    """Raise UsageError for a model of another arm."""
    if not model.paths.fits(chain):
        raise UsageError(f"This generator was trained on another arm than {chain.name}; train one for it first.")


def _refuse_hopeless(count: int, accepted: int, attempts: int, verdicts: list[tuple[str, ...]]) -> None:
    if accepted == count or attempts < max(PATIENCE * count, 2 * BATCH):
        return
    worst = ", ".join(f"{name} {times}x" for name, times in Counter(itertools.chain(*verdicts)).most_common(3))
    raise UsageError(
        f"Only {accepted} of {attempts} proposals were certified while {count} were wanted (broken: {worst}); "
        "lower the speed, choose another family or train the generator longer."
    )
