"""Episodes of many twin arms as pure functions: start, step, observe, reward. `vector.py` is the Gymnasium side."""

from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl import geometry, kinematics
from armctl.arm import Arm
from armctl.motion import collision
from armctl.plant import bullet_twin, twin
from armctl.plant.observe import Measurement, observation_vector
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig

Array = Any
MOTION = ("qd", "q")
"""What is watched for entries that are not finite."""
TOP_SPEED = 100.0
"""Speed at which Bullet caps every joint, rad/s."""


class Tasks(NamedTuple):
    """What episodes are drawn from: N goal trajectories, padded to T samples, and M true plants."""

    pose: Array  # (N, T, 7) m + xyzw
    length: Array  # (N,) samples before padding
    q: Array  # (N, n) rad, start
    qd: Array  # (N, n) rad/s
    plants: PlantParams  # leading axis M


@dataclass(frozen=True, eq=False)
class Setup:
    """The fixed part of the episodes; not traced."""

    arm: Arm
    config: ServoConfig
    motor: str  # "servo" or "bullet"
    scale: np.ndarray  # (m,) physical value of a full action
    preview: int
    reward: str
    rewards: ModuleType  # armctl.envs.reward, where the terms are stated
    max_latency: int
    pulses: bool
    noisy: bool


class Fleet(NamedTuple):
    """B arms under way."""

    arms: twin.TwinState
    task: Array  # (B,) index of the goal trajectory
    plant: Array  # (B,) index of the true plant
    action: Array  # (B, m) previous action


def start(setup: Setup, tasks: Tasks, task, plant) -> Fleet:
    """Fresh episodes of the goal trajectories `task` (B,) and the true plants `plant` (B,)."""
    q, qd = tasks.q[task], tasks.qd[task]
    arms = twin.reset(setup.arm, setup.config, q, qd, setup.max_latency)
    return Fleet(arms, task, plant, jnp.zeros((*task.shape, len(setup.scale)), q.dtype))


def step(setup: Setup, tasks: Tasks, fleet: Fleet, action, restart, task, plant) -> tuple[Fleet, dict[str, Any]]:
    """Hold an action for one control step, or, where `restart`, start the episode (task, plant) instead.

    action: (B, m) in [-1, 1]; restart: (B,) bool; task, plant: (B,) -> the fleet, and a dictionary of `observation`
    (dict), `reward` (B,), `truncated` (B,), `info` (dict of (B,), reward terms nested) and `broken` (B,), the first
    entry of MOTION, laid end to end, that is not finite, -1 where all are.
    """
    moved, motion = _move(setup, tasks, fleet, action)
    fleet = jax.tree.map(lambda a, b: _choose(restart, a, b), start(setup, tasks, task, plant), moved)
    motion = {name: jnp.where(restart, jnp.zeros_like(x), x) for name, x in motion.items()}
    observation, errors = observe(setup, tasks, fleet)
    info = _info(setup, fleet, errors, motion)
    reward = jnp.where(restart, 0.0, sum(info["reward_terms"].values()))
    truncated = (fleet.arms.step.astype(jnp.int32) >= tasks.length[fleet.task] - 1) | motion["lost"]
    result = {"observation": observation, "reward": reward, "truncated": truncated, "info": info}
    return fleet, {**result, "broken": jnp.where(motion["lost"], motion["broken"], -1)}


def _choose(mask, a, b):
    return jnp.where(mask.reshape(-1, *([1] * (a.ndim - 1))), a, b)


def _move(setup, tasks, fleet, action):
    """One control step with plastic stops at the joint limits; also what the reward needs to know of the motion.

    The stops that twin.step solves for would be paid for in every step in which any arm of the fleet is at a limit.
    """
    arm, before = setup.arm, fleet.arms
    params = jax.tree.map(lambda x: x[fleet.plant], tasks.plants)
    drive = bullet_twin.step if setup.motor == "bullet" else partial(twin.step, stops=False)
    arms, info = drive(arm, setup.config, params, before, action * setup.scale, pulses=setup.pulses)
    bad = ~jnp.isfinite(jnp.concatenate([arms.qd, arms.q], axis=-1))
    lost = jnp.any(bad, axis=-1)
    q, qd = _choose(lost, before.q, arms.q), _choose(lost, 0 * before.qd, arms.qd)
    outward = jnp.where(q < arm.lower, qd < 0, (q > arm.upper) & (qd > 0))
    beyond = jnp.max(jnp.maximum(arm.lower - q, q - arm.upper), axis=-1)
    q, qd = jnp.clip(q, arm.lower, arm.upper), jnp.where(outward, 0.0, jnp.clip(qd, -TOP_SPEED, TOP_SPEED))
    motion = {
        "lost": lost,
        "broken": jnp.argmax(bad, axis=-1),
        "beyond": jnp.maximum(beyond, 0.0),
        "saturation": info.saturation,
        "load": info.load,
        "action_rate": jnp.mean((action - fleet.action) ** 2, axis=-1),
    }
    rests = {name: _choose(lost, 0 * q, getattr(arms, name)) for name in ("q_rest", "qd_rest")}
    return fleet._replace(arms=arms._replace(q=q, qd=qd, **rests), action=action), motion


def observe(setup: Setup, tasks: Tasks, fleet: Fleet):
    """Observation dictionary of the environments, and true errors to the present target: (B,) m, (B,) rad."""
    T = tasks.pose.shape[1]
    rows = jnp.minimum(fleet.arms.step.astype(jnp.int32)[:, None] + jnp.arange(setup.preview + 1), T - 1)
    target = tasks.pose[fleet.task[:, None], rows]
    p_target, R_target = target[..., :3], geometry.quat_to_matrix(target[..., 3:])
    tip = seen = kinematics.forward_kinematics(setup.arm, fleet.arms.q)
    m = Measurement(fleet.arms.q, fleet.arms.qd)
    if setup.noisy:
        m = twin.measured(jax.tree.map(lambda x: x[fleet.plant], tasks.plants), fleet.arms)
        seen = kinematics.forward_kinematics(setup.arm, m.q)
    achieved = geometry.matrix_to_pose(tip)
    away = jnp.sum(achieved[:, 3:] * target[:, 0, 3:], axis=-1, keepdims=True) < 0
    observation = {
        "observation": observation_vector(m, seen[..., :3, 3], seen[..., :3, :3], p_target, R_target),
        "achieved_goal": achieved.at[:, 3:].multiply(jnp.where(away, -1.0, 1.0)),
        "desired_goal": target[:, 0],
    }
    position = jnp.linalg.norm(p_target[:, 0] - tip[..., :3, 3], axis=-1)
    return observation, (position, geometry.orientation_angle(R_target[:, 0], tip[..., :3, :3]))


def _info(setup, fleet, errors, motion):
    """What the environments report of a step."""
    position, angle = errors
    rewards = setup.rewards
    gaps = collision.pair_distances(setup.arm, fleet.arms.q)
    touching = jnp.any(gaps <= 0, axis=-1)
    load, rate, beyond = motion["load"], motion["action_rate"], motion["beyond"]
    terms = rewards.step_terms(setup.reward, position, angle, load, rate, beyond, touching)
    return {
        "is_success": rewards.is_success(position, angle),
        "position_error": position,
        "orientation_error": angle,
        "joint_limit_violation": motion["beyond"],
        "torque_saturation": motion["saturation"],
        "self_collision": touching,
        "reward_terms": terms,
    }
