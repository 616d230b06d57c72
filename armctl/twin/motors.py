"""The twin of PyBullet's own joint motors (`motor="bullet"`): velocity constraints with bounded impulses.

While no motor reaches its effort limit, every physics step ends with the joint velocities that were asked for, whatever
the arm carries; otherwise they follow from the bounded impulses (constraints.py). As in PyBullet, such motors know
nothing of what acts on torques in the servo (joint friction, ripple, lag), and joint limits are
kept by clipping the velocities, not by stops.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl import dynamics, kinematics
from armctl.arm import Arm
from armctl.geometry import matvec
from armctl.plant import servo
from armctl.plant.effects.acting import Acting
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import TOP_SPEED, ServoConfig
from armctl.twin.constraints import constrained_velocity
from armctl.twin.step import TwinInfo, TwinState, added, check_state, delayed, true_arm
from armctl.typing import Array


def step(
    arm: Arm,
    config: ServoConfig,
    params: PlantParams,
    state: TwinState,
    command: Float[Array, "*batch m"],
) -> tuple[TwinState, TwinInfo]:
    """Hold a command for one control step, as twin.step does, but driven by PyBullet's motors.

    arm: the nominal arm; params: the true plant, unbatched or with the state's batch axes; command: (..., n) rad/s or
    rad of target change, (..., 6) m/s and rad/s for ee_twist.
    info.torque and info.saturation are those of the last physics step, which is what PyBullet reports.
    Raises UsageError for torque control, which these motors cannot do.
    """
    servo.check_motor("bullet", config.control)
    check_state(params, state)
    command, queue = delayed(params, state, command)
    target = state.target
    if config.control == "position":
        target = jnp.clip(target + command, arm.lower, arm.upper)
        reach = arm.velocity / config.position_gain
        goal = state.q + jnp.clip(target - state.q, -reach, reach)
        wanted = lambda q: config.position_gain * (goal - q)  # noqa: E731
    else:
        if config.control == "ee_twist":
            command = servo.joint_velocity_from_twist(kinematics.jacobian(arm, state.q), command, arm.velocity)
        lower, upper = ((bound - state.q) / config.control_dt for bound in (arm.lower, arm.upper))
        velocity = jnp.clip(command, lower, upper)
        wanted = lambda q: velocity  # noqa: E731
    (q, q_rest), qd, impulse, limit = _physics(arm, config, params, state, wanted)
    torque = impulse / config.physics_dt
    share = jax.lax.stop_gradient(torque) / _effort(arm, params)
    saturation = jnp.mean(jnp.abs(share) >= servo.AT_LIMIT, axis=-1, dtype=q.dtype)
    info = TwinInfo(torque, saturation, jnp.mean(share**2, axis=-1), limit)
    return TwinState(q, qd, target, queue, state.step + 1, q_rest, jnp.zeros_like(qd), state.memory), info


def _effort(arm: Arm, params: PlantParams) -> Array:
    """Largest torque of the motors, (..., n) N m: of what acts on torques they know the torque constant alone."""
    return arm.effort * Acting(params.effects).torque_constant


def _physics(
    arm: Arm, config: ServoConfig, params: PlantParams, state: TwinState, wanted: Callable[[Array], Array]
) -> tuple[Any, ...]:
    """The physics steps of one control step -> q with its rest, qd, last impulses (..., n), limit (see TwinInfo)."""
    true, dt = true_arm(arm, config, params, state), config.physics_dt
    bound = dt * jnp.asarray(_effort(arm, params), state.q.dtype)
    first = state.step.astype(state.q.dtype) * config.control_dt
    wrench = Acting(params.effects).wrench(first, dt)
    push = None if wrench is None else partial(_push, arm, true, state, jnp.asarray(wrench, state.q.dtype))

    def substep(carry: tuple[Any, ...], _: None) -> tuple[Any, None]:
        (q, rest), qd, _, limit = carry
        external = jnp.zeros_like(q) if push is None else push(q)
        free = qd + dt * dynamics.forward_dynamics(true, q, qd, external, params.gravity)
        free = jnp.clip(free, -TOP_SPEED, TOP_SPEED)
        qd, impulse = _driven(dynamics.mass_matrix(true, q), free, wanted(q), bound)
        qd = jnp.clip(qd, -TOP_SPEED, TOP_SPEED)
        q, rest = added(q, rest, dt * qd)
        limit = limit | jnp.any((q < arm.lower) | (q > arm.upper), axis=-1)
        return ((q, rest), qd, impulse, limit), None

    start = ((state.q, state.q_rest), state.qd, jnp.zeros_like(state.q), jnp.zeros(state.q.shape[:-1], bool))
    return jax.lax.scan(substep, start, length=config.substeps)[0]


def _driven(M: Array, free: Array, wanted: Array, bound: Array) -> tuple[Array, Array]:
    """Joint velocities after the motors have acted, and their impulses (..., n); the problem is solved where one is."""
    full = matvec(M, wanted - free)
    bound = jnp.broadcast_to(bound, full.shape)

    @jax.checkpoint  # so that a step without saturation keeps nothing for the backward pass of one with it
    def solve(M: Array, free: Array, wanted: Array) -> tuple[Array, Array]:
        return constrained_velocity(M, free, wanted, -bound, bound)

    reached = lambda M, free, wanted: (wanted, full)  # noqa: E731
    return jax.lax.cond(jnp.any(jnp.abs(full) > bound), solve, reached, M, free, wanted)


def _push(arm: Arm, true: Arm, state: TwinState, wrench: Array, q: Array) -> Array:
    """Joint torque of a push (..., 6) N, N m on the tip, which PyBullet holds for the whole control step.

    It is applied once: a force at the last link's centre of mass with the moment it had about it at the beginning.
    """
    lever = _tip_from_com(arm, true, q) - _tip_from_com(arm, true, state.q)
    moment = wrench[..., 3:] - jnp.cross(lever, wrench[..., :3])
    held = jnp.concatenate([jnp.broadcast_to(wrench[..., :3], moment.shape), moment], axis=-1)
    return matvec(kinematics.jacobian(arm, q).swapaxes(-1, -2), held)


def _tip_from_com(arm: Arm, true: Arm, q: Array) -> Array:
    """Vector from the last link's centre of mass to the tip, world frame (..., 3) m."""
    last = kinematics.link_poses(arm, q)[..., -1, :, :]
    com = true.first_moment[..., -1, :] / true.mass[..., -1, None]
    return matvec(last[..., :3, :3], arm.p_last_tip - com)
