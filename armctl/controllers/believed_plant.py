"""What a controller believes of the plant, and the torques that follow from it.

Everything is linear in what `torque_regressor` takes a motion apart into, so that no arm is built and no recursion is
run again for a changed belief.
"""

from typing import NamedTuple

import jax.numpy as jnp

from armctl.geometry import matvec
from armctl.recursions.regressor import Regressor
from armctl.typing import Array

RADIUS = 0.05
"""Of the sphere that a load is taken for, m."""
REACH = 0.3
"""Furthest that a load's centre is believed to lie from the tip, m."""
LIGHT = 0.05
"""Mass below which a load's centre is not told from its noise, kg."""


class Plant(NamedTuple):
    """A plant in physical units, physically possible; leading batch axes."""

    load: Array  # (..., 10) mass kg, first moment kg m, inertia kg m^2 about the tip (recursions.regressor.LOAD)
    links: Array  # (..., n) true over nominal inertial parameters of every link
    tilt: Array  # (..., 3) m/s^2 that gravity differs by from that of a level base, world frame
    viscous: Array  # (..., n) N m s/rad
    dry: Array  # (..., n) N m
    strength: Array  # (..., n) delivered torque over the commanded one
    learned: Array  # (..., n, K) weights of the learned torques


def rigid_torque(plant: Plant, parts: Regressor) -> Array:
    """Torque (..., n) N m of a motion that was taken apart: links, load and gravity of this plant."""
    torque = matvec(parts.links, plant.links) + matvec(parts.load, plant.load)
    return torque + matvec(parts.gravity, plant.tilt)


def inertia(plant: Plant, M: Array, parts: Regressor) -> Array:
    """Mass matrix (..., n, n) kg m^2 with the load. M: (..., n, n) of the nominal arm; parts: at the same posture."""
    v, e = parts.tip[..., :3], parts.tip[..., 3:]
    mass, first = plant.load[..., 0, None, None], plant.load[..., None, 1:4]
    xx, xy, xz, yy, yz, zz = (plant.load[..., i] for i in range(4, 10))
    rows = [jnp.stack(row, -1) for row in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))]
    force = mass * v + jnp.cross(e, first)
    moment = e @ jnp.stack(rows, axis=-2) + jnp.cross(first, v)
    return M + v @ force.swapaxes(-1, -2) + e @ moment.swapaxes(-1, -2)


def possible_load(parameters: Array) -> Array:
    """The load nearest to some estimate that there can be: a sphere. (..., 10) -> (..., 10), both as Plant.load.

    Mass is not negative and the centre not far; without that the mass matrix would lose its definiteness and the loop
    its life. The inertia is that of a sphere at this centre: the six estimated numbers serve to explain measurements.
    """
    mass = jnp.maximum(parameters[..., 0], 0.0)
    offset = parameters[..., 1:4] * (mass / (mass**2 + LIGHT**2))[..., None]
    far = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True) + 1e-12)
    x, y, z = jnp.moveaxis(offset * jnp.minimum(1.0, REACH / far), -1, 0)
    own = 0.4 * RADIUS**2
    about = (own + y * y + z * z, -x * y, -x * z, own + x * x + z * z, -y * z, own + x * x + y * y)
    return mass[..., None] * jnp.stack([jnp.ones_like(mass), x, y, z, *about], axis=-1)
