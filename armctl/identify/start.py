"""Where a fit begins: the equations of motion themselves, in which the parameters stand almost linearly.

Between two samples the acceleration is the difference of the velocities, and what the command delivers less friction
must be what the motion needs. Noise makes this estimate biased, but it is near, wherever the truth is.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from armctl import dynamics, kinematics
from armctl.arm import Arm
from armctl.identify import parameters
from armctl.identify.parameters import Parameters
from armctl.identify.shooting import Windows
from armctl.plant import servo
from armctl.plant.servo import ServoConfig
from armctl.typing import Array

CENTRE = 0.5
"""Farthest payload centre that is considered here, m."""
FACTORS = (0.3, 3.0)
"""Least and largest factor on a link's inertia, likewise."""
LEAST = 0.1
"""Least value of a positive parameter, in units of its scale: from there the fit can still go either way."""


def equation_values(arm: Arm, config: ServoConfig, items: Parameters, windows: Windows) -> np.ndarray:
    """Physical values (p,) that fit the equations of motion best, within bounds. Call it with float64 enabled."""
    n = arm.n
    data = []
    for q, qd, u in zip(windows.x[..., :n], windows.x[..., n:], windows.command, strict=True):
        middle = (q[1:] + q[:-1]) / 2, (qd[1:] + qd[:-1]) / 2
        data.append((*middle, np.diff(qd, axis=0) / config.control_dt, u[:-1]))
    motion = tuple(np.concatenate(column) for column in zip(*data, strict=True))
    residual, slope = (partial(f, arm, config, items) for f in (_residual, _jacobian))
    start = np.array([item.start for item in items])
    found = least_squares(
        lambda values: np.asarray(residual(values, *motion)),
        start,
        lambda values: np.asarray(slope(values, *motion)),
        bounds=_bounds(items),
        x_scale=np.array([item.prior_std for item in items]),
        max_nfev=50,
    )
    return found.x


def _bounds(items: Parameters) -> tuple[np.ndarray, np.ndarray]:
    lower = [-CENTRE if not item.scale else LEAST * item.scale for item in items]
    upper = [CENTRE if not item.scale else np.inf for item in items]
    for i in (i for i, item in enumerate(items) if item.group == "inertia"):
        lower[i], upper[i] = FACTORS
    return np.array(lower), np.array(upper)


@partial(jax.jit, static_argnums=(1, 2))
def _residual(
    arm: Arm, config: ServoConfig, items: Parameters, values: Array, q: Array, qd: Array, qdd: Array, command: Array
) -> Array:
    """Torque that a motion needs and is not given, over the effort limit: (K * n,)."""
    params = parameters.plant(arm, items, values)
    M = g = None
    if config.control != "torque":
        M, g = dynamics.mass_matrix(arm, q), dynamics.gravity(arm, q)
    if config.control == "ee_twist":
        command = servo.joint_velocity_from_twist(kinematics.jacobian(arm, q), command, arm.velocity)
    tau = servo.commanded_torque(config, command, q, qd, M, g, arm.velocity, arm.damping, arm.friction)
    # of dry friction, the part that is smooth: a sample at rest says nothing of it
    direction = jnp.tanh(qd / servo.FRICTION_VELOCITY)
    viscous, dry = params.effects["viscous"], params.effects["dry_friction"].moving
    friction = viscous * qd + dry * direction
    joint = servo.saturated(tau, arm.effort) - friction
    need = dynamics.inverse_dynamics(arm.with_params(params.mass, params.first_moment, params.inertia), q, qd, qdd)
    return jnp.ravel((need - joint) / arm.effort)


_jacobian = jax.jit(jax.jacfwd(_residual, argnums=3), static_argnums=(1, 2))
