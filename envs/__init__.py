"""The PyBullet side of armctl: Gymnasium environments and the thin arm they stand on. Imports no JAX."""

from importlib import import_module

_EXPORTS = {
    "ArmBody": "armctl.envs.bullet.body",
    "Plant": "armctl.envs.bullet.plant",
    "ReachEnv": "armctl.envs.reach",
    "TrackEnv": "armctl.envs.track",
    "make_vec": "armctl.envs.vector",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'armctl.envs' has no attribute {name!r}")
