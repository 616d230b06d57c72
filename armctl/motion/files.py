"""References in files: `.npz` as they are, CSV through csv_import, and folders of either."""

import json
from pathlib import Path

import numpy as np

from armctl import rigid, store
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion.csv_import import load_csv
from armctl.motion.reference import Reference, check_joints, warn_of_limits

CSV, NPZ = ".csv", ".npz"  # in any case: some programs write .CSV
ARRAYS = ("q", "qd", "qdd", "pose", "twist", "accel")


def save_reference(reference: Reference, path: str | Path) -> Path:
    """Write a reference to path (.npz) under a temporary name, then rename it, so that a file is whole or absent."""
    path = Path(path)
    if path.suffix != ".npz":
        raise UsageError(f"A reference is saved as .npz, not '{path.name}'.")
    arrays = {key: getattr(reference, key) for key in ARRAYS}
    store.save_arrays(path, {"name": reference.name, "dt": reference.dt, "meta": json.dumps(reference.meta), **arrays})
    return path


def load_reference(path: str | Path, chain: Chain, dt: float | None = None) -> Reference:
    """Read a reference for an arm from .npz (save_reference) or a .csv of joint positions or tip poses (load_csv).

    dt: grid in s, the file's own if absent (for CSV: its mean step). Raises UsageError if the file is missing,
    unreadable, made for another arm, or asks for a pose the arm cannot reach; warns where it is over the limits of the
    joints on this grid, for no controller can follow it then.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"There is no reference file '{path}'.")
    if path.suffix.lower() == CSV:
        reference = load_csv(path, chain, dt)
    else:
        reference = _load_npz(path, chain)
        reference = reference if dt is None else reference.resampled(chain, dt)
    warn_of_limits([reference], chain)
    return reference


def _load_npz(path: Path, chain: Chain) -> Reference:
    """A reference as save_reference wrote it, checked."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            arrays = {key: data[key].astype(float) for key in ARRAYS}
            reference = Reference(str(data["name"]), float(data["dt"]), meta=json.loads(str(data["meta"])), **arrays)
    except Exception as error:
        raise UsageError(f"Reference '{path}' cannot be read ({error}); give a .npz of armctl or a .csv.") from error
    check_joints(chain, reference.q, reference.name)
    _check_fields(reference, path)
    _check_tip(chain, reference, path)
    return reference


def as_reference(given: Reference | str | Path, chain: Chain, dt: float) -> Reference:
    """A reference for an arm on a grid of dt s: one that is given, or the path of one.

    Raises UsageError for what is neither, and for a reference with another number of joints.
    """
    if isinstance(given, str | Path):
        return load_reference(given, chain, dt)
    if not isinstance(given, Reference):
        raise UsageError(f"The reference is {type(given).__name__}; give a Reference or the path of one.")
    if given.q.shape[1] != chain.n:
        raise UsageError(f"Reference {given.name!r} has {given.q.shape[1]} joints; {chain.name} has {chain.n}.")
    return given.resampled(chain, dt)


def _check_fields(reference: Reference, path: Path) -> None:
    """Raise UsageError where the step, the facts or an array of a file cannot be those of a reference."""
    if not (0 < reference.dt < np.inf and isinstance(reference.meta, dict)):
        raise UsageError(f"Reference '{path}' has dt = {reference.dt} s or no meta data; write it with save_reference.")
    widths = {"qd": reference.q.shape[1], "qdd": reference.q.shape[1], "pose": 7, "twist": 6, "accel": 6}
    for key, width in widths.items():
        array = getattr(reference, key)
        if array.shape != (len(reference.q), width) or not np.isfinite(array).all():
            shape = (len(reference.q), width)
            raise UsageError(
                f"Reference '{path}': '{key}' is not {shape} finite numbers; write it with save_reference."
            )


def _check_tip(chain: Chain, reference: Reference, path: Path) -> None:
    tip = rigid.forward_kinematics(chain, reference.q)[:, :3, 3]
    if np.abs(tip - reference.pose[:, :3]).max() > 1e-6:
        raise UsageError(
            f"Reference '{path}' was made for another arm or tip: its poses are not those of {chain.name}."
        )


def load_suite_dir(folder: str | Path, chain: Chain, dt: float | None = None) -> list[Reference]:
    """Every .npz and .csv reference of a folder, sorted by file name. Raises UsageError if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"There is no folder '{folder}'; name one of .npz or .csv references.")
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in (NPZ, CSV) and not p.name.startswith("."))
    if not paths:
        raise UsageError(f"There are no references (.npz or .csv) in '{folder}'.")
    return [load_reference(path, chain, dt) for path in paths]
