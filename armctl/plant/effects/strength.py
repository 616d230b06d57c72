"""Torque constant: what a motor delivers of the torque it was asked for."""

from dataclasses import dataclass

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect, PerJoint, per_joint
from armctl.typing import Array


@dataclass(frozen=True)
class Strength(Effect, name="actuator_strength"):
    """tau = s tau_commanded: the current loop knows the nominal torque constant, the motor has s times that."""

    factor: PerJoint

    def prepare(self, chain: Chain) -> np.ndarray:
        """s - 1, (n,)."""
        return per_joint(self.factor, chain, "Scenario.actuator_strength") - 1

    @staticmethod
    def torque(p: Array, memory: None, tau: Array, q: Array, qd: Array, time: Array, dt: float) -> tuple[Array, None]:
        """A share of the (saturated) torque more or less."""
        return tau + p * tau, memory
