"""The twin: the PyBullet plant written in JAX, batched and differentiable.

One physics step is semi-implicit Euler on M(q) qdd + h(q, qd) = tau - friction + external, exactly as Bullet's
multi-body solver takes it with damping off and inertias read from the file, joint stops included.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, UInt32

from armctl import dynamics, kinematics
from armctl.arm import Arm
from armctl.geometry import matvec
from armctl.plant import servo
from armctl.plant.observe import Measurement, measure
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig
from armctl.twin.constraints import constrained_velocity
from armctl.typing import Array

STOP_DEPTH = 0.04
"""Bullet's threshold of penetration, rad (m), beyond which a stop no longer pushes back."""
STOP_RATE = 0.2
"""Bullet's error reduction per physics step."""
STOP_IMPULSE = 100.0
"""Largest impulse of a stop in Bullet, N m s."""


class TwinState(NamedTuple):
    """State of a batch of twin arms."""

    q: Float[Array, "*batch n"]  # rad
    qd: Float[Array, "*batch n"]  # rad/s
    target: Float[Array, "*batch n"]  # rad, the position servo's
    queue: Float[Array, "*batch L m"]  # commands under way, newest first; L is the longest latency of the batch
    step: UInt32[Array, "*batch"]  # control steps since reset
    q_rest: Float[Array, "*batch n"]  # rad, what rounding has kept out of q so far
    qd_rest: Float[Array, "*batch n"]  # rad/s, likewise of qd


class TwinInfo(NamedTuple):
    """What one control step did."""

    torque: Float[Array, "*batch n"]  # N m delivered by the motors in the last physics step
    saturation: Float[Array, "*batch"]  # share of joints and physics steps that were asked the effort limit or more
    load: Float[Array, "*batch"]  # mean square of the torque asked for (saturated) over the effort limit
    limit: Bool[Array, "*batch"]  # a joint left its range; with stops=False PyBullet is not followed from here on


def reset(
    arm: Arm,
    config: ServoConfig,
    q: Float[Array, "*batch n"],
    qd: Float[Array, "*batch n"] | None = None,
    max_latency: int = 0,
) -> TwinState:
    """State at rest on q, or moving with qd. q, qd: (..., n); max_latency: control steps the queue must hold."""
    q = jnp.asarray(q, jnp.result_type(q, jnp.float32))
    neutral = servo.neutral_command(config.control, dynamics.gravity(arm, q))
    queue = jnp.broadcast_to(neutral[..., None, :], (*neutral.shape[:-1], max_latency, neutral.shape[-1]))
    qd = jnp.zeros_like(q) if qd is None else jnp.asarray(qd, q.dtype)
    return TwinState(q, qd, q, queue, jnp.zeros(q.shape[:-1], jnp.uint32), jnp.zeros_like(q), jnp.zeros_like(q))


def step(
    arm: Arm,
    config: ServoConfig,
    params: PlantParams,
    state: TwinState,
    command: Float[Array, "*batch m"],
    *,
    pulses: bool = True,
    stops: bool = True,
) -> tuple[TwinState, TwinInfo]:
    """Hold a command for one control step.

    arm: the nominal arm; params: the true plant, unbatched or with the state's batch axes; command: (..., n) N m, rad/s
    or rad of target change, (..., 6) m/s and rad/s for ee_twist; pulses: False when no scenario pushes the tip
    (cheaper); stops: False when joints may run through their limits (cheaper; info.limit says when one did).
    """
    command, queue = delayed(state.queue, command, params.latency)
    target = state.target
    if config.control == "position":
        target = command = jnp.clip(target + command, arm.lower, arm.upper)
    M = g = jnp.zeros(())
    if config.control != "torque":
        M, g = dynamics.mass_matrix(arm, state.q), dynamics.gravity(arm, state.q)
    if config.control == "ee_twist":
        command = servo.joint_velocity_from_twist(kinematics.jacobian(arm, state.q), command, arm.velocity)
    (q, q_rest), (qd, qd_rest), *info = _physics(arm, config, params, state, command, M, g, pulses, stops)
    return TwinState(q, qd, target, queue, state.step + 1, q_rest, qd_rest), TwinInfo(*info)


def _physics(
    arm: Arm,
    config: ServoConfig,
    params: PlantParams,
    state: TwinState,
    command: Array,
    M: Array,
    g: Array,
    pulses: bool,
    stops: bool,
) -> tuple[Any, ...]:
    """The physics steps of one control step -> q and qd, each with its rest, and the fields of TwinInfo."""
    true = arm.with_params(params.mass, params.first_moment, params.inertia)

    def substep(carry: tuple[Any, ...], i: Array) -> tuple[Any, None]:
        (q, q_rest), (qd, qd_rest), _, saturation, load, limit = carry
        tau = servo.commanded_torque(config, command, q, qd, M, g, arm.velocity)
        applied, joint = servo.delivered_torque(tau, qd, arm.effort, params.strength, params.viscous, params.coulomb)
        if pulses:
            count = state.step.astype(q.dtype) * config.substeps + i
            joint = joint + _external_torque(arm, params, q, count, config.physics_dt)
        qdd = dynamics.forward_dynamics(true, q, qd, joint, params.gravity)
        qd, qd_rest = added(qd, qd_rest, config.physics_dt * qdd)
        if stops:
            qd = _stopped(arm, true, q, qd, config.physics_dt)
        q, q_rest = added(q, q_rest, config.physics_dt * qd)
        # statistics, not part of the motion: no gradient, so that training does not pay for them
        share = jnp.minimum(jnp.abs(jax.lax.stop_gradient(tau)) / arm.effort, 1.0)
        saturation += jnp.mean(share >= 1.0, axis=-1, dtype=q.dtype)
        load += jnp.mean(share**2, axis=-1, dtype=q.dtype)
        limit = limit | jnp.any((q < arm.lower) | (q > arm.upper), axis=-1)
        return ((q, q_rest), (qd, qd_rest), applied.astype(q.dtype), saturation, load, limit), None

    zero = jnp.zeros(state.q.shape[:-1], state.q.dtype)
    start = ((state.q, state.q_rest), (state.qd, state.qd_rest), jnp.zeros_like(state.q), zero, zero, zero > 0)
    ticks = jnp.arange(config.substeps, dtype=state.q.dtype)
    q, qd, applied, saturation, load, limit = jax.lax.scan(substep, start, ticks)[0]
    return q, qd, applied, saturation / config.substeps, load / config.substeps, limit


def added(
    total: Float[Array, "*batch n"], rest: Float[Array, "*batch n"], increment: Float[Array, "*#batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """total + increment, and what rounding keeps out of it, to be added next time (Kahan 1965).

    total, rest, increment: (..., n) in one unit -> the sum (..., n) and the new rest (..., n), which has no gradient.
    In single precision a plain sum would lose a ten-thousandth of every physics step.
    """
    part = increment + rest
    new = total + part
    return new, jax.lax.stop_gradient(part - (new - total))


def _stopped(arm: Arm, true: Arm, q: Array, free: Array, dt: float) -> Array:
    """Joint velocities after the stops have acted on joints at or beyond their limits, as Bullet resolves them.

    A stop only pushes back: towards a fifth of the way to the limit per physics step, or to rest where a joint is more
    than STOP_DEPTH beyond it. free: (..., n) rad/s without the stops -> (..., n) rad/s.
    """

    @jax.checkpoint  # so that a step without stops keeps nothing for the backward pass of one with stops
    def push(true: Arm, q: Array, free: Array) -> Array:
        depth = jnp.clip(q, arm.lower, arm.upper) - q
        wanted = jnp.where(jnp.abs(depth) < STOP_DEPTH, STOP_RATE * depth / dt, 0.0)
        lower, upper = -STOP_IMPULSE * (q >= arm.upper), STOP_IMPULSE * (q <= arm.lower)
        return constrained_velocity(dynamics.mass_matrix(true, q), free, wanted, lower, upper)[0]

    beyond = (q <= arm.lower) | (q >= arm.upper)
    return jax.lax.cond(jnp.any(beyond), push, lambda true, q, free: free, true, q, free)


def _external_torque(arm: Arm, params: PlantParams, q: Array, count: Array, physics_dt: float) -> Array:
    """Joint torque of the scenario's wrench pulse; the Jacobian is only computed while a pulse is on."""
    active = servo.pulse_active(jnp.asarray(params.pulse), count, physics_dt)
    active = active & jnp.any(params.wrench != 0, axis=-1)

    def push(q: Array) -> Array:
        wrench = jnp.where(active[..., None], params.wrench, 0.0).astype(q.dtype)
        return matvec(kinematics.jacobian(arm, q).swapaxes(-1, -2), wrench)

    return jax.lax.cond(jnp.any(active), push, jnp.zeros_like, q)


def delayed(
    queue: Float[Array, "*batch L m"], command: Float[Array, "*batch m"], latency: Array
) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch L m"]]:
    """Push a command on the queue and read the one that takes effect now."""
    if queue.shape[-2] == 0:
        return command, queue
    line = jnp.concatenate([command[..., None, :], queue], axis=-2)
    index = jnp.broadcast_to(jnp.asarray(latency)[..., None, None], (*line.shape[:-2], 1, line.shape[-1]))
    return jnp.take_along_axis(line, index, axis=-2)[..., 0, :], line[..., :-1, :]


def measured(params: PlantParams, state: TwinState) -> Measurement:
    """What the controller is told about the state, with the scenario's noise (the same draws as in the plant)."""
    return measure(state.q, state.qd, jnp.asarray(params.noise, state.q.dtype), jnp.asarray(params.seed), state.step)
