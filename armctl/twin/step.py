"""The twin: the PyBullet plant written in JAX, batched and differentiable.

One physics step is semi-implicit Euler on M(q) qdd + h(q, qd) + D qd = tau + external, the viscous friction D taken at
its end, exactly as Bullet's multi-body solver takes it with damping off and inertias read from the file; then dry
friction and joint stops act as bounded impulses. What acts besides the servo stands in armctl/plant/effects.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, UInt32

from armctl import dynamics, kinematics
from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.geometry import matvec
from armctl.plant import servo
from armctl.plant.effects import latency, payload
from armctl.plant.effects.acting import Acting, Effects
from armctl.plant.observe import Measurement
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import TOP_SPEED, ServoConfig
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
    memory: dict[str, Any]  # of the effects that have one, by name


class TwinInfo(NamedTuple):
    """What one control step did."""

    torque: Float[Array, "*batch n"]  # N m delivered by the motors in the last physics step
    saturation: Float[Array, "*batch"]  # share of joints and physics steps that were asked the effort limit or more
    load: Float[Array, "*batch"]  # mean square of the torque asked for (saturated) over the effort limit
    limit: Bool[Array, "*batch"]  # a joint left its range; with stops=False PyBullet is not followed from here on
    contact: Bool[Array, "*batch"] | None = None  # a link meets a scene, where PyBullet is not followed


def reset(
    arm: Arm,
    config: ServoConfig,
    q: Float[Array, "*batch n"],
    qd: Float[Array, "*batch n"] | None = None,
    params: PlantParams | None = None,
) -> TwinState:
    """State at rest on q, or moving with qd. q, qd: (..., n); params: the true plant, nominal when None.

    What a plant remembers (commands under way, torque of lagging motors) begins as if the nominal arm stood still.
    """
    q = jnp.asarray(q, jnp.result_type(q, jnp.float32))
    effects = {} if params is None else params.effects
    hold = dynamics.gravity(arm, q)
    neutral = servo.neutral_command(config.control, hold)
    queue = jnp.broadcast_to(neutral[..., None, :], (*neutral.shape[:-1], _depth(effects), neutral.shape[-1]))
    qd = jnp.zeros_like(q) if qd is None else jnp.asarray(qd, q.dtype)
    zero, count = jnp.zeros_like(q), jnp.zeros(q.shape[:-1], jnp.uint32)
    memory = Acting(effects).start(servo.saturated(hold, arm.effort))
    return TwinState(q, qd, q, queue, count, zero, zero, memory)


def _depth(effects: Effects) -> int:
    """Control steps of the longest latency."""
    return effects["latency"].longest.shape[-1] if "latency" in effects else 0


def step(
    arm: Arm,
    config: ServoConfig,
    params: PlantParams,
    state: TwinState,
    command: Float[Array, "*batch m"],
    *,
    stops: bool = True,
    substeps: int | None = None,
) -> tuple[TwinState, TwinInfo]:
    """Hold a command for one control step.

    arm: the nominal arm; params: the true plant, unbatched or with the state's batch axes; command: (..., n) N m, rad/s
    or rad of target change, (..., 6) m/s and rad/s for ee_twist; stops: False when joints may run through their limits
    (cheaper; info.limit says when one did); substeps: physics steps to take, all of the control step's when None.
    Raises UsageError for a state that was not reset for these params.
    """
    check_state(params, state)
    command, queue = delayed(params, state, command)
    target = state.target
    if config.control == "position":
        target = command = jnp.clip(target + command, arm.lower, arm.upper)
    M = g = jnp.zeros(())
    if config.control != "torque":
        M, g = dynamics.mass_matrix(arm, state.q), dynamics.gravity(arm, state.q)
    if config.control == "ee_twist":
        command = servo.joint_velocity_from_twist(kinematics.jacobian(arm, state.q), command, arm.velocity)
    count = config.substeps if substeps is None else substeps
    after = _physics(arm, config, params, state, command, M, g, stops, count)
    (q, q_rest), (qd, qd_rest), memory, *info = after
    return TwinState(q, qd, target, queue, state.step + 1, q_rest, qd_rest, memory), TwinInfo(*info)


def check_state(params: PlantParams, state: TwinState) -> None:
    """Raise UsageError where a state does not hold what the plant remembers."""
    held, depth = state.queue.shape[-2], _depth(params.effects)
    if held != depth or state.memory.keys() != Acting(params.effects).remembering:
        raise UsageError(
            f"The state holds {held} commands under way and the memory of {', '.join(state.memory) or 'no effect'}, "
            f"which is not what this plant needs ({depth} commands); reset it with twin.reset(..., params=params)."
        )


def _physics(
    arm: Arm,
    config: ServoConfig,
    params: PlantParams,
    state: TwinState,
    command: Array,
    M: Array,
    g: Array,
    stops: bool,
    count: int,
) -> tuple[Any, ...]:
    """The first physics steps of a control step -> q and qd, each with its rest, memory, and the fields of TwinInfo."""
    true, dt, effects = true_arm(arm, config, params, state), config.physics_dt, Acting(params.effects)

    def substep(carry: tuple[Any, ...], i: Array) -> tuple[Any, None]:
        (q, q_rest), (qd, qd_rest), memory, _, saturation, load, limit = carry
        time = (state.step.astype(q.dtype) * config.substeps + i) * dt
        tau = servo.commanded_torque(config, command, q, qd, M, g, arm.velocity, arm.damping, arm.friction)
        applied, new = effects.torque(memory, servo.saturated(tau, arm.effort), q, qd, time, dt)
        joint = applied
        push = effects.wrench(time, dt)
        if push is not None:
            joint = joint + _external_torque(arm, q, push)
        D, F = effects.damping(), effects.dry_friction(qd)
        if D is None:
            qdd = dynamics.forward_dynamics(true, q, qd, joint, params.gravity)
        else:
            qdd = dynamics.forward_dynamics(true, q, qd, joint - D * qd, params.gravity, dt * D)
        qd, qd_rest = added(qd, qd_rest, dt * qdd)
        if F is not None:
            qd = _stuck(true, q, qd, D, F, dt)
        qd = _capped(qd)
        if stops:
            qd = _capped(_stopped(arm, true, q, qd, dt))
        q, q_rest = added(q, q_rest, dt * qd)
        # statistics, not part of the motion: no gradient, so that training does not pay for them
        share = jnp.minimum(jnp.abs(jax.lax.stop_gradient(tau)) / arm.effort, 1.0)
        saturation += jnp.mean(share >= 1.0, axis=-1, dtype=q.dtype)
        load += jnp.mean(share**2, axis=-1, dtype=q.dtype)
        limit = limit | jnp.any((q < arm.lower) | (q > arm.upper), axis=-1)
        new = jax.tree.map(lambda x, old: x.astype(old.dtype), new, memory)
        return ((q, q_rest), (qd, qd_rest), new, applied.astype(q.dtype), saturation, load, limit), None

    zero = jnp.zeros(state.q.shape[:-1], state.q.dtype)
    moving = (state.q, state.q_rest), (state.qd, state.qd_rest)
    start = (*moving, state.memory, jnp.zeros_like(state.q), zero, zero, zero > 0)
    ticks = jnp.arange(count, dtype=state.q.dtype)
    q, qd, memory, applied, saturation, load, limit = jax.lax.scan(substep, start, ticks)[0]
    return q, qd, memory, applied, saturation / count, load / count, limit


def true_arm(arm: Arm, config: ServoConfig, params: PlantParams, state: TwinState) -> Arm:
    """The arm that really moves in the control step that begins at a state, with what it carries then."""
    mass, first_moment, inertia = params.mass, params.first_moment, params.inertia
    if "payload_switch" in params.effects:
        p = params.effects["payload_switch"]
        time = state.step.astype(state.q.dtype) * config.control_dt
        share = payload.over(jnp.asarray(p.time), time, config.control_dt).astype(state.q.dtype)
        last = (jnp.arange(arm.n) == arm.n - 1).astype(state.q.dtype)
        mass = mass + (share * p.change.mass)[..., None] * last
        first_moment = first_moment + (share[..., None] * p.change.first_moment)[..., None, :] * last[:, None]
        change = (share[..., None, None] * p.change.inertia)[..., None, :, :]
        inertia = inertia + change * last[:, None, None]
    return arm.with_params(mass, first_moment, inertia)


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


def _capped(qd: Array) -> Array:
    """Joint velocities as Bullet caps them, after the forces and again after the impulses of stops."""
    return jnp.clip(qd, -TOP_SPEED, TOP_SPEED)


def _stuck(true: Arm, q: Array, free: Array, D: Array | None, F: Array, dt: float) -> Array:
    """Joint velocities after dry friction of up to F (..., n) N m has acted.

    free: (..., n) rad/s without it; D: (..., n) N m s/rad, the viscous friction in it -> (..., n) rad/s.
    """
    A, bound = dynamics.mass_matrix(true, q), jnp.broadcast_to(dt * F, free.shape)
    if D is not None:
        A = A + dt * D[..., None] * jnp.eye(true.n, dtype=A.dtype)
    return constrained_velocity(A, free, jnp.zeros_like(free), -bound, bound)[0]


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


def _external_torque(arm: Arm, q: Array, wrench: Array) -> Array:
    """Joint torque of a wrench (..., 6) on the tip; the Jacobian is only computed while something pushes."""

    def push(q: Array, wrench: Array) -> Array:
        return matvec(kinematics.jacobian(arm, q).swapaxes(-1, -2), wrench)

    wrench = jnp.asarray(wrench, q.dtype)
    still = lambda q, wrench: jnp.zeros_like(q)  # noqa: E731
    return jax.lax.cond(jnp.any(wrench != 0), push, still, q, wrench)


def delayed(
    params: PlantParams, state: TwinState, command: Float[Array, "*batch m"]
) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch L m"]]:
    """Push a command on the state's queue and read the one that takes effect now."""
    if "latency" not in params.effects:
        return command, state.queue
    line = jnp.concatenate([command[..., None, :], state.queue], axis=-2)
    age = latency.age(params.effects["latency"], jnp.asarray(params.seed), state.step)
    index = jnp.broadcast_to(age[..., None, None], (*line.shape[:-2], 1, line.shape[-1]))
    return jnp.take_along_axis(line, index, axis=-2)[..., 0, :], line[..., :-1, :]


def measured(params: PlantParams, state: TwinState) -> Measurement:
    """What the controller is told about the state, by the scenario's sensors (the same draws as in the plant)."""
    return Acting(params.effects).measured(Measurement(state.q, state.qd), jnp.asarray(params.seed), state.step)
