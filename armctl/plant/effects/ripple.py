"""Torque ripple: cogging and commutation, and the teeth of a gear, as a torque that repeats with the joint's angle."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect, PerJoint, per_joint
from armctl.typing import Array


class RippleParams(NamedTuple):
    """(n,) each: N m, periods per turn, rad."""

    amplitude: np.ndarray
    harmonic: np.ndarray
    phase: np.ndarray


@dataclass(frozen=True)
class Ripple(Effect, name="ripple"):
    """tau = tau_commanded + A sin(h q + phi), joint by joint."""

    amplitude: PerJoint
    harmonic: PerJoint
    phase: PerJoint

    def prepare(self, chain: Chain) -> RippleParams:
        """Amplitude, harmonic and phase of every joint."""
        return RippleParams(
            per_joint(self.amplitude, chain, "Scenario.ripple"),
            per_joint(self.harmonic, chain, "Scenario.ripple_harmonic"),
            per_joint(self.phase, chain, "Scenario.ripple_phase"),
        )

    @staticmethod
    def torque(
        p: RippleParams, memory: None, tau: Array, q: Array, qd: Array, time: Array, dt: float
    ) -> tuple[Array, None]:
        """At the angle at which the physics step begins."""
        return tau + p.amplitude * q.__array_namespace__().sin(p.harmonic * q + p.phase), memory
