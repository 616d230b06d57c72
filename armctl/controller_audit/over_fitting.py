"""Over-fitting: the same controller on what it was trained on and on what it was not."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from armctl.arm import Arm
from armctl.bench import stats
from armctl.controller_audit.closed_loop import Run, rms_mm
from armctl.controller_audit.subject import Finding, Subject, scaled_inertia, with_links
from armctl.motion.reference import Reference
from armctl.plant.scenario import Scenario

LINKS = 0.01
"""By how much the true arm's links are longer or shorter than those that the controller knows."""
INERTIA = 0.2
"""By how much its links are heavier or lighter."""
Row = dict[str, Any]


def measure(subject: Subject, base: Run) -> Finding:
    """Errors on motions, plants and arms of training and others. base: held-out motions on the scenario's plants."""
    motions, plants, new = subject.motions, subject.scenarios, subject.config.seed + 1000
    rows = [
        _row("motions", "training", _run(subject, motions["train"], plants)),
        _row("motions", "validation", _run(subject, motions["val"], plants)),
        _row("motions", "held out", base),
        _row("motions", "figures, no family of the corpus", _run(subject, motions["shapes"], plants)),
        _row("plants", "training", _run(subject, motions["train"], subject.trained(subject.config.trained_seed))),
        _row("plants", "others of the same presets", _run(subject, motions["train"], subject.trained(new))),
        _row("arm", "as modelled", base),
    ]
    for factor in (1 - INERTIA, 1 + INERTIA):
        heavy = [scaled_inertia(scenario, factor) for scenario in plants]
        rows.append(
            _row(
                "arm",
                f"links {100 * INERTIA:g} % {'lighter' if factor < 1 else 'heavier'}",
                _run(subject, motions["test"], heavy),
            )
        )
    for factor in (1 - LINKS, 1 + LINKS):
        arm = with_links(subject.loop.arm, factor)
        row = _row(
            "arm",
            f"links {100 * LINKS:g} % {'shorter' if factor < 1 else 'longer'}",
            _run(subject, motions["test"], plants, arm),
        )
        rows.append({**row, "joints_exact_mm": _floor(subject, arm)})
    families = _by_family(motions["test"], base)
    numbers = {"conditions": rows, "families_mm": families}
    return Finding(numbers, _sentences(rows, families))


def gap(rows: Sequence[Row], group: str, condition: str) -> float:
    """Error on other motions or plants over that on those of training, 1 where there is no difference."""
    found = {row["condition"]: float(row["iqm_mm"]) for row in rows if row["group"] == group}
    return found[condition] / max(found["training"], 1e-9)


def _run(subject: Subject, motions: list[Reference], scenarios: list[Scenario], arm: Arm | None = None) -> Run:
    return subject.loop.run(subject.task(motions, scenarios), arm=arm)


def _row(group: str, condition: str, run: Run) -> Row:
    found = stats.interval(run.rms_mm)
    return {
        "group": group,
        "condition": condition,
        "iqm_mm": found["iqm"],
        "low_mm": found["low"],
        "high_mm": found["high"],
        "p90_mm": float(np.quantile(run.rms_mm, 0.9)),
        "diverged": int(np.sum(~run.alive)),
    }


def _floor(subject: Subject, arm: Arm) -> float:
    """What the tip misses on such an arm while the joints are exactly on the reference, IQM mm."""
    from armctl.kinematics import forward_kinematics

    bank = subject.held_out.bank
    miss = np.asarray(forward_kinematics(arm, bank.samples.q))[..., :3, 3] - bank.samples.p
    counted = np.arange(1, miss.shape[1])[:, None] < bank.length
    error = np.linalg.norm(miss, axis=-1).T[1:]
    return float(stats.iqm(rms_mm(error, counted, np.ones(error.shape[1], bool))))


def _by_family(motions: list[Reference], run: Run) -> dict[str, float]:
    names = np.array([motions[i % len(motions)].meta.get("family", "own") for i in range(len(run.alive))])
    return {str(name): float(stats.iqm(run.rms_mm[names == name])) for name in np.unique(names)}


def _sentences(rows: list[Row], families: dict[str, float]) -> list[str]:
    by = {(row["group"], row["condition"]): row for row in rows}
    held, trained = by["motions", "held out"], by["motions", "training"]
    other, same = by["plants", "others of the same presets"], by["plants", "training"]
    worst = max(families, key=lambda name: families[name])
    said = [
        f"On held-out motions its position error is {held['iqm_mm']:.3g} mm, {gap(rows, 'motions', 'held out'):.2f} "
        f"times that on motions of training ({trained['iqm_mm']:.3g} mm); the hardest family, {worst}, has "
        f"{families[worst]:.3g} mm.",
        f"On plants other than those of training it is {other['iqm_mm']:.3g} mm, "
        f"{gap(rows, 'plants', 'others of the same presets'):.2f} times what it is on those; the intervals "
        f"{'overlap' if _overlap(other, same) else 'do not overlap'}.",
    ]
    for row in rows:
        if row["group"] == "arm" and row["condition"] != "as modelled":
            rest = (
                f", of which {row['joints_exact_mm']:.3g} mm would remain with every joint exactly on its reference"
                if "joints_exact_mm" in row
                else ""
            )
            lost = f", {row['diverged']} episodes diverged" if row["diverged"] else ""
            said.append(f"On an arm with {row['condition']} it is {row['iqm_mm']:.3g} mm{rest}{lost}.")
    return said


def _overlap(a: Row, b: Row) -> bool:
    return bool(a["low_mm"] <= b["high_mm"] and b["low_mm"] <= a["high_mm"])
