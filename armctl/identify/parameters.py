"""What is identified, as an unconstrained vector: every vector is a physical arm, so the fit needs no constraints.

Link i carries the pseudo-inertia s_i P_i with the nominal P_i and a factor s_i > 0; the last one also that of the
payload, a solid sphere of positive mass anywhere in space. A positive factor keeps a pseudo-inertia positive definite
and a sum of positive semi-definite ones is so too, which is what makes a body physical (Wensing, Kim & Slotine 2018).
Factors, the mass and friction coefficients are positive as s log(1 + exp(theta / s)) with a scale s of their own: that
is theta itself well above s, so that the fit stays nearly linear, and never below 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.effects.dry_friction import DryFrictionParams
from armctl.plant.effects.payload import RADIUS
from armctl.plant.presets import rated_payload
from armctl.plant.scenario import PlantParams, Scenario, plant_params
from armctl.rigid import GRAVITY
from armctl.typing import Array

GROUPS = ("payload", "friction", "inertia")


@dataclass(frozen=True)
class Parameter:
    """One number that is identified."""

    name: str
    unit: str
    group: str
    start: float
    """Value at which the fit begins, the middle of the prior."""
    prior_std: float
    """Standard deviation of the prior on the vector's entry."""
    scale: float = 0.0
    """The s of a positive parameter; 0 where any number is possible."""


Parameters = tuple[Parameter, ...]


def parameters(chain: Chain, groups: Sequence[str]) -> Parameters:
    """The parameters of some groups, in the order of the vector; UsageError for an unknown group or none.

    Priors: payload within about the arm's payload range and 0.1 m of the tip, friction at 1 rad/s about 1 % of the
    effort limit, factors on link inertia about 30 %.
    """
    unknown = [group for group in groups if group not in GROUPS]
    if unknown or not groups:
        given = repr(unknown[0]) if unknown else "nothing"
        raise UsageError(f"Cannot identify {given}; choose among the groups {', '.join(GROUPS)}.")
    found: list[Parameter] = []
    if "payload" in groups:
        load = rated_payload(chain)
        found.append(Parameter("payload mass", "kg", "payload", 0.2 * load, load, 0.2 * load))
        found += [Parameter(f"payload {axis}", "m", "payload", 0.0, 0.1) for axis in "xyz"]
    if "friction" in groups:
        for kind, turning, sliding in (("viscous", "N m s/rad", "N s/m"), ("coulomb", "N m", "N")):
            joints = zip(chain.joint_names, chain.joint_types, chain.effort.tolist(), strict=True)
            for joint, joint_type, effort in joints:
                unit = sliding if joint_type == "prismatic" else turning
                found.append(
                    Parameter(f"{kind} {joint}", unit, "friction", 2e-3 * effort, 1e-2 * effort, 2e-3 * effort)
                )
    if "inertia" in groups:
        found += [Parameter(f"inertia {joint}", "-", "inertia", 1.0, 0.3, 0.2) for joint in chain.joint_names]
    return tuple(found)


def physical(items: Parameters, theta: Array) -> Array:
    """Values in physical units of a vector; theta (p,) -> (p,)."""
    scale, positive = np.array([item.scale or 1.0 for item in items]), np.array([item.scale > 0 for item in items])
    return jnp.where(positive, scale * jnp.logaddexp(theta / scale, 0.0), theta)


def vector(items: Parameters, values: np.ndarray) -> np.ndarray:
    """The inverse of `physical`: values (p,), positive ones at least 0 -> theta (p,), -inf where one is 0."""
    with np.errstate(divide="ignore"):
        return np.array([_unbounded(item, float(x)) for item, x in zip(items, values, strict=True)])


def _unbounded(item: Parameter, value: float) -> float:
    # log(exp(x) - 1), written so that neither end loses digits
    return value + item.scale * np.log(-np.expm1(-value / item.scale)) if item.scale else value


def slopes(items: Parameters, theta: np.ndarray) -> np.ndarray:
    """d physical / d theta, entry by entry, for the delta method; theta (p,) -> (p,)."""
    return np.array([expit(x / item.scale) if item.scale else 1.0 for item, x in zip(items, theta, strict=True)])


def plant(arm: Arm, items: Parameters, values: Array, rubs: bool = True) -> PlantParams:
    """The true plant with physical values (p,), differentiable; groups that are not identified are nominal.

    rubs: whether there is friction, identified or the arm's own; where there is none it need not be solved for.
    """
    groups, n, rest = {item.group for item in items}, arm.n, jnp.asarray(values)
    mass: Array = jnp.zeros(())
    centre: Array = jnp.zeros(3)
    viscous: Array = arm.damping
    coulomb: Array = arm.friction
    if "payload" in groups:
        mass, centre, rest = rest[0], rest[1:4], rest[4:]
    if "friction" in groups:
        viscous, coulomb, rest = rest[:n], rest[n : 2 * n], rest[2 * n :]
    factor: Array = rest[:n] if "inertia" in groups else jnp.ones(n, rest.dtype)
    c = arm.R_last_tip @ centre + arm.p_last_tip
    sphere: Array = (0.4 * RADIUS**2 + c @ c) * jnp.eye(3) - jnp.outer(c, c)
    dry = DryFrictionParams(coulomb, np.zeros(n), np.ones(n))
    return PlantParams(
        mass=(factor * arm.mass).at[-1].add(mass),
        first_moment=(factor[:, None] * arm.first_moment).at[-1].add(mass * c),
        inertia=(factor[:, None, None] * arm.inertia).at[-1].add(mass * sphere),
        gravity=np.array(GRAVITY),
        seed=np.zeros((), np.uint32),
        effects={"viscous": viscous, "dry_friction": dry} if rubs else {},
    )


def known_values(chain: Chain, items: Parameters, scenario: Scenario) -> np.ndarray:
    """Physical values (p,) that a known scenario stands for; those of the nominal arm for Scenario()."""
    groups, params = {item.group for item in items}, plant_params(chain, scenario)
    parts: list[np.ndarray] = []
    if "payload" in groups:
        parts.append(np.array([scenario.payload_mass, *scenario.payload_com]))
    if "friction" in groups:
        none, effects = np.zeros(chain.n), params.effects
        dry = effects["dry_friction"].moving if "dry_friction" in effects else none
        parts += [effects.get("viscous", none), dry]
    if "inertia" in groups:
        parts.append(np.broadcast_to(np.asarray(scenario.inertia_scale, float), (chain.n,)))
    return np.concatenate(parts)
