"""Run folders: created once, written atomically, never silently replaced.

A run folder holds `config.json` (configuration, seeds, versions), `metrics.csv`, `summary.json` and whatever arrays the
run adds.
"""

import csv
import dataclasses
import io
import json
import math
import os
import platform
import re
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from armctl.errors import UsageError

SAID = 3  # differences that a refusal names
TEMPORARY = re.compile(r"\..+\.\d+\.tmp")  # what a file is called until it is whole
PACKAGES = ("armctl", "jax", "flax", "optax", "numpy", "pybullet", "gymnasium")


def versions() -> dict[str, str]:
    """Versions of Python and of every package that a result depends on ("absent" where not installed)."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def machine() -> dict[str, str | int]:
    """The processor's name and the number of cores that this process may use."""
    names = re.findall(r"model name\s*:\s*(.+)", _cpuinfo())
    return {"cpu": names[0].strip() if names else platform.processor() or platform.machine(), "cores": cores()}


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def create_run(
    path: str | Path,
    config: Any,
    *,
    overwrite: bool = False,
    resume: bool = False,
    may_change: tuple[str, ...] = ("jobs", "ray"),
) -> Path:
    """Create (or reopen) the folder of one run and record its configuration (a dataclass), versions and seeds.

    overwrite: the old folder is moved aside until `finish_run` removes it. resume: the folder is reopened if its
    configuration is the same in every field outside `may_change`, such as "jobs" or "train.updates".
    Raises UsageError where the folder exists and neither is given, is no run folder, or has another configuration.
    """
    path = Path(path)
    if path.exists() and not unstarted(path):
        if resume:
            _check_same(path, config, may_change)
        elif overwrite:
            _move_aside(path)
        else:
            raise UsageError(f"'{path}' already exists; continue it with --resume or replace it with --overwrite.")
    path.mkdir(parents=True, exist_ok=True)
    fields = dataclasses.asdict(config)
    seeds = {name: value for name, value in fields.items() if name == "seed" or name.endswith("_seed")}
    kept = read_json(path / "config.json") if (path / "config.json").exists() else {}
    write_json(path / "config.json", {**kept, "config": fields, "seeds": seeds, "versions": versions()})
    return path


def unstarted(path: Path) -> bool:
    """Whether a folder holds nothing, or what was left of a run that was killed as it began."""
    return path.is_dir() and all(TEMPORARY.fullmatch(entry.name) for entry in path.iterdir())


def kind_of(folder: Path) -> str | None:
    """What a folder holds by its summary.json; None where that says nothing, or is not there."""
    told = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else None
    return told.get("kind") if isinstance(told, dict) else None


def finish_run(path: str | Path) -> None:
    """Mark a run complete: remove the folders that `overwrite` had moved aside for it."""
    for old in _set_aside(Path(path)):
        shutil.rmtree(old)


def read_config(path: str | Path) -> dict[str, Any]:
    """The configuration fields recorded in a run folder. Raises UsageError for what is no run folder."""
    record = read_json(Path(path) / "config.json")
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise UsageError(f"'{path}' holds no armctl configuration (config.json lacks 'config'); name a run folder.")
    return record["config"]


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically; NumPy values become numbers and lists, non-finite numbers become null."""
    _replace(Path(path), (json.dumps(plain(value), indent=2) + "\n").encode())


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    _replace(Path(path), text.encode())


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a binary file, such as a picture, atomically."""
    _replace(Path(path), data)


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises UsageError where it is missing or corrupt."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"'{path}' does not exist; name a folder written by armctl.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(
            f"'{path}' is not readable JSON ({error}); restore it or run again with --overwrite."
        ) from None


def append_rows(path: str | Path, rows: list[dict[str, Any]]) -> None:
    """Append rows to a CSV file in one write; the first row names the columns and a torn last line is dropped first.

    Raises UsageError where the file has other columns.
    """
    if not rows:
        return
    path = Path(path)
    old = path.read_bytes() if path.exists() else b""
    whole = old[: old.rfind(b"\n") + 1]
    columns = next(csv.reader([whole.decode().splitlines()[0]])) if whole else list(rows[0])
    if set(columns) != set(rows[0]):
        raise UsageError(f"'{path}' has other columns than this run writes; restore it or run again with --overwrite.")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if not whole:
        writer.writeheader()
    writer.writerows(rows)
    if whole != old:
        _replace(path, whole)
    with path.open("ab") as file:
        file.write(text.getvalue().encode())


def write_rows(path: str | Path, rows: list[dict[str, Any]]) -> None:
    """Write rows to a CSV file atomically; the first row names the columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV written by `append_rows` as text cells; a torn last line is ignored and a missing file is empty."""
    path = Path(path)
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def save_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write a flat dict of arrays as one `.npz`, atomically."""
    data = io.BytesIO()
    np.savez_compressed(data, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
    _replace(Path(path), data.getvalue())


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a `.npz` into a flat dict. Raises UsageError where it is missing or corrupt."""
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except FileNotFoundError:
        raise UsageError(f"'{path}' does not exist; name a folder that holds a finished run.") from None
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"'{path}' is not a readable checkpoint ({error}); train again or restore the file.") from None


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """What JSON has for a value: dataclasses become dictionaries, arrays lists, paths text, non-finite numbers null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_same(path: Path, config: Any, may_change: tuple[str, ...]) -> None:
    old, new = _flat(read_config(path)), _flat(plain(config))
    different = [name for name in new if name not in may_change and old.get(name) != new[name]]
    if different:
        said = [f"{name}={old.get(name)!r}, not {new[name]!r}" for name in different[:SAID]]
        more = f", and {len(different) - SAID} more" if len(different) > SAID else ""
        raise UsageError(
            f"'{path}' was started with {', '.join(said)}{more}; resume it with the same options or replace it with "
            "--overwrite."
        )


def _flat(fields: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Fields of fields under joined names, such as train.updates."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def _move_aside(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise UsageError(
            f"'{path}' is not an armctl run folder (no config.json), so --overwrite leaves it alone; name another."
        )
    number = 1 + max([int(old.name.rpartition("-")[2]) for old in _set_aside(path)], default=0)
    os.replace(path, path.with_name(f".{path.name}.replaced-{number}"))


def _set_aside(path: Path) -> list[Path]:
    pattern = re.compile(re.escape(f".{path.name}.replaced-") + r"\d+")
    return [old for old in path.parent.glob(".*") if pattern.fullmatch(old.name)] if path.parent.exists() else []
