"""armctl: a robot-arm control laboratory (PyBullet plant, JAX twin, learned tracker, goal generator, fair bench)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from armctl.moved import follow_moves
from armctl.registration import register_when_gymnasium_is_there

if TYPE_CHECKING:  # for editors and type checkers; at run time a name loads its module when it is first used
    from armctl import dynamics, kinematics, twin
    from armctl.arm import Arm, load_arm
    from armctl.bench.plan import BenchConfig
    from armctl.bench.run import run_bench
    from armctl.chain import Chain
    from armctl.controller_audit import ControllerAuditConfig, audit_controller
    from armctl.controllers import Controller
    from armctl.envs.vector import make_vec
    from armctl.errors import UsageError
    from armctl.learn.learner import TrainConfig
    from armctl.learn.tune import TuneConfig, tune
    from armctl.motion.certificate import certify
    from armctl.motion.files import load_reference, save_reference
    from armctl.motion.reference import Reference
    from armctl.plant.effects.effect import Effect
    from armctl.plant.scenario import Scenario, plant_params
    from armctl.plant.servo import ServoConfig
    from armctl.urdf import load_chain

__version__ = "0.1.0"

_HOMES = {
    "Arm": "armctl.arm",
    "BenchConfig": "armctl.bench.plan",
    "Chain": "armctl.chain",
    "Controller": "armctl.controllers",
    "ControllerAuditConfig": "armctl.controller_audit",
    "Effect": "armctl.plant.effects.effect",
    "Reference": "armctl.motion.reference",
    "Scenario": "armctl.plant.scenario",
    "ServoConfig": "armctl.plant.servo",
    "TrainConfig": "armctl.learn.learner",
    "TuneConfig": "armctl.learn.tune",
    "UsageError": "armctl.errors",
    "audit_controller": "armctl.controller_audit",
    "certify": "armctl.motion.certificate",
    "load_arm": "armctl.arm",
    "load_chain": "armctl.urdf",
    "load_reference": "armctl.motion.files",
    "make_vec": "armctl.envs.vector",
    "plant_params": "armctl.plant.scenario",
    "run_bench": "armctl.bench.run",
    "save_reference": "armctl.motion.files",
    "tune": "armctl.learn.tune",
}
_MODULES = ("dynamics", "kinematics", "twin")

__all__ = [
    "Arm",
    "BenchConfig",
    "Chain",
    "Controller",
    "ControllerAuditConfig",
    "Effect",
    "Reference",
    "Scenario",
    "ServoConfig",
    "TrainConfig",
    "TuneConfig",
    "UsageError",
    "__version__",
    "audit_controller",
    "certify",
    "dynamics",
    "kinematics",
    "load_arm",
    "load_chain",
    "load_reference",
    "make_vec",
    "plant_params",
    "run_bench",
    "save_reference",
    "tune",
    "twin",
]

follow_moves()
register_when_gymnasium_is_there()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"armctl.{name}")
    raise AttributeError(f"module 'armctl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__"])
