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
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from armctl import kinematics
from armctl.arm import Arm
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.geometry import matrix_to_pose, orientation_angle, quat_to_matrix
from armctl.motion.files import as_reference
from armctl.motion.goals import WORKSPACE, Region, check_goal, check_reached, draw_goals
from armctl.motion.reference import Reference
from armctl.motion.sampling import random_reference
from armctl.motion.windows import ReferenceBank, stack_references, still_goals, windows
from armctl.plant import reward as rewards
from armctl.plant.action import action_scale, check_actions
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
from armctl.plant.vector import BANK, Draws, Seeds, check_mask, marked
from armctl.twin import nonfinite
from armctl.twin.episodes import Episodes, Setting, Task, chosen, hold, plants_of, single, start
from armctl.twin.parallel import Shards
from armctl.twin.self_contact import touching
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
    is truncated; `info["breakdown"]` then says what broke. Goals and true plants are those of PyBullet
    (armctl.plant.vector), drawn at the reset that brings a new seed.
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
        bank_size: int = BANK,
        seed: int | None = None,
    ) -> None:
        """num_envs: arms; steps: length of reaching episodes; bank_size, seed: see armctl.plant.vector.

        The rest as in the environments. preview: 4 for tracking when None.
        Raises UsageError for what the twin cannot do: rendering, motor="bullet" in torque control.
        """
        if render_mode is not None or check_observe(observe) != "state":
            raise UsageError('The twin does not render; use backend="bullet" to see the arm.')
        check_motor(motor, control)
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
        self._draws = Draws(num_envs, bank_size, seed)
        if self._reaching and reference is not None:
            raise UsageError("Reaching takes no reference; make a Track environment to follow one.")
        if self._reaching and settle:
            raise UsageError("Reaching starts at rest and takes no settle; make a Track environment.")
        box = not isinstance(region, str) or region != WORKSPACE
        if not self._reaching and (box or tolerance is not None or position_only or goal is not None):
            raise UsageError("Tracking takes no region, tolerance, position_only or goal; make a Reach environment.")
        self._lead, self.tolerance = check_settle(settle, control_dt), check_tolerance(tolerance, position_only)
        self._scenario = check_scenario(scenario)
        self._spare = num_envs if self._reaching else 0  # goals behind the bank's, one per arm, for the reset option
        if self._reaching:
            pose = None if goal is None else check_goal(self.chain, goal, position_only)
            check_reached(self.chain, region)
            self._draw_goals = partial(_still, self.chain, steps, region, pose, self._spare)
        else:
            given = None if reference is None else as_reference(reference, self.chain, control_dt)
            self._draw_goals = partial(_moving, self.chain, control_dt, duration, given, self._lead)
        setting = Setting(Arm.from_chain(self.chain).astype(np.float32), self.config, max(targets - 1, 0), motor)
        scale, counts = self.action_scale.astype(np.float32), (targets, position_only, self.tolerance)
        self._setup = Setup(setting, scale, self.reward, self._lead, *counts)
        self._step = Shards(partial(advance, self._setup), num_envs)
        self._drawn: list[int] = []  # the bank of which the goals are
        self._renew = Shards(partial(advance, self._setup, still=True), num_envs)

    def _draw(self) -> None:
        """Goals and plants of the bank's seeds, scenario first as in the environments, and episodes of their shapes."""
        rngs = [np_random(seed)[0] for seed in self._draws.bank]
        plants = stack_params(_plants(self.chain, self._scenario, rngs, self._lead * self.dt))
        bank, *starts = self._draw_goals(rngs)
        self._goals = jax.tree.map(jnp.asarray, single(Goals(Task(bank, plants), *starts)))
        index = jnp.zeros(1, jnp.int32)
        shape = jax.eval_shape(partial(_fresh, self._setup), self._goals, index, index)
        self._episodes = self._step.blank(jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), shape))
        self._drawn = self._draws.bank

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode on every arm, or where options["reset_mask"] (num_envs,) holds.

        options: also "goal", of these episodes, in reaching. seed: see armctl.plant.vector.Draws. Raises UsageError for
        bad seeds and other options.
        """
        if self.closed:
            raise UsageError("The environment is closed; make a new one.")
        options = dict(options or {})
        mask = check_mask(options.pop("reset_mask", None), self.num_envs)
        goal = options.pop("goal", None) if self._reaching else None
        pose = None if goal is None else check_goal(self.chain, goal, self._position_only)
        if options:
            raise UsageError(
                f"The twin takes no reset option {next(iter(options))!r}; give scenario and reference to make_vec."
            )
        self._draws.reset(seed, mask)
        if self._drawn != self._draws.bank:
            self._draw()
        if pose is not None:
            self._goals = _with_spare(self._goals, mask, pose)
        program = self._step if mask.all() else self._renew  # of which most users never need the second
        idle = np.zeros((self.num_envs, len(self.action_scale)), np.float32)
        observation, _, _, info = self._advance(program, idle, mask, spare=pose is not None)
        return observation, info

    def step(
        self, actions: ArrayLike
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Hold actions (num_envs, m) in [-1, 1] for control_dt; arms whose episode is over start a new one instead."""
        checked = np.clip(check_actions(actions, self.action_space.shape), -1.0, 1.0)
        self._draws.renew()
        observation, reward, truncated, info = self._advance(self._step, checked, np.ones(self.num_envs, bool))
        return observation, reward, np.zeros(self.num_envs, bool), truncated, info

    def _advance(
        self, program: Shards, actions: np.ndarray, reporting: np.ndarray, spare: bool = False
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, dict[str, Any]]:
        """One call of a compiled step, with episodes of the draws -> observation, reward, truncated and info.

        spare: those that start have the goals behind the bank's instead of drawn ones.
        """
        goals, starting, index = self._goals, self._draws.starting, self._draws.index
        count = len(goals.task.bank.length) - self._spare
        reference, plant = index % count, index % len(goals.task.plants.mass)
        if spare:
            reference = count + np.arange(self.num_envs, dtype=np.int32)
        self._episodes, out = program(goals, self._episodes, actions, starting, reference, plant)
        out = jax.tree.map(_double, out)
        self._draws.over(out["truncated"].copy())
        info, broken = marked(out["info"], reporting), out["broken"]
        if (broken >= 0).any():
            info |= {"breakdown": nonfinite.reports(broken, MOTION, self.chain.n), "_breakdown": broken >= 0}
        return out["observation"], out["reward"], out["truncated"], info

    def close_extras(self, **kwargs: Any) -> None:
        """Forget the arms and end the threads."""
        self._draws.lost()
        self._step.close()
        self._renew.close()

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


def _still(
    chain: Chain,
    steps: int,
    region: Region,
    given: np.ndarray | None,
    spare: int,
    rngs: Sequence[np.random.Generator],
) -> tuple[ReferenceBank, np.ndarray, np.ndarray]:
    """Goals in a region, or the one (7,) that is given, `spare` more behind them, and starts at rest at home (N, n)."""
    drawn = [draw_goals(chain, rng, 1, region) for rng in rngs] if given is None else [given[None]]
    poses = np.concatenate([*drawn, np.tile(drawn[0], (spare, 1))])
    home = np.tile(chain.home, (len(poses), 1))  # of a goal the pose alone counts, not the joints
    return still_goals(home, poses, steps + 1), home, 0 * home


def _with_spare(goals: "Goals", mask: np.ndarray, pose: np.ndarray) -> "Goals":
    """The same with a pose (7,) m + xyzw as the spare goal of the arms where the mask (arms,) holds."""
    bank, rows = goals.task.bank, np.concatenate([np.zeros(len(goals.q) - len(mask), bool), mask])
    new = jnp.asarray(pose, jnp.float32)[None, None]
    old = bank.samples.p, bank.samples.R, bank.pose
    p, R, whole = chosen(rows, (new[..., :3], quat_to_matrix(new[..., 3:]), new), old)
    bank = bank._replace(samples=bank.samples._replace(p=p, R=R), pose=whole)
    return goals._replace(task=goals.task._replace(bank=bank))


def _moving(
    chain: Chain,
    dt: float,
    duration: float,
    given: Reference | None,
    lead: int,
    rngs: Sequence[np.random.Generator],
) -> tuple[ReferenceBank, np.ndarray, np.ndarray]:
    """Random references, or the one that is given, after `lead` held samples, and starts on them (count, n)."""
    drawn = [given] if given else [random_reference(chain, rng, dt=dt, duration=duration) for rng in rngs]
    bank = stack_references([one.after_hold(lead) if lead else one for one in drawn])
    return bank, bank.samples.q[:, 0], bank.samples.qd[:, 0]


def _plants(
    chain: Chain, scenario: ScenarioLike, rngs: Sequence[np.random.Generator], lead: float
) -> list[PlantParams]:
    """True plants, with what happens to them put off by `lead` seconds; one where all are alike."""
    alike = isinstance(scenario, Scenario) or scenario == "nominal"
    scenarios = [draw_scenario(scenario, chain, rng) for rng in (rngs[:1] if alike else rngs)]
    return [plant_params(chain, later(one, lead)) for one in scenarios]


def _double(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if x.dtype == np.float32 else x


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

    still: the others do not move.

    action: (B, m) in [-1, 1]; restart: (B,) bool; reference, plant: (B,) -> the episodes, and a dictionary of
    `observation` (dict), `reward` (B,), `truncated` (B,), `info` (dict of (B,), reward terms nested) and `broken` (B,),
    the first entry of MOTION, laid end to end, that is not finite, -1 where all are.
    """
    moved, motion = (episodes, _rest(action)) if still else _move(setup, goals, episodes, action)
    episodes = chosen(restart, _fresh(setup, goals, reference, plant), moved)
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
    return {"lost": none, "broken": none.astype(int), **numbers}


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
    touches = touching(setup.setting.arm, episodes.state.q)
    load, rate, beyond = motion["load"], motion["action_rate"], motion["beyond"]
    terms = rewards.step_terms(setup.reward, position, angle, load, rate, beyond, touches, setup.tolerance)
    settling = episodes.step < setup.lead
    return {
        "is_success": rewards.is_success(position, angle, setup.tolerance),
        "position_error": position,
        "orientation_error": angle,
        "joint_limit_violation": beyond,
        "torque_saturation": motion["saturation"],
        "self_collision": touches,
        "runaway": jnp.any(jnp.abs(episodes.state.qd) >= TOP_SPEED, axis=-1),
        "settling": settling,
        "reward_terms": {name: jnp.where(settling, 0.0, term) for name, term in terms.items()},
    }
