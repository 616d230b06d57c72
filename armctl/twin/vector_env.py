"""Thousands of twin arms behind one `gymnasium.vector.VectorEnv`, with the environments' spaces, rewards and info."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from armctl import kinematics
from armctl.arm import Arm
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.geometry import matrix_to_pose, orientation_angle, quat_to_matrix
from armctl.motion import collision
from armctl.motion.files import as_reference
from armctl.motion.goals import WORKSPACE, Region, check_goal, check_region, draw_goals
from armctl.motion.reference import Reference
from armctl.motion.sampling import random_reference
from armctl.motion.windows import ReferenceBank, stack_references, still_goals, windows
from armctl.plant import reward as rewards
from armctl.plant.action import action_scale
from armctl.plant.effects.acting import Acting
from armctl.plant.observe import Measurement, observation_vector
from armctl.plant.reward import check_tolerance
from armctl.plant.scenario import PlantParams, Scenario, later, plant_params, stack_params
from armctl.plant.servo import TOP_SPEED, ServoConfig, check_motor
from armctl.plant.task import (
    ScenarioLike,
    action_space,
    check_no_preview,
    check_observe,
    check_preview,
    check_scenario,
    check_settle,
    draw_scenario,
    observation_space,
)
from armctl.twin import nonfinite
from armctl.twin.episodes import Episodes, Setting, Task, chosen, hold, plants_of, single, start
from armctl.twin.step import measured
from armctl.typing import Array
from armctl.urdf import load_chain

MOTION = ("qd", "q")
"""What is watched for entries that are not finite."""


class TwinVectorEnv(gym.vector.VectorEnv):
    """Arms of one robot and one task, stepped together by the JAX twin; next-step autoreset.

    Spaces, observations, reward terms and info are those of ReachEnv and TrackEnv (armctl.envs), batched; the
    computation runs in float32. What differs from PyBullet: joint limits are plastic stops at the control rate,
    `self_collision` is that of spheres covering the links (a little early), and an arm whose state is no longer finite
    is truncated; `info["breakdown"]` then says what broke. Goals and true plants are drawn at construction,
    `bank_size` of each; episodes draw from these.
    """

    def __init__(
        self,
        robot: str | Path = "panda",
        *,
        task: str = "track",
        num_envs: int = 1,
        control: str = "velocity",
        reward: str = "dense",
        scenario: ScenarioLike = "nominal",
        reference: Reference | str | Path | None = None,
        preview: int | None = None,
        duration: float = 4.0,
        settle: float = 0.0,
        steps: int = 200,
        physics_dt: float = 0.002,
        control_dt: float = 0.01,
        motor: str = "servo",
        render_mode: str | None = None,
        tip: str | None = None,
        observe: str = "state",
        region: Region = WORKSPACE,
        tolerance: float | Sequence[float] | None = None,
        position_only: bool = False,
        goal: ArrayLike | None = None,
        bank_size: int = 256,
        seed: int = 0,
    ) -> None:
        """num_envs: arms; steps: length of reaching episodes; bank_size: goals and plants drawn from `seed`.

        The rest as in the environments. preview: 4 for tracking when None.
        Raises UsageError for what the twin cannot do: rendering, motor="bullet" in torque control.
        """
        if render_mode is not None or check_observe(observe) != "state":
            raise UsageError('The twin does not render; use backend="bullet" to see the arm.')
        check_motor(motor, control)
        if bank_size < 1:
            raise UsageError(f"bank_size is {bank_size}; give at least 1.")
        self.chain, self.dt, self.num_envs = load_chain(robot, tip), control_dt, num_envs
        self.config = ServoConfig(control=control, physics_dt=physics_dt, control_dt=control_dt)
        self.reward = rewards.check_reward(reward)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self.action_scale = action_scale(self.chain, self.config)
        self.single_action_space = action_space(self.chain, self.config)
        self._reaching, self._position_only = task == "reach", position_only
        targets = _observed_targets(preview, self._reaching)
        self.single_observation_space = observation_space(self.chain, targets, position_only)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        rng = np.random.default_rng(seed)
        if self._reaching and reference is not None:
            raise UsageError("Reaching takes no reference; make a Track environment to follow one.")
        if self._reaching and settle:
            raise UsageError("Reaching starts at rest and takes no settle; make a Track environment.")
        box = not isinstance(region, str) or region != WORKSPACE
        if not self._reaching and (box or tolerance is not None or position_only or goal is not None):
            raise UsageError("Tracking takes no region, tolerance, position_only or goal; make a Reach environment.")
        self._lead, self.tolerance = check_settle(settle, control_dt), check_tolerance(tolerance, position_only)
        if self._reaching:
            given = None if goal is None else check_goal(self.chain, goal, position_only)
            poses = draw_goals(self.chain, rng, bank_size, check_region(region)) if given is None else given[None]
            bank, *starts = _still(self.chain, poses, steps)
        else:
            bank, *starts = _moving(self.chain, rng, bank_size, self.dt, duration, reference, self._lead)
        plants = stack_params(_plants(self.chain, scenario, rng, bank_size, self._lead * control_dt))
        self._goals = jax.tree.map(jnp.asarray, single(Goals(Task(bank, plants), *starts)))
        self._compile(targets, motor)
        self._over = np.ones(num_envs, bool)
        self._episodes: Episodes | None = None

    def _compile(self, targets: int, motor: str) -> None:
        """The step function with what does not change built in, and episodes of the right shapes."""
        arm = Arm.from_chain(self.chain).astype(np.float32)
        setting = Setting(arm, self.config, max(targets - 1, 0), motor)
        scale, counts = self.action_scale.astype(np.float32), (targets, self._position_only, self.tolerance)
        setup = Setup(setting, scale, self.reward, self._lead, *counts)
        self._step = jax.jit(partial(advance, setup))
        index = jnp.zeros(self.num_envs, jnp.int32)
        shape = jax.eval_shape(partial(_fresh, setup), self._goals, index, index)
        self._blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shape)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode on every arm; seed: of the draws of goals and plants. options: "goal", of this episode."""
        super().reset(seed=seed)
        options = dict(options or {})
        goal = options.pop("goal", None) if self._reaching else None
        if options:
            raise UsageError(
                f"The twin takes no reset option {next(iter(options))!r}; give scenario and reference to make_vec."
            )
        if goal is not None:
            pose = check_goal(self.chain, goal, self._position_only)
            self._goals = _with_spare(self._goals, jnp.asarray(pose, jnp.float32))
        self._episodes, self._over = self._blank, np.ones(self.num_envs, bool)
        idle = np.zeros((self.num_envs, len(self.action_scale)), np.float32)
        observation, _, _, info = self._advance(idle, spare=goal is not None)
        return observation, info

    def step(
        self, actions: ArrayLike
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Hold actions (num_envs, m) in [-1, 1] for control_dt; arms whose episode is over start a new one instead."""
        if self._episodes is None:
            raise UsageError("Call reset() before step().")
        actions = np.asarray(actions, dtype=np.float32)
        if actions.shape != self.action_space.shape:
            raise UsageError(f"The actions have shape {actions.shape}; give {self.action_space.shape}.")
        if not np.isfinite(actions).all():
            arm = int(np.flatnonzero(~np.isfinite(actions).all(axis=-1))[0])
            raise UsageError(f"The action of arm {arm} is not finite; give numbers in [-1, 1].")
        observation, reward, truncated, info = self._advance(np.clip(actions, -1.0, 1.0))
        return observation, reward, np.zeros(self.num_envs, bool), truncated, info

    def _advance(
        self, actions: np.ndarray, spare: bool = False
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, dict[str, Any]]:
        """One call of the compiled step -> observation, reward, truncated and info as NumPy arrays.

        spare: new episodes have the goal of the reset, the bank's last, which is never drawn.
        """
        count = self.num_envs
        task = plant = np.zeros(count, np.int32)
        if self._over.any():
            drawn = len(self._goals.task.bank.length) - self._reaching
            task = self.np_random.integers(drawn, size=count, dtype=np.int32)
            plant = self.np_random.integers(len(self._goals.task.plants.mass), size=count, dtype=np.int32)
            if spare:
                task = np.full(count, drawn, np.int32)
        self._episodes, out = self._step(self._goals, self._episodes, actions, self._over, task, plant)
        out = jax.tree.map(_double, jax.device_get(out))
        self._over = out["truncated"].copy()
        info, broken = _marked(out["info"], count), out["broken"]
        if (broken >= 0).any():
            info |= {"breakdown": nonfinite.reports(broken, MOTION, self.chain.n), "_breakdown": broken >= 0}
        return out["observation"], out["reward"], out["truncated"], info

    def close_extras(self, **kwargs: Any) -> None:
        """Forget the arms; a step then needs a reset first."""
        self._episodes = None

    def compute_reward(
        self,
        achieved_goal: ArrayLike,
        desired_goal: ArrayLike,
        info: dict[str, Any] | Iterable[dict[str, Any] | None] | None,
    ) -> np.ndarray | float:
        """Reward of reaching achieved_goal when desired_goal was wanted, (batch, 7) or (batch, 3), with dicts."""
        return rewards.compute_reward(self.reward, achieved_goal, desired_goal, info, self.tolerance)


def _observed_targets(preview: int | None, reaching: bool) -> int:
    """How many targets an observation shows the errors to."""
    if reaching:
        check_no_preview(preview)
        return 0
    return check_preview(4 if preview is None else preview) + 1


def _still(chain: Chain, poses: Array, steps: int) -> tuple[ReferenceBank, Array, Array]:
    """Goals (count, 7), another in spare for the option of a reset, and starts at rest at home (count + 1, n)."""
    home = np.tile(chain.home, (len(poses) + 1, 1))  # of a goal the pose alone counts, not the joints
    return still_goals(home, np.concatenate([poses, poses[:1]]), steps + 1), home, 0 * home


def _with_spare(goals: "Goals", pose: Array) -> "Goals":
    """The same with another last goal, (7,) m + xyzw."""
    bank = goals.task.bank
    samples = bank.samples._replace(
        p=bank.samples.p.at[-1].set(pose[:3]), R=bank.samples.R.at[-1].set(quat_to_matrix(pose[3:]))
    )
    bank = bank._replace(samples=samples, pose=bank.pose.at[-1].set(pose))
    return goals._replace(task=goals.task._replace(bank=bank))


def _moving(
    chain: Chain,
    rng: np.random.Generator,
    count: int,
    dt: float,
    duration: float,
    reference: Reference | str | Path | None,
    lead: int,
) -> tuple[ReferenceBank, Array, Array]:
    """Random references, or the one that is given, after `lead` held samples, and starts on them (count, n)."""
    given = [] if reference is None else [as_reference(reference, chain, dt)]
    drawn = given or [random_reference(chain, rng, dt=dt, duration=duration) for _ in range(count)]
    bank = stack_references([one.after_hold(lead) if lead else one for one in drawn])
    return bank, bank.samples.q[:, 0], bank.samples.qd[:, 0]


def _plants(
    chain: Chain, scenario: ScenarioLike, rng: np.random.Generator, count: int, lead: float
) -> list[PlantParams]:
    """True plants, with what happens to them put off by `lead` seconds."""
    fixed = isinstance(check_scenario(scenario), Scenario) or scenario == "nominal"
    return [plant_params(chain, later(draw_scenario(scenario, chain, rng), lead)) for _ in range(1 if fixed else count)]


def _double(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if x.dtype == np.float32 else x


def _marked(info: dict[str, Any], count: int) -> dict[str, Any]:
    """Gymnasium's vector info: every key with a mask of the arms that report it, here all of them."""
    marked = {}
    for key, value in info.items():
        marked[key] = _marked(value, count) if isinstance(value, dict) else value
        marked[f"_{key}"] = np.ones(count, bool)
    return marked


class Goals(NamedTuple):
    """What episodes are drawn from, and the joint state in which those of each reference begin."""

    task: Task
    q: Array  # (N, n) rad
    qd: Array  # (N, n) rad/s


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


def _fresh(setup: Setup, goals: Goals, reference: Array, plant: Array) -> Episodes:
    q, qd, zero = goals.q[reference], goals.qd[reference], jnp.zeros_like(reference)
    return start(setup.setting, goals.task, q, qd, reference, plant, zero, ())


def advance(
    setup: Setup, goals: Goals, episodes: Episodes, action: Array, restart: Array, reference: Array, plant: Array
) -> tuple[Episodes, dict[str, Any]]:
    """Hold an action for one control step, or, where `restart`, start the episode (reference, plant) instead.

    action: (B, m) in [-1, 1]; restart: (B,) bool; reference, plant: (B,) -> the episodes, and a dictionary of
    `observation` (dict), `reward` (B,), `truncated` (B,), `info` (dict of (B,), reward terms nested) and `broken` (B,),
    the first entry of MOTION, laid end to end, that is not finite, -1 where all are.
    """
    moved, motion = _move(setup, goals, episodes, action)
    episodes = chosen(restart, _fresh(setup, goals, reference, plant), moved)
    motion = {name: jnp.where(restart, jnp.zeros_like(x), x) for name, x in motion.items()}
    observation, errors = _observe(setup, goals.task, episodes)
    info = _info(setup, episodes, errors, motion)
    value = jnp.where(restart, 0.0, sum(info["reward_terms"].values()))
    truncated = (episodes.step >= goals.task.bank.length[episodes.reference] - 1) | motion["lost"]
    result = {"observation": observation, "reward": value, "truncated": truncated, "info": info}
    return episodes, {**result, "broken": jnp.where(motion["lost"], motion["broken"], -1)}


def _move(setup: Setup, goals: Goals, episodes: Episodes, action: Array) -> tuple[Episodes, dict[str, Array]]:
    """One control step with plastic stops at the joint limits; also what the reward needs to know of the motion."""
    arm, before = setup.setting.arm, episodes.state
    state, info = hold(setup.setting, plants_of(goals.task, episodes), before, action * setup.scale)
    bad = ~jnp.isfinite(jnp.concatenate([state.qd, state.q], axis=-1))
    lost = jnp.any(bad, axis=-1)
    q, qd = chosen(lost, (before.q, 0 * before.qd), (state.q, state.qd))
    outward = jnp.where(q < arm.lower, qd < 0, (q > arm.upper) & (qd > 0))
    beyond = jnp.max(jnp.maximum(arm.lower - q, q - arm.upper), axis=-1)
    q, qd = jnp.clip(q, arm.lower, arm.upper), jnp.where(outward, 0.0, qd)
    motion = {
        "lost": lost,
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
    touching = jnp.any(collision.pair_distances(setup.setting.arm, episodes.state.q) <= 0, axis=-1)
    load, rate, beyond = motion["load"], motion["action_rate"], motion["beyond"]
    terms = rewards.step_terms(setup.reward, position, angle, load, rate, beyond, touching, setup.tolerance)
    settling = episodes.step < setup.lead
    return {
        "is_success": rewards.is_success(position, angle, setup.tolerance),
        "position_error": position,
        "orientation_error": angle,
        "joint_limit_violation": beyond,
        "torque_saturation": motion["saturation"],
        "self_collision": touching,
        "runaway": jnp.any(jnp.abs(episodes.state.qd) >= TOP_SPEED, axis=-1),
        "settling": settling,
        "reward_terms": {name: jnp.where(settling, 0.0, term) for name, term in terms.items()},
    }
