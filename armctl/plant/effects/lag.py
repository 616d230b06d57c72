"""Actuator lag: torque follows the current loop's command as a first-order system."""

from dataclasses import dataclass

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect, PerJoint, per_joint
from armctl.typing import Array


@dataclass(frozen=True)
class Lag(Effect, name="actuator_lag"):
    """T dtau/dt = tau_commanded - tau, exact for a torque that is held over the physics step."""

    time_constant: PerJoint

    def prepare(self, chain: Chain) -> np.ndarray:
        """T, (n,) s."""
        return per_joint(self.time_constant, chain, "Scenario.actuator_lag")

    @staticmethod
    def start(p: Array, hold: Array) -> Array:
        """The motors hold the nominal arm."""
        return hold

    @staticmethod
    def torque(p: Array, memory: Array, tau: Array, q: Array, qd: Array, time: Array, dt: float) -> tuple[Array, Array]:
        """The torque at the end of the step acts in it, as the velocity at its end moves the joint."""
        xp = p.__array_namespace__()
        kept = xp.exp(-dt / xp.maximum(p, 1e-9))
        memory = tau + kept * (memory - tau)
        return memory, memory
