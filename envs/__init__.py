"""The PyBullet side of armctl: Gymnasium environments and the thin arm they stand on. Imports no JAX."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time a name loads its module when it is first used
    from armctl.envs.bullet.body import ArmBody
    from armctl.envs.bullet.plant import Plant
    from armctl.envs.reach import ReachEnv
    from armctl.envs.track import TrackEnv
    from armctl.envs.vector import make_vec

_HOMES = {
    "ArmBody": "armctl.envs.bullet.body",
    "Plant": "armctl.envs.bullet.plant",
    "ReachEnv": "armctl.envs.reach",
    "TrackEnv": "armctl.envs.track",
    "make_vec": "armctl.envs.vector",
}

__all__ = ["ArmBody", "Plant", "ReachEnv", "TrackEnv", "make_vec"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'armctl.envs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__"])
