"""Gymnasium ids of the shipped arms."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import product
from types import ModuleType
from typing import Any

ROBOTS = ("panda", "iiwa14", "ur5e", "xarm6", "gen3", "planar3")
VERSION = "v1"
TASKS: dict[str, dict[str, Any]] = {
    "Reach": {"entry_point": "armctl.envs.reach:ReachEnv", "max_episode_steps": 200},
    "Track": {"entry_point": "armctl.envs.track:TrackEnv"},
}


def env_ids() -> list[str]:
    """Every registered id of today."""
    return [f"armctl/{robot.capitalize()}{task}-{VERSION}" for robot in ROBOTS for task in TASKS]


def register_all() -> None:
    """Register armctl/{Robot}{Reach,Track}-v1; a second call changes nothing.

    The v0 of each is the same environment, and Gymnasium says when it is first made that there is a later one.
    """
    from gymnasium.envs.registration import register, registry

    for robot, (task, spec), version in product(ROBOTS, TASKS.items(), ("v0", VERSION)):
        name = f"armctl/{robot.capitalize()}{task}-{version}"
        if name not in registry:
            register(name, kwargs={"robot": robot}, **spec)


def register_when_gymnasium_is_there() -> None:
    """Register now if Gymnasium has been imported, else as soon as it is: it takes longer than all else to import."""
    if "gymnasium" in sys.modules:
        register_all()
    elif not any(isinstance(finder, _AfterGymnasium) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterGymnasium())


class _AfterGymnasium(MetaPathFinder):
    """Leaves the import of Gymnasium to the other finders and registers once it is done."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Registering(spec.loader)
        return spec


class _Registering(Loader):
    """Another loader, and the registration after it."""

    def __init__(self, loader: Loader):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader  # what others find there is Gymnasium's own
        self._loader.exec_module(module)
        register_all()
