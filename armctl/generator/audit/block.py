"""The audit block: every statistic of every set, always complete, because each alone can be gamed.

The mean of the data is 97 % valid, and the training set plus noise covers 96 % of it; only together do the figures
speak. Every set is compared with the same held-out test references. Two rows keep the generator honest:
`held_out_floor`, real references that it should be confused with, and `corpus_and_reject`, what drawing from the corpus
would have given.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.audit.classifier import c2st
from armctl.generator.audit.copying import copying
from armctl.generator.audit.diversity import density_coverage, typical_width, vendi
from armctl.generator.audit.features import paths, vectors
from armctl.generator.audit.two_sample import energy_distance, mmd
from armctl.generator.difficulty import Dial, features
from armctl.generator.ranks import spearman
from armctl.motion.certificate import DISTANCES, RATIOS, Certificate
from armctl.motion.reference import Reference

SMALLEST_SET = 20
HARD = 0.9  # difficulty from which on a reference counts as hard
Judge = Callable[[Reference], Certificate]
COLUMNS = (
    "count", "validity", "c2st", "c2st_error", "energy", "energy_p", "mmd", "mmd_p", "density", "coverage",
    "vendi", "nn_ratio", "z_u", "speed_error", "speed_rank", "seconds_per_certified", "seconds_per_hard",
)  # fmt: skip


class Yardstick(NamedTuple):
    """What sets are compared with: vectors of train (N, D) and test (M, D) references, and how Vendi is measured.

    width: of the kernel; size: of the sets. seed: of permutations and folds.
    """

    chain: Chain
    train: np.ndarray
    test: np.ndarray
    width: float
    size: int
    seed: int


def yardstick(
    train: Sequence[Reference], test: Sequence[Reference], chain: Chain, *, seed: int = 0, size: int = SMALLEST_SET
) -> Yardstick:
    """What sets are compared with. train: what the generator was fitted to; test: held-out ones of other contexts.

    seed: of permutations and folds. size: of the sets whose diversity and coverage are compared.
    Raises UsageError for a set too small for its statistics to mean anything.
    """
    test = one_per_context(test)
    for name, found in {"train": train, "test": test}.items():
        check_size(name, found)
    return Yardstick(chain, vectors(train, chain), vectors(test, chain), typical_width(paths(test, chain)), size, seed)


def check_size(name: str, found: Sequence[Reference]) -> None:
    """Raise UsageError for a set too small for its statistics to mean anything."""
    if len(found) < SMALLEST_SET:
        raise UsageError(f"The audit set {name!r} has {len(found)} contexts; give at least {SMALLEST_SET}.")


def row_of(
    name: str, found: Sequence[Reference], seconds: float, against: Yardstick, checker: Judge, dial: Dial | None = None
) -> dict[str, Any]:
    """The figures of a set of references, judged as proposed, before any rejection; under COLUMNS and "feasibility".

    seconds: of CPU time that making the set took, nan where it was not made for this. checker: such as Checker.certify.
    dial: of difficulty, without which nobody knows what a hard reference costs.
    Raises UsageError for a set too small for its statistics to mean anything.
    """
    judged = one_per_context(found)
    check_size(name, judged)
    began = time.process_time()
    certificates = [checker(reference) for reference in judged]
    seconds = seconds * len(judged) / len(found) + time.process_time() - began
    return (
        _feasibility(judged, certificates)
        | _distribution(judged, against)
        | _cost(judged, certificates, seconds, against.chain, dial)
    )


def _cost(
    found: Sequence[Reference], certificates: Sequence[Certificate], seconds: float, chain: Chain, dial: Dial | None
) -> dict[str, float]:
    """Seconds of CPU time per certified reference, and per certified one of the hardest tenth."""
    valid = [reference for reference, one in zip(found, certificates, strict=True) if one.valid]
    hard = float("nan")
    if dial is not None:
        hard = float(sum(dial.percentile(features(one, chain)[None])[0] >= HARD for one in valid))
    costs = {"seconds_per_certified": len(valid), "seconds_per_hard": hard}
    return {name: seconds / share if share != 0 else float("inf") for name, share in costs.items()}


def one_per_context(references: Sequence[Reference]) -> list[Reference]:
    """The first reference of every context: reversals and repetitions are not independent, and the tests assume it."""
    first = {reference.meta.get("context", -1 - k): reference for k, reference in reversed([*enumerate(references)])}
    return list(reversed(first.values()))


def _distribution(references: Sequence[Reference], against: Yardstick) -> dict[str, float]:
    x, test, seed = vectors(references, against.chain), against.test, against.seed
    accuracy, error = c2st(x, test, seed=seed)
    energy, energy_p = energy_distance(x, test, seed=seed)
    discrepancy, mmd_p = mmd(x, test, seed=seed)
    density, coverage = density_coverage(test, x[: against.size])
    ratio, z_u = copying(against.train, test, x)
    return {
        "count": len(x), "c2st": accuracy, "c2st_error": error, "energy": energy, "energy_p": energy_p,
        "mmd": discrepancy, "mmd_p": mmd_p, "density": density, "coverage": coverage,
        "vendi": vendi(paths(references[: against.size], against.chain), against.width), "nn_ratio": ratio, "z_u": z_u,
    }  # fmt: skip


def _feasibility(references: Sequence[Reference], certificates: Sequence[Certificate]) -> dict[str, Any]:
    """Fraction that meets each constraint, and how the speed that was asked for was realised."""
    asked = np.array([reference.meta.get("eta", np.nan) for reference in references], float)
    realised = np.array([certificate.eta for certificate in certificates])
    known = np.isfinite(asked) & np.isfinite(realised)
    return {
        "feasibility": constraint_rates(certificates),
        "validity": float(np.mean([certificate.valid for certificate in certificates])),
        "speed_error": float(np.mean(np.abs(asked - realised)[known])) if known.any() else float("nan"),
        "speed_rank": spearman(asked[known], realised[known]),
    }


def constraint_rates(certificates: Sequence[Certificate]) -> dict[str, float]:
    """Fraction of certificates that meet each constraint within the checker's tolerance."""
    names = [name for name in (*RATIOS, *DISTANCES) if name in certificates[0].margins]
    return {name: float(np.mean([name not in certificate.broken for certificate in certificates])) for name in names}


def train_validation_gap(history: np.ndarray, *, last: bool = False) -> float:
    """Relative excess of the validation over the training loss (history as in FlowModel).

    At the step that was kept, where validation was best, or at the last one, which shows over-fitting that was avoided.
    """
    row = history[-1 if last else np.argmin(history[:, 3])]
    return float(row[3] / row[2] - 1)


def table(block: dict[str, Any]) -> str:
    """The audit block as text: one line per statistic, one column per set."""
    rows = block["rows"]
    constraints = [f"feasible: {name}" for name in next(iter(rows.values()))["feasibility"]]
    lines = [f"{'':<24}" + "".join(f"{name:>20}" for name in rows)]
    for column in (*COLUMNS, *constraints):
        name = column.removeprefix("feasible: ")
        values = [row["feasibility"][name] if name in row["feasibility"] else row[name] for row in rows.values()]
        lines.append(f"{column:<24}" + "".join(f"{value:>20.4g}" for value in values))
    gaps = [
        f"train/validation gap, {found['motions']} motions: {found['gap']:.3g}, {found['gap_last']:.3g} at the end"
        for found in block["training"].values()
    ]
    return "\n".join([*lines, "", *gaps])
