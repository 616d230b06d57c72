"""Modules under the names that they had before they moved: they still import, with a warning, for one release."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "armctl.bench.report": "armctl.report.page",
    "armctl.envs.arm_body": "armctl.envs.bullet.body",
    "armctl.envs.base": "armctl.envs.arm_env",
    "armctl.envs.camera": "armctl.envs.bullet.camera",
    "armctl.envs.plant": "armctl.envs.bullet.plant",
    "armctl.envs.reward": "armctl.plant.reward",
    "armctl.learn.bptt": "armctl.learn.train",
    "armctl.plant.bank": "armctl.motion.windows",
    "armctl.plant.bullet_twin": "armctl.twin.motors",
    "armctl.plant.finite": "armctl.twin.nonfinite",
    "armctl.plant.parity": "armctl.audit.rollouts",
    "armctl.plant.twin": "armctl.twin.step",
}


def follow_moves() -> None:
    """Let the old names import; a second call changes nothing."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.append(_OldNames())


class _OldNames(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, _Alias()) if fullname in MOVED else None


class _Alias(Loader):
    """Fills a module with what the one in its new place holds."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} has moved to {new}; import it from there.", DeprecationWarning, stacklevel=2)
        module.__dict__.update({k: v for k, v in vars(import_module(new)).items() if not k.startswith("__")})
