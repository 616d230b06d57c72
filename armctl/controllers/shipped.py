"""Tuned gains and trained policies that come with the library, by arm and controller (assets/policies)."""

from importlib.resources import files
from pathlib import Path

from armctl.arm import Arm
from armctl.controllers.base import Controller
from armctl.controllers.registry import find, make
from armctl.controllers.saved import load, parameters, with_parameters

DEFAULT = ":default"
"""After a controller's name: with the gains its class has, whatever is shipped."""


def folder(name: str, arm: Arm) -> Path | None:
    """Run folder of the parameters shipped for a controller and an arm; None where there are none."""
    path = Path(str(files("armctl.assets"))) / "policies" / arm.name / name
    return path if (path / "params.npz").is_file() else None


def best(name: str, arm: Arm, control_dt: float = 0.01) -> tuple[Controller, Path | None]:
    """A controller by name with the best parameters there are, and the run folder that they are from.

    Those are the shipped ones where they were made for this control_dt (s), else the defaults (None), as for a name
    that ends in ":default". Raises UsageError for an unknown name, listing the known ones.
    """
    bare = name.removesuffix(DEFAULT)
    policy = find(bare).policy
    path = folder(policy or bare, arm) if bare == name else None
    if path is not None:
        controller = load(path, arm)
        if controller.control_dt == control_dt:
            if policy:
                own = make(bare, arm, control_dt, controller.preview)
                return with_parameters(own, parameters(controller)), path
            return controller, path
    return make(bare, arm, control_dt), None
