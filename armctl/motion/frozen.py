"""Frozen suites: paths, timing, certificates and a checksum in one small file, from which references are made again.

Of every motion its control points are kept rather than its samples, which are a hundred times as many. Motions stand in
cells, a scene and a band of difficulty each; a name such as "v1-shelf-hard" or "v1-table" takes a part.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion import spline
from armctl.motion.reference import Reference
from armctl.motion.sampling import time_samples

FREE = "free"
VERSION = "v1"


def shipped(chain: Chain) -> Path:
    """Where the frozen suite of an arm lies that comes with the library, if it has one."""
    return Path(str(files("armctl.assets"))) / "suites" / f"{chain.name}-{VERSION}.npz"


def is_frozen(name: str) -> bool:
    """Whether a suite's name means a frozen one: v1 and its parts, or a .npz file with or without #PART."""
    return name.split("-")[0] == VERSION or Path(name.partition("#")[0]).suffix == ".npz"


def frozen_name(name: str) -> str:
    """The short name of a frozen suite: the file's stem and the part, or itself."""
    path, _, part = name.partition("#")
    return "-".join(filter(None, [Path(path).stem, part])) if Path(path).suffix == ".npz" else name


def freeze(references: Sequence[Reference], path: str | Path, facts: Mapping[str, Any]) -> Path:
    """Write references of spline paths, whole or not at all.

    references: their meta has "cell", (scene, band), a certificate, and whatever else is to be kept. facts: about all
    of them, as JSON. Raises UsageError for a motion that is no path of spline.CONTROL_POINTS control points.
    """
    points = np.stack([_path(one) for one in references])
    about = {"facts": dict(facts), "motions": [{"name": one.name, **one.meta} for one in references]}
    arrays = {"control_points": points, "duration": np.array([one.duration for one in references])}
    arrays["dt"] = np.array([one.dt for one in references])
    text = json.dumps(store.plain(about), sort_keys=True)
    store.save_arrays(path, {**arrays, "about": text, "checksum": _checksum(arrays, text)})
    return Path(path)


def thaw(name: str, chain: Chain, dt: float | None = None) -> list[Reference]:
    """The references of a frozen suite or of a part of it, on a grid of dt s or their own.

    name: "v1" or "v1-SCENE-BAND" (or one of the two) of the arm's suite, or FILE.npz, FILE.npz#SCENE-BAND. Raises
    UsageError for a part that there is none of, an arm without a suite, and a file that is not whole or another arm's.
    """
    path, wanted = _place(name, chain)
    arrays, about = _read(path)
    if about["facts"]["robot"] != chain.name or arrays["control_points"].shape[-1] != chain.n:
        raise UsageError(f"The suite '{path}' is of {about['facts']['robot']}, not of {chain.name}; name another.")
    cells = [motion["cell"] for motion in about["motions"]]
    known = list(dict.fromkeys(word for cell in cells for word in cell))
    unknown = [word for word in wanted if word not in known]
    if unknown:
        raise UsageError(f"The suite '{path.name}' has no part {unknown[0]!r}; choose of {', '.join(known)}.")
    rows = [k for k, cell in enumerate(cells) if set(wanted) <= set(cell)]
    return [_reference(chain, arrays, about["motions"][k], k, dt) for k in rows]


def facts(name: str, chain: Chain) -> dict[str, Any]:
    """What `freeze` was told about all motions of a suite."""
    return dict(_read(_place(name, chain)[0])[1]["facts"])


def _place(name: str, chain: Chain) -> tuple[Path, list[str]]:
    """The file of a suite, and the words of the part that is wanted."""
    file, _, part = name.partition("#")
    if Path(file).suffix == ".npz":
        path, words = Path(file), part
        if not path.is_file():
            raise UsageError(f"There is no frozen suite '{path}'; make one with `armctl suite build`.")
    else:
        path, words = shipped(chain), name.removeprefix(VERSION).removeprefix("-")
        if not path.is_file():
            raise UsageError(f"No frozen suite comes with {chain.name}; make one with `armctl suite build`.")
    return path, [word for word in words.split("-") if word]


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        arrays = store.load_arrays(path)
        about = json.loads(str(arrays.pop("about")))
        checksum = str(arrays.pop("checksum"))
        whole = checksum == _checksum(arrays, json.dumps(about, sort_keys=True))
    except Exception as error:  # whatever a damaged file makes of itself means the same
        raise UsageError(f"The frozen suite '{path}' cannot be read ({error}); make it again.") from error
    if not whole:
        raise UsageError(f"The frozen suite '{path}' is not what was frozen: its checksum differs; make it again.")
    return arrays, about


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in ("control_points", "duration", "dt"):
        digest.update(np.ascontiguousarray(arrays[name], "<f8").tobytes())
    return digest.hexdigest()


def _path(reference: Reference) -> np.ndarray:
    """Control points (C, n) of a reference that is a spline path."""
    q = reference.q
    if len(q) <= spline.CONTROL_POINTS:
        raise UsageError(f"Reference '{reference.name}' has {len(q)} samples, too few to tell its path.")
    points, miss = spline.fitted(q)
    if miss > 1e-6:
        raise UsageError(f"Reference '{reference.name}' is no spline path of a generator or corpus; freeze those.")
    return points


def _reference(
    chain: Chain, arrays: Mapping[str, np.ndarray], motion: Mapping[str, Any], k: int, dt: float | None
) -> Reference:
    own = float(arrays["dt"][k])
    samples = time_samples(arrays["control_points"][k], float(arrays["duration"][k]), own)
    meta = {name: value for name, value in motion.items() if name != "name"}
    reference = Reference.from_joints(chain, own, *samples, name=str(motion["name"]), meta=meta)
    return reference if dt is None or dt == own else reference.resampled(chain, dt)
