"""The folder of an exported controller: its step in one form, its constants and the file that runs it."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.controllers.base import Controller
from armctl.errors import UsageError
from armctl.export.c_form import write_c
from armctl.export.numpy_form import write_numpy
from armctl.export.onnx_form import write_onnx
from armctl.export.program import Program
from armctl.export.translation import program
from armctl.plant.observe import Window

FORMS = ("numpy", "onnx", "c")
UNITS = {"torque": "N m", "velocity": "rad/s", "position": "rad added to the last target"}
UNITS["ee_twist"] = "m/s and rad/s, tip, world frame"
WINDOW = {"q": "rad", "qd": "rad/s", "qdd": "rad/s^2", "p": "m, world", "R": "world"}
WINDOW |= {"twist": "m/s then rad/s, world", "accel": "m/s^2 then rad/s^2, world"}


def export(
    controller: Controller, folder: str | Path, form: str, *, source: Any = None, dtype: Any = np.float32
) -> Path:
    """Write a controller as a folder whose controller.py runs it without JAX.

    folder: written into, made where there is none; form: one of FORMS; source: what the manifest says of where the
    controller comes from; dtype: float32, or float64 under `jax.enable_x64`. Returns the folder.
    Raises UsageError for an unknown form, one whose packages are not installed, or a controller that cannot be written.
    """
    if form not in FORMS:
        raise UsageError(f"The form is {form!r}; choose one of {', '.join(FORMS)}.")
    folder, found = Path(folder), program(controller, dtype)
    arrays = {f"carry{i}": value for i, value in enumerate(found.carry)}
    if form == "numpy":
        text, constants = write_numpy(found)
        arrays |= constants
        store.write_text(folder / "step.py", text)
    elif form == "c":
        store.write_text(folder / "step.c", write_c(found))
    else:
        store.write_bytes(folder / "step.onnx", write_onnx(found))
    store.save_arrays(folder / "arrays.npz", arrays)
    runner = Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")
    store.write_text(folder / "controller.py", runner)
    store.write_json(folder / "manifest.json", manifest(controller, found, form, source))
    return folder


def manifest(controller: Controller, found: Program, form: str, source: Any = None) -> dict[str, Any]:
    """What a user of an export has to know."""
    arm, command = controller.arm, found.outputs[-1]
    kinds = zip(found.names, found.inputs, strict=True)
    return {
        "form": form,
        "controller": controller.name or type(controller).__name__,
        "robot": arm.name,
        "joints": list(arm.joint_names),
        "control_dt": controller.control_dt,
        "preview": controller.preview,
        "window": {name: f"(preview + 1, ...) {WINDOW[name]}; row 0 is now" for name in Window._fields},
        "command": {"mode": controller.control, "unit": UNITS[controller.control], "shape": list(command.shape)},
        "arrays": {name: {"shape": list(x.shape), "dtype": x.dtype.name} for name, x in kinds},
        "operations": len(found.ops),
        "source": source,
        "versions": store.versions(),
    }


def digest(folder: str | Path) -> dict[str, str]:
    """SHA-256 of the files that make a run what it is."""
    names = ("config.json", "params.npz")
    return {name: hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest() for name in names}
