"""armctl: a robot-arm control laboratory (PyBullet plant, JAX twin, learned tracker, goal generator, fair bench)."""

from importlib import import_module

from armctl.registration import register_all

__version__ = "0.1.0"

_EXPORTS = {
    "Scenario": "armctl.plant.scenario",
    "Reference": "armctl.motion.reference",
    "load_arm": "armctl.arm",
    "load_chain": "armctl.urdf",
    "make_vec": "armctl.envs.vector",
}

__all__ = [*_EXPORTS, "__version__"]


register_all()


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'armctl' has no attribute {name!r}")
