"""The audit block: every statistic of every set, always complete, because each alone can be gamed.

The mean of the data is 97 % valid, and the training set plus noise covers 96 % of it; only together do the figures
speak. Every set is compared with the same held-out test references. Two rows keep the generator honest:
`held_out_floor`, real references that it should be confused with, and `corpus_and_reject`, what drawing from the corpus
would have given.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.audit.classifier import c2st
from armctl.generator.audit.copying import copying
from armctl.generator.audit.diversity import density_coverage, typical_width, vendi
from armctl.generator.audit.features import paths, vectors
from armctl.generator.audit.two_sample import energy_distance, mmd
from armctl.generator.ranks import spearman
from armctl.motion.certificate import DISTANCES, RATIOS, Certificate
from armctl.motion.reference import Reference

SMALLEST_SET = 20
Judge = Callable[[Reference], Certificate]
COLUMNS = (
    "count", "validity", "c2st", "c2st_error", "energy", "energy_p", "mmd", "mmd_p", "density", "coverage",
    "vendi", "nn_ratio", "z_u", "speed_error", "speed_rank",
)  # fmt: skip


def audit(
    sets: Mapping[str, Sequence[Reference]], train: Sequence[Reference], test: Sequence[Reference], chain: Chain,
    checker: Judge, *, history: np.ndarray | None = None, seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:  # fmt: skip
    """Compare named sets of references with held-out ones; the sets are judged as proposed, before any rejection.

    sets: e.g. {"generated": ..., "held_out_floor": ..., "corpus_and_reject": ...}. train: what the generator was fitted
    to. test: held-out references of other contexts. checker: such as Checker.certify. history: FlowModel.history, for
    the train/validation gap. seed: of permutations and folds. progress: told which set is judged.
    -> {"rows": {name: {column: value, "feasibility": {constraint: fraction}}}, "train_validation_gap": float or None}.
    Raises UsageError for a set too small for its statistics to mean anything.
    """
    sets = {name: one_per_context(references) for name, references in sets.items()}
    test = one_per_context(test)
    for name, references in {**sets, "train": train, "test": test}.items():
        if len(references) < SMALLEST_SET:
            raise UsageError(f"The audit set {name!r} has {len(references)} contexts; give at least {SMALLEST_SET}.")
    real = {"train": vectors(train, chain), "test": vectors(test, chain)}
    width, size = typical_width(paths(test, chain)), min(map(len, sets.values()))
    rows = {}
    for name, references in sets.items():
        progress(f"judging {name.replace('_', ' ')}")
        rows[name] = _feasibility(references, checker) | _distribution(references, chain, real, width, size, seed)
    gap = None if history is None or len(history) == 0 else train_validation_gap(np.asarray(history))
    return {"rows": rows, "train_validation_gap": gap}


def one_per_context(references: Sequence[Reference]) -> list[Reference]:
    """The first reference of every context: reversals and repetitions are not independent, and the tests assume it."""
    first = {reference.meta.get("context", -1 - k): reference for k, reference in reversed([*enumerate(references)])}
    return list(reversed(first.values()))


def _distribution(
    references: Sequence[Reference], chain: Chain, real: dict[str, np.ndarray], width: float, size: int, seed: int
) -> dict[str, float]:
    x = vectors(references, chain)
    accuracy, error = c2st(x, real["test"], seed=seed)
    energy, energy_p = energy_distance(x, real["test"], seed=seed)
    discrepancy, mmd_p = mmd(x, real["test"], seed=seed)
    density, coverage = density_coverage(real["test"], x)
    ratio, z_u = copying(real["train"], real["test"], x)
    return {
        "count": len(x), "c2st": accuracy, "c2st_error": error, "energy": energy, "energy_p": energy_p,
        "mmd": discrepancy, "mmd_p": mmd_p, "density": density, "coverage": coverage,
        "vendi": vendi(paths(references[:size], chain), width), "nn_ratio": ratio, "z_u": z_u,
    }  # fmt: skip


def _feasibility(references: Sequence[Reference], checker: Judge) -> dict[str, Any]:
    """Fraction that meets each constraint, and how the speed that was asked for was realised."""
    certificates = [checker(reference) for reference in references]
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


def train_validation_gap(history: np.ndarray) -> float:
    """Relative excess of the validation over the training loss at the step that was kept (history as in FlowModel)."""
    kept = history[np.argmin(history[:, 3])]
    return float(kept[3] / kept[2] - 1)


def table(block: dict[str, Any]) -> str:
    """The audit block as text: one line per statistic, one column per set."""
    rows = block["rows"]
    constraints = [f"feasible: {name}" for name in next(iter(rows.values()))["feasibility"]]
    lines = [f"{'':<24}" + "".join(f"{name:>20}" for name in rows)]
    for column in (*COLUMNS, *constraints):
        name = column.removeprefix("feasible: ")
        values = [row["feasibility"][name] if name in row["feasibility"] else row[name] for row in rows.values()]
        lines.append(f"{column:<24}" + "".join(f"{value:>20.4g}" for value in values))
    gap = block["train_validation_gap"]
    return "\n".join([*lines, f"{'train/validation gap':<24}" + ("not known" if gap is None else f"{gap:>20.4g}")])
