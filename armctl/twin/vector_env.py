"""Thousands of twin arms behind one `gymnasium.vector.VectorEnv`, with the environments' spaces, rewards and info."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion.free import check_scene
from armctl.motion.goals import check_goal
from armctl.plant import reward as rewards
from armctl.plant.action import action_scale, check_actions
from armctl.plant.scenario import PlantParams, Scenario, later, plant_params, stack_params
from armctl.plant.servo import ServoConfig, check_motor
from armctl.plant.task import (
    ScenarioLike,
    action_space,
    check_observe,
    check_scenario,
    draw_scenario,
    observation_space,
)
from armctl.plant.vector import BANK, Draws, Seeds, check_mask, marked
from armctl.scene.body import Scene
from armctl.scene.files import load_scene
from armctl.twin import nonfinite
from armctl.twin.env_step import MOTION, Goals, Setup, advance, fresh, with_spare
from armctl.twin.episodes import Setting, Task, single
from armctl.twin.parallel import Shards
from armctl.twin.tasks import make_task
from armctl.urdf import load_chain


class TwinVectorEnv(gym.vector.VectorEnv):
    """Arms of one robot and one task, stepped together by the JAX twin; next-step autoreset.

    Spaces, observations, reward terms and info are those of ReachEnv and TrackEnv (armctl.envs), batched; the
    computation runs in float32. What differs from PyBullet: joint limits are plastic stops at the control rate,
    `self_collision` is that of spheres covering the links (a little early), an arm passes through a scene where contact
    would hold it (`scene_contact` says so, by the spheres too), and an arm whose state is no longer finite is
    truncated; `info["breakdown"]` then says what broke. Goals and true plants are those of PyBullet
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
        physics_dt: float = 0.002,
        control_dt: float = 0.01,
        motor: str = "servo",
        render_mode: str | None = None,
        tip: str | None = None,
        observe: str = "state",
        bank_size: int = BANK,
        seed: int | None = None,
        scene: Scene | str | Path | None = None,
        **of_task: Any,
    ) -> None:
        """num_envs: arms; bank_size, seed: see armctl.plant.vector; of_task: those of armctl.twin.tasks.

        The rest as in the environments. Raises UsageError for what the twin cannot do (rendering, motor="bullet" in
        torque control) and for bad values.
        """
        if render_mode is not None or check_observe(observe) != "state":
            raise UsageError('The twin does not render; use backend="bullet" to see the arm.')
        check_motor(motor, control)
        self._draws = Draws(num_envs, bank_size, seed)
        self.chain, self.dt, self.num_envs = load_chain(robot, tip), control_dt, num_envs
        self.config = ServoConfig(control=control, physics_dt=physics_dt, control_dt=control_dt)
        self.reward, self._scenario = rewards.check_reward(reward), check_scenario(scenario)
        self.scene = None if scene is None else load_scene(scene, self.chain)
        check_scene(self.chain, self.scene)
        self._task = make_task(task, self.chain, control_dt, num_envs, of_task, self.scene)
        self.tolerance = self._task.near
        self.action_scale = action_scale(self.chain, self.config)
        self._describe()
        preview = max(self._task.targets - 1, 0)
        self._setup = Setup(
            Setting(Arm.from_chain(self.chain).astype(np.float32), self.config, preview, motor, scene=self.scene),
            self.action_scale.astype(np.float32), self.reward, self._task.lead, self._task.targets,
            self._task.position_only, self.tolerance,
        )  # fmt: skip
        self._step = Shards(partial(advance, self._setup), num_envs)
        self._renew = Shards(partial(advance, self._setup, still=True), num_envs)
        self._drawn: list[int] = []  # the bank of which the goals are

    def _describe(self) -> None:
        """Spaces and metadata, as Gymnasium wants them."""
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self.single_action_space = action_space(self.chain, self.config)
        self.single_observation_space = observation_space(self.chain, self._task.targets, self._task.position_only)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _draw(self) -> None:
        """Goals and plants of the bank's seeds, scenario first as in the environments, and episodes of their shapes."""
        rngs = [np_random(seed)[0] for seed in self._draws.bank]
        plants = stack_params(_plants(self.chain, self._scenario, rngs, self._task.lead * self.dt))
        bank, *starts = self._task.draw(rngs)
        self._goals = jax.tree.map(jnp.asarray, single(Goals(Task(bank, plants), *starts)))
        index = jnp.zeros(1, jnp.int32)
        shape = jax.eval_shape(partial(fresh, self._setup), self._goals, index, index)
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
        goal = options.pop("goal", None) if self._task.spare else None
        pose = None if goal is None else check_goal(self.chain, goal, self._task.position_only)
        if options:
            raise UsageError(
                f"The twin takes no reset option {next(iter(options))!r}; give scenario and reference to make_vec."
            )
        self._draws.reset(seed, mask)
        if self._drawn != self._draws.bank:
            self._draw()
        if pose is not None:
            self._goals = with_spare(self._goals, mask, pose)
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
        self._draws.over(truncated.copy())
        return observation, reward, np.zeros(self.num_envs, bool), truncated, info

    def _advance(
        self, program: Shards, actions: np.ndarray, reporting: np.ndarray, spare: bool = False
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, dict[str, Any]]:
        """One call of a compiled step, with episodes of the draws -> observation, reward, truncated and info.

        spare: those that start have the goals behind the bank's instead of drawn ones.
        """
        goals, starting, index = self._goals, self._draws.starting, self._draws.index
        count = len(goals.task.bank.length) - self._task.spare
        reference, plant = index % count, index % len(goals.task.plants.mass)
        if spare:
            reference = count + np.arange(self.num_envs, dtype=np.int32)
        self._episodes, out = program(goals, self._episodes, actions, starting, reference, plant)
        out = jax.tree.map(_double, out)
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


def _plants(
    chain: Chain, scenario: ScenarioLike, rngs: Sequence[np.random.Generator], lead: float
) -> list[PlantParams]:
    """True plants, with what happens to them put off by `lead` seconds; one where all are alike."""
    alike = isinstance(scenario, Scenario) or scenario == "nominal"
    scenarios = [draw_scenario(scenario, chain, rng) for rng in (rngs[:1] if alike else rngs)]
    return [plant_params(chain, later(one, lead)) for one in scenarios]


def _double(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if x.dtype == np.float32 else x
