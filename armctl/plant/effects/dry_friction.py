"""Dry joint friction: Coulomb's, and more of it at rest (Stribeck)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect, PerJoint, per_joint
from armctl.typing import Array

PATIENCE = 3
"""Iterations without progress after which the active set of the impulses, in plant and twin, changes one at a time."""
SWEEPS = 100
"""Most iterations per joint; it stops when nothing changes, mostly after two or three in all."""


class DryFrictionParams(NamedTuple):
    """(n,) each: N m while moving, N m more at rest, rad/s over which it falls."""

    moving: np.ndarray
    rest: np.ndarray
    velocity: np.ndarray


@dataclass(frozen=True)
class DryFriction(Effect, name="dry_friction"):
    """Friction F(qd) = F_c + (F_s - F_c) exp(-(qd / v_s)^2) against the motion, and whatever is needed at rest up to F.

    The curve of Stribeck as Armstrong-Helouvry, Dupont & Canudas de Wit (1994) write it. A joint that no more than F
    drives stays where it is.
    """

    coulomb: PerJoint
    stiction: PerJoint
    velocity: PerJoint

    def prepare(self, chain: Chain) -> DryFrictionParams:
        """F_c with the arm's own included, F_s - F_c, v_s."""
        moving = chain.friction + per_joint(self.coulomb, chain, "Scenario.coulomb")
        more = per_joint(self.stiction, chain, "Scenario.stiction") - 1
        return DryFrictionParams(moving, more * moving, per_joint(self.velocity, chain, "Scenario.stribeck_velocity"))

    @staticmethod
    def dry_friction(p: DryFrictionParams, qd: Array) -> Array:
        """F at the velocity with which the physics step begins."""
        xp = qd.__array_namespace__()
        ratio = qd / xp.maximum(p.velocity, 1e-9)
        return p.moving + p.rest * xp.exp(-xp.minimum(ratio * ratio, 80.0))
