"""A folder of proposed references, which is a suite that the bench can run."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.errors import UsageError
from armctl.generator.proposals import ProposalStats
from armctl.motion.files import save_reference
from armctl.motion.reference import Reference


def write_references(
    references: Sequence[Reference],
    out_dir: str | Path,
    stats: ProposalStats | None = None,
    *,
    overwrite: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Write references and a summary.json into a new folder, which appears complete or not at all, and return it.

    references: with distinct names. out_dir: new or empty. stats: how the references came about, for summary.json.
    overwrite: replace a folder that this function wrote; any other is left alone. facts: more for summary.json.
    Raises UsageError where the folder may not be replaced or two references share a name.
    """
    out = Path(out_dir)
    names = [reference.name for reference in references]
    if len(set(names)) < len(names):
        raise UsageError("Two references share a name; give each its own before writing them to a folder.")
    _check_target(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        for reference in references:
            save_reference(reference, new / f"{reference.name}.npz")
        store.write_json(new / "summary.json", {**summary(references, stats), **(facts or {})})
        new.chmod(0o755)  # mkdtemp makes it private
        _swap(new, out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return out


def summary(references: Sequence[Reference], stats: ProposalStats | None) -> dict[str, Any]:
    """What summary.json holds: counts per family, speed, durations, acceptance and versions."""
    families = [str(reference.meta.get("family", "unknown")) for reference in references]
    return {
        "kind": "references",
        "count": len(references),
        "families": {name: families.count(name) for name in sorted(set(families))},
        "eta": _range([reference.meta.get("eta") for reference in references]),
        "duration_s": _range([reference.duration for reference in references]),
        "proposals": stats,
        "seeds": sorted({reference.meta["seed"] for reference in references if "seed" in reference.meta}),
        "versions": store.versions(),
    }


def _range(values: list[float | None]) -> dict[str, float] | None:
    known = [float(value) for value in values if value is not None]
    return {"min": min(known), "median": float(np.median(known)), "max": max(known)} if known else None


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise UsageError(f"'{out}' already exists; name another folder or replace it with --overwrite.")
    if store.kind_of(out) != "references":
        raise UsageError(f"'{out}' is not a folder of references written by armctl, so --overwrite leaves it alone.")


def _swap(new: Path, out: Path) -> None:
    """Put the new folder in place of the old one, which survives until the new one stands."""
    if not out.exists():
        new.rename(out)
        return
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
    os.replace(out, old)
    new.rename(out)
    shutil.rmtree(old)
