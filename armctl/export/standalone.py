"""A controller that armctl exported: NumPy runs it (and a C compiler or onnxruntime, by its form), JAX is not needed.

    from controller import Controller

    controller = Controller()                    # of the folder that this file lies in, or Controller(folder)
    controller.reset()                           # at the start of every episode
    while True:
        window = {"q": ..., "qd": ..., ...}      # the reference from now on, see manifest.json
        command = controller(q, qd, window)      # one control step: measured joints -> command
        # hold the command for control_dt seconds

manifest.json says for which arm it is, the control period, what a window holds, shapes and units. Whoever wrote the
files of this folder decides what runs on your machine, as with any program: use folders you trust.
"""

import ctypes
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FLAGS: tuple[str, ...] = (
    "-std=gnu99",
    "-O2",
    "-ftree-vectorize",
    "-march=native",
    "-fopenmp-simd",
    "-DARMCTL_SIMD",
    "-fno-math-errno",
)
FLAGS += ("-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-shared", "-fPIC")
FLAGS += ("-fvect-cost-model=dynamic", "-fno-tree-slp-vectorize")  # short loops fast, and compiling quick
WINDOW = ("q", "qd", "qdd", "p", "R", "twist", "accel")


class Controller:
    """An exported controller of one arm; it keeps its memory from one control step to the next."""

    def __init__(self, folder: str | Path = Path(__file__).parent) -> None:
        """folder: what `armctl export` wrote. Raises RuntimeError where its form cannot run on this machine."""
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        with np.load(self.folder / "arrays.npz", allow_pickle=False) as arrays:
            self._arrays = {name: arrays[name] for name in arrays.files}
        kinds = self.manifest["arrays"]
        self._names = list(kinds)
        self._values = [np.zeros(kind["shape"], kind["dtype"]) for kind in kinds.values()]
        self._carried = len(self._names) - 2 - len(WINDOW)
        self._spare = [np.zeros_like(value) for value in self._values[: self._carried]]
        self._step = FORMS[self.manifest["form"]](self)
        self.reset()

    def reset(self) -> None:
        """Begin an episode: forget what was measured before."""
        for carry in (self._values, self._spare):
            for name, value in zip(self._names[: self._carried], carry, strict=False):
                value[...] = self._arrays[name]

    def __call__(self, q: Any, qd: Any, window: Mapping[str, Any]) -> np.ndarray:
        """One control step. q, qd: (n,) measured; window: arrays (preview + 1, ...) by name -> command (n,)."""
        k, values = self._carried, self._values
        values[k][...] = q
        values[k + 1][...] = qd
        for i, name in enumerate(WINDOW, k + 2):
            values[i][...] = window[name]
        return self._step()


def _numpy(controller: Controller) -> Callable[[], np.ndarray]:
    """The step as generated Python."""
    path = controller.folder / "step.py"
    spec = importlib.util.spec_from_file_location("armctl_exported_step", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be loaded; export the controller again.")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["C"] = controller._arrays
    spec.loader.exec_module(module)
    values, carried, step = controller._values, controller._carried, module.step

    def run() -> np.ndarray:
        *carry, command = step(*values)
        for old, new in zip(values[:carried], carry, strict=True):
            old[...] = new
        return command

    return run


def _onnx(controller: Controller) -> Callable[[], np.ndarray]:
    """The step as a graph that onnxruntime runs, on one thread: its operations are too small to share."""
    try:
        import onnxruntime
    except ImportError:
        raise RuntimeError("This export needs onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = str(controller.folder / "step.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = {entry.name for entry in session.get_inputs()}
    given = {name: value for name, value in zip(controller._names, controller._values, strict=True) if name in wanted}
    values, carried = controller._values, controller._carried

    def run() -> np.ndarray:
        *carry, command = session.run(None, given)
        for old, new in zip(values[:carried], carry, strict=True):
            old[...] = new
        return command

    return run


def _c(controller: Controller) -> Callable[[], np.ndarray]:
    """The step as C99, compiled for this machine when it is first loaded; CC names another compiler than cc."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "step.so"
        words = [os.environ.get("CC", "cc"), *FLAGS, str(controller.folder / "step.c"), "-o", str(library), "-lm"]
        try:
            subprocess.run(words, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise RuntimeError(f"There is no C compiler '{words[0]}': install one, or name it in CC.") from None
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"'{' '.join(words)}' failed: {error.stderr}") from None
        step = ctypes.CDLL(str(library)).armctl_step
    values, carried = controller._values, controller._carried
    command = np.zeros(controller.manifest["command"]["shape"], values[carried].dtype)
    # the memory lies in two places: each step reads the one and writes the other, so that nothing is copied
    here, there, rest = values[:carried], controller._spare, values[carried:]
    forth = _pointers([*here, *rest]), _pointers([*there, command])
    back = _pointers([*there, *rest]), _pointers([*here, command])
    turn = itertools.cycle((forth, back))

    def run() -> np.ndarray:
        step(*next(turn))
        return command.copy()

    return run


def _pointers(arrays: list[np.ndarray]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


FORMS = {"numpy": _numpy, "onnx": _onnx, "c": _c}

if __name__ == "__main__":
    print(json.dumps(Controller(*sys.argv[1:]).manifest, indent=2))
