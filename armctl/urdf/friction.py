"""Joint friction that a physics step can bear: it acts explicitly, so that too much of it would blow the arm up."""

from dataclasses import replace

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.rigid import FRICTION_VELOCITY

PHYSICS_DT = 0.002
"""The default physics step, s."""
SHARE = 1.0
"""Part of its velocity that friction may take from a joint in one physics step; 2 would be unstable."""
SAMPLES = 64


def with_bearable_friction(chain: Chain) -> Chain:
    """The chain with damping and friction lowered where a physics step of 2 ms could not integrate them; noted.

    At rest smoothed Coulomb friction is a damping too. Both together are compared with the smallest inertia that a
    joint shows in random configurations while the others are free.
    """
    slope = chain.damping + chain.friction / FRICTION_VELOCITY
    if not slope.any():
        return chain
    bearable = SHARE * _least_inertia(chain) / PHYSICS_DT
    factor = np.minimum(1.0, bearable / np.maximum(slope, 1e-12))
    if (factor == 1.0).all():
        return chain
    low = [i for i in range(chain.n) if factor[i] < 1.0]
    names = ", ".join(f"{chain.joint_names[i]} (to {100 * factor[i]:.2g} %)" for i in low)
    note = f"Damping and friction are more than the light links bear in physics steps of 2 ms: lowered for {names}."
    return replace(chain, damping=chain.damping * factor, friction=chain.friction * factor, notes=(*chain.notes, note))


def _least_inertia(chain: Chain) -> np.ndarray:
    """Smallest 1 / (M^-1)_ii over random configurations, (n,) kg m^2 (kg where prismatic)."""
    low, high = joint_box(chain, 0.0)
    q = np.random.default_rng(0).uniform(low, high, (SAMPLES, chain.n))
    inverse = np.linalg.inv(rigid.mass_matrix(chain, q))
    return 1 / np.diagonal(inverse, axis1=1, axis2=2).max(axis=0)
