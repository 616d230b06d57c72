"""Viscous joint friction."""

from dataclasses import dataclass

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect, PerJoint, per_joint
from armctl.typing import Array


@dataclass(frozen=True)
class Viscous(Effect, name="viscous"):
    """tau_friction = -D qd, taken at the end of the physics step: (M + dt D) qdd = tau - h - D qd.

    Explicit friction explodes where dt D exceeds twice a joint's inertia; this one never takes more than the velocity.
    """

    coefficient: PerJoint

    def prepare(self, chain: Chain) -> np.ndarray:
        """D, (n,) N m s/rad, the arm's own included."""
        return chain.damping + per_joint(self.coefficient, chain, "Scenario.viscous")

    @staticmethod
    def damping(p: Array) -> Array:
        """D."""
        return p
