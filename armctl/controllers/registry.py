"""Controllers by name: those of this package, found without a list, and any class that has been defined with a name."""

import pkgutil
from importlib import import_module
from pathlib import Path

from armctl.arm import Arm
from armctl.controllers.base import KNOWN, Controller
from armctl.errors import UsageError


def known(family: str | None = None) -> dict[str, type[Controller]]:
    """Controllers by name, sorted; family: those of one family only."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{__package__}.{module.name}")
    return {name: KNOWN[name] for name in sorted(KNOWN) if family in (None, KNOWN[name].family)}


def find(name: str) -> type[Controller]:
    """The class of a name. Raises UsageError for an unknown name, listing the known ones."""
    classes = known()
    if name not in classes:
        raise UsageError(f"Unknown controller {name!r}; choose one of {', '.join(classes)}, or a trained run folder.")
    return classes[name]


def make(name: str, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> Controller:
    """Make a controller by name, with its default gains or freshly initialised weights.

    arm: nominal; control_dt: s a command is held; preview: control steps of look-ahead; seed: of the weights.
    Raises UsageError for an unknown name, listing the known ones.
    """
    return find(name)(arm, control_dt=control_dt, preview=preview, seed=seed)
