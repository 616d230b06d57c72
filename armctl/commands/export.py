"""`armctl export`: a tuned or trained controller as a folder that runs without JAX."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl.commands.console import say, show, table
from armctl.commands.parsing import Flag, check_out, parse
from armctl.errors import UsageError
from armctl.export.folder import FORMS, UNITS, digest, export


@dataclass(frozen=True)
class ExportArguments:
    """Write a controller as a folder that runs without JAX: plain NumPy, an ONNX graph or C."""

    controller: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CONTROLLER")]
    """Controller by name (with what is shipped for the arm; NAME:default without), or run folder of `tune` or `train
    tracker`."""
    to: Annotated[str, tyro.conf.arg(metavar="numpy|onnx|c")] = "numpy"
    """Form: numpy needs NumPy alone, onnx a runtime such as onnxruntime, c a C compiler; c is by far the fastest."""
    robot: Annotated[str | None, tyro.conf.arg(metavar="ROBOT|URDF")] = None
    """Nominal arm; that of the run if absent (panda for a name)."""
    out: Path = Path("runs/export")
    """Folder to write."""
    double: Flag = False
    """Compute in double precision, where the tracker's filters agree with JAX's to 1e-6 over an episode."""
    overwrite: Flag = False
    """Replace the files of an earlier export."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """`armctl export`; returns the exit status."""
    arguments = parse(ExportArguments, argv, prog)
    if arguments.to not in FORMS:
        raise UsageError(f"--to is {arguments.to!r}; choose one of {', '.join(FORMS)}.")
    check_out(arguments.out, overwrite=arguments.overwrite, mark="manifest.json")
    import jax
    import numpy as np

    from armctl import store
    from armctl.arm import load_arm
    from armctl.controllers import registry, saved, shipped

    if (
        arguments.controller.removesuffix(shipped.DEFAULT) in registry.known()
        or not Path(arguments.controller).exists()
    ):
        controller, given = shipped.best(arguments.controller, load_arm(arguments.robot or "panda"))
        source: dict[str, Any] = {"name": arguments.controller} | ({"sha256": digest(given)} if given else {})
    else:
        robot = arguments.robot or store.read_config(arguments.controller).get("robot", "panda")
        controller = saved.load(arguments.controller, load_arm(robot))
        source = {"folder": str(Path(arguments.controller).resolve()), "sha256": digest(arguments.controller)}
    seconds = controller.compile_seconds // 4  # a step is traced without its gradient
    say(f"tracing one control step of {controller.title} for {controller.arm.name}, about {seconds} s")
    with jax.enable_x64(arguments.double):
        dtype = np.float64 if arguments.double else np.float32
        folder = export(controller, arguments.out, arguments.to, source=source, dtype=dtype)
    result = {
        "folder": str(folder),
        "form": arguments.to,
        "controller": controller.name,
        "robot": controller.arm.name,
        "command": f"{controller.control}, {UNITS[controller.control]}",
        "control_dt": controller.control_dt,
        "preview": controller.preview,
    }
    show(result, f"{table([result])}\n\nhow to run it stands in {folder / 'controller.py'}", arguments.json)
    return 0
