"""Controllers of the user's own, by where they stand."""

from pathlib import Path
from typing import Any

from armctl.arm import Arm
from armctl.bench.outside import check_outside, is_outside
from armctl.bench.plan import BenchConfig
from armctl.bench.sources import is_source, load_source
from armctl.bench.stable_baselines_policy import StableBaselinesPolicy
from armctl.controllers.base import Controller
from armctl.errors import UsageError
from armctl.plant.servo import CONTROLS
from armctl.rl.settings import is_policy_run


def is_own(source: str) -> bool:
    """Whether it names a class in a file or module, or a policy of stable-baselines3 or sbx, also by its run folder."""
    return _policy(source)[0].endswith(".zip") or is_source(source) or is_policy_run(source)


def load_own(source: str, arm: Arm, config: BenchConfig) -> tuple[str, Any]:
    """Name and controller of FILE.py:NAME, MODULE:NAME, FILE.zip, FILE.zip:CONTROL or a run folder of `train rl`.

    NAME is a subclass of `armctl.Controller`, a class or function without arguments that makes a controller from
    outside, or such an object. Raises UsageError where there is none.
    """
    path, control = _policy(source)
    if path.endswith(".zip") or is_policy_run(path):
        if control and control not in CONTROLS:
            raise UsageError(f"'{source}' names control '{control}'; choose one of {', '.join(CONTROLS)}.")
        return Path(path).resolve().name.removesuffix(".zip"), StableBaselinesPolicy.load(path, arm, control)
    name, found = source.rpartition(":")[2], load_source(source)
    if isinstance(found, type) and issubclass(found, Controller):
        try:
            return name, found(arm, control_dt=config.control_dt)
        except TypeError as error:
            raise UsageError(
                f"'{source}' cannot be made as (arm, control_dt=...): {error}; see docs/own.md."
            ) from error
    if callable(found) and (isinstance(found, type) or not hasattr(found, "act")):
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"'{source}' cannot be made without arguments: {type(error).__name__}: {error}; give every argument a "
                "default."
            ) from error
    if is_outside(found):
        check_outside(name, found)
    return name, found


def _policy(source: str) -> tuple[str, str]:
    """The file of a policy and the control mode named after it; the source itself where it is none."""
    path, colon, control = source.rpartition(":")
    return (path, control) if colon and path.endswith(".zip") else (source, "")
