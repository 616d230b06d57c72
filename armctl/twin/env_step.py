"""One traced control step of many twin arms: episodes that start or go on, what they observe, and what is reported."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl import kinematics
from armctl.geometry import matrix_to_pose, orientation_angle, quat_to_matrix
from armctl.motion.windows import windows
from armctl.plant import reward as rewards
from armctl.plant.effects.acting import Acting
from armctl.plant.observe import Measurement, observation_vector
from armctl.plant.servo import TOP_SPEED
from armctl.twin.contact import touching
from armctl.twin.episodes import Episodes, Setting, Task, chosen, hold, plants_of, start
from armctl.twin.step import measured
from armctl.typing import Array

MOTION = ("qd", "q")
"""What is watched for entries that are not finite."""


class Goals(NamedTuple):
    """What episodes are drawn from, and the joint state in which those of each reference begin."""

    task: Task
    q: Array  # (N, n) rad
    qd: Array  # (N, n) rad/s


def with_spare(goals: Goals, mask: np.ndarray, pose: np.ndarray) -> Goals:
    """The same with a pose (7,) m + xyzw as goal in the last rows, one per arm, where the mask (arms,) holds."""
    bank, rows = goals.task.bank, np.concatenate([np.zeros(len(goals.q) - len(mask), bool), mask])
    new = jnp.asarray(pose, jnp.float32)[None, None]
    old = bank.samples.p, bank.samples.R, bank.pose
    p, R, whole = chosen(rows, (new[..., :3], quat_to_matrix(new[..., 3:]), new), old)
    bank = bank._replace(samples=bank.samples._replace(p=p, R=R), pose=whole)
    return goals._replace(task=goals.task._replace(bank=bank))


@dataclass(frozen=True, eq=False)
class Setup:
    """The fixed part of a step; not traced."""

    setting: Setting
    scale: np.ndarray  # (m,) physical value of a full action
    reward: str
    lead: int  # control steps in which nothing counts
    targets: int  # that are observed
    position_only: bool
    tolerance: rewards.Tolerance


def fresh(setup: Setup, goals: Goals, reference: Array, plant: Array) -> Episodes:
    """Episodes (B,) at the start of references (B,) on plants (B,)."""
    q, qd, zero = goals.q[reference], goals.qd[reference], jnp.zeros_like(reference)
    return start(setup.setting, goals.task, q, qd, reference, plant, zero, ())


def advance(
    setup: Setup,
    goals: Goals,
    episodes: Episodes,
    action: Array,
    restart: Array,
    reference: Array,
    plant: Array,
    *,
    still: bool = False,
) -> tuple[Episodes, dict[str, Any]]:
    """Hold an action for one control step, or, where `restart`, start the episode (reference, plant) instead.

    action: (B, m) in [-1, 1]; restart: (B,) bool; reference, plant: (B,); still: whether the others do not move -> the
    episodes, and a dictionary of
    `observation` (dict), `reward` (B,), `truncated` (B,), `info` (dict of (B,), reward terms nested) and `broken` (B,),
    the first entry of MOTION, laid end to end, that is not finite, -1 where all are.
    """
    moved, motion = (episodes, _rest(action)) if still else _move(setup, goals, episodes, action)
    episodes = chosen(restart, fresh(setup, goals, reference, plant), moved)
    motion = {name: jnp.where(restart, jnp.zeros_like(x), x) for name, x in motion.items()}
    observation, errors = _observe(setup, goals.task, episodes)
    info = _info(setup, episodes, errors, motion)
    value = jnp.where(restart, 0.0, sum(info["reward_terms"].values()))
    truncated = (episodes.step >= goals.task.bank.length[episodes.reference] - 1) | motion["lost"]
    result = {"observation": observation, "reward": value, "truncated": truncated, "info": info}
    return episodes, {**result, "broken": jnp.where(motion["lost"], motion["broken"], -1)}


def _rest(action: Array) -> dict[str, Array]:
    """What _move says of arms that do not move."""
    zero, none = jnp.zeros(action.shape[0], action.dtype), jnp.zeros(action.shape[0], bool)
    numbers = dict.fromkeys(("beyond", "saturation", "load", "action_rate"), zero)
    return {"lost": none, "broken": none.astype(int), "contact": none, **numbers}


def _move(setup: Setup, goals: Goals, episodes: Episodes, action: Array) -> tuple[Episodes, dict[str, Array]]:
    """One control step with plastic stops at the joint limits; also what the reward needs to know of the motion."""
    arm, before = setup.setting.arm, episodes.state
    plants = goals.task.plants
    # where all plants are alike, one without a batch axis saves reading it for every arm
    plant = jax.tree.map(lambda x: x[0], plants) if len(plants.mass) == 1 else plants_of(goals.task, episodes)
    state, info = hold(setup.setting, plant, before, action * setup.scale)
    bad = ~jnp.isfinite(jnp.concatenate([state.qd, state.q], axis=-1))
    lost = jnp.any(bad, axis=-1)
    q, qd = chosen(lost, (before.q, 0 * before.qd), (state.q, state.qd))
    outward = jnp.where(q < arm.lower, qd < 0, (q > arm.upper) & (qd > 0))
    beyond = jnp.max(jnp.maximum(arm.lower - q, q - arm.upper), axis=-1)
    q, qd = jnp.clip(q, arm.lower, arm.upper), jnp.where(outward, 0.0, qd)
    motion = {
        "lost": lost,
        "contact": jnp.zeros_like(lost) if info.contact is None else info.contact,
        "broken": jnp.argmax(bad, axis=-1),
        "beyond": jnp.maximum(beyond, 0.0),
        "saturation": info.saturation,
        "load": info.load,
        "action_rate": jnp.mean((action - episodes.command) ** 2, axis=-1),
    }
    q_rest, qd_rest = chosen(lost, (0 * q, 0 * q), (state.q_rest, state.qd_rest))
    state = state._replace(q=q, qd=qd, q_rest=q_rest, qd_rest=qd_rest)
    return episodes._replace(state=state, command=action, step=episodes.step + 1), motion


def _observe(setup: Setup, task: Task, episodes: Episodes) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Observation dictionary of the environments, and true errors to the present target: (B,) m, (B,) rad."""
    setting, shown = setup.setting, slice(setup.targets)
    w = windows(task.bank, episodes.reference, episodes.step, setting.preview)
    now = jnp.minimum(episodes.step, task.bank.pose.shape[1] - 1)
    desired = task.bank.pose[episodes.reference, now]
    tip = seen = kinematics.forward_kinematics(setting.arm, episodes.state.q)
    m = Measurement(episodes.state.q, episodes.state.qd)
    if Acting(task.plants.effects).on_sensors:
        m = measured(plants_of(task, episodes), episodes.state)
        seen = kinematics.forward_kinematics(setting.arm, m.q)
    achieved = matrix_to_pose(tip)
    away = jnp.sum(achieved[:, 3:] * desired[:, 3:], axis=-1, keepdims=True) < 0
    goal = slice(3 if setup.position_only else 7)
    achieved = achieved.at[:, 3:].multiply(jnp.where(away, -1.0, 1.0))
    observation = {
        "observation": observation_vector(m, seen[..., :3, 3], seen[..., :3, :3], w.p[:, shown], w.R[:, shown]),
        "achieved_goal": achieved[:, goal],
        "desired_goal": desired[:, goal],
    }
    position = jnp.linalg.norm(w.p[:, 0] - tip[..., :3, 3], axis=-1)
    angle = jnp.zeros_like(position) if setup.position_only else orientation_angle(w.R[:, 0], tip[..., :3, :3])
    return observation, (position, angle)


def _info(setup: Setup, episodes: Episodes, errors: tuple[Array, Array], motion: dict[str, Array]) -> dict[str, Any]:
    """What the environments report of a step."""
    position, angle = errors
    touches, contact = touching(setup.setting.arm, episodes.state.q), motion["contact"]
    met = {} if setup.setting.scene is None else {"scene_contact": contact}
    load, rate, beyond = motion["load"], motion["action_rate"], motion["beyond"]
    terms = rewards.step_terms(setup.reward, position, angle, load, rate, beyond, touches | contact, setup.tolerance)
    settling = episodes.step < setup.lead
    return {
        "is_success": rewards.is_success(position, angle, setup.tolerance),
        "position_error": position,
        "orientation_error": angle,
        "joint_limit_violation": beyond,
        "torque_saturation": motion["saturation"],
        "self_collision": touches,
        **met,
        "runaway": jnp.any(jnp.abs(episodes.state.qd) >= TOP_SPEED, axis=-1),
        "settling": settling,
        "reward_terms": {name: jnp.where(settling, 0.0, term) for name, term in terms.items()},
    }
