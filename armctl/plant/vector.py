"""Thousands of twin arms behind one `gymnasium.vector.VectorEnv`, with the environments' spaces, rewards and info."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from armctl import rigid
from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.geometry import matrix_to_pose
from armctl.motion.reference import Reference, load_reference
from armctl.motion.sampling import random_configuration, random_reference
from armctl.plant import finite, fleet
from armctl.plant.scenario import PRESETS, Scenario, plant_params, sample_scenario, stack_params
from armctl.plant.servo import ServoConfig, check_motor
from armctl.registration import env_ids
from armctl.urdf import Chain, load_chain

ScenarioLike = Scenario | str | Callable[[np.random.Generator], Scenario]


def make_twin_vec(id: str, n: int, **kwargs) -> "TwinVectorEnv":
    """n twin arms of a registered environment, e.g. "armctl/PandaTrack-v0"; kwargs: of TwinVectorEnv.

    Raises UsageError for an id that is not one of armctl's.
    """
    if id not in env_ids():
        raise UsageError(f"Unknown environment {id!r}; choose one of {', '.join(env_ids())}.")
    spec = gym.spec(id)
    task = "track" if str(spec.entry_point).endswith("TrackEnv") else "reach"
    if task == "reach":
        kwargs = {"steps": spec.max_episode_steps, **kwargs}
    env = TwinVectorEnv(task=task, num_envs=n, **{**spec.kwargs, **kwargs})
    env.spec = spec
    return env


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
        steps: int = 200,
        physics_dt: float = 0.002,
        control_dt: float = 0.01,
        motor: str = "servo",
        render_mode: str | None = None,
        tip: str | None = None,
        bank_size: int = 256,
        seed: int = 0,
    ):
        """num_envs: arms; steps: length of reaching episodes; bank_size: goals and plants drawn from `seed`.

        The rest as in the environments. preview: 4 for tracking and 0 for reaching when None.
        Raises UsageError for what the twin cannot do: rendering, motor="bullet" in torque control.
        """
        preview = (4 if task == "track" else 0) if preview is None else preview
        _check(motor, control, render_mode, bank_size, preview)
        self.chain, self.dt, self.num_envs = load_chain(robot, tip), control_dt, num_envs
        self.config = ServoConfig(control=control, physics_dt=physics_dt, control_dt=control_dt)
        self._motor = motor
        self._rewards, self.reward = import_module("armctl.envs.reward"), reward
        self._rewards.check_reward(reward)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self.action_scale = import_module("armctl.envs.command").action_scale(self.chain, self.config)
        self._make_spaces(preview)
        rng = np.random.default_rng(seed)
        if task == "reach":
            if reference is not None:
                raise UsageError("Reaching takes no reference; make a Track environment to follow one.")
            goals = reach_goals(self.chain, rng, bank_size, steps)
        else:
            goals = track_goals(self._references(reference, rng, bank_size, duration))
        self._bank(goals, _plants(self.chain, scenario, rng, bank_size), preview)
        self._over = np.ones(num_envs, bool)
        self._fleet: Any = None

    def _make_spaces(self, preview: int) -> None:
        self.single_action_space = Box(-1.0, 1.0, self.action_scale.shape, np.float32)
        bound = import_module("armctl.envs.base").BOUND
        wide = lambda size: Box(-bound, bound, (size,), np.float64)  # noqa: E731
        width = 2 * self.chain.n + 9 + 6 * (preview + 1)
        spaces: dict[str, gym.Space] = {"observation": wide(width), "achieved_goal": wide(7), "desired_goal": wide(7)}
        self.single_observation_space = Dict(spaces)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _references(self, reference, rng, count: int, duration: float) -> list[Reference]:
        if reference is None:
            return [random_reference(self.chain, rng, dt=self.dt, duration=duration) for _ in range(count)]
        if not isinstance(reference, Reference):
            return [load_reference(reference, self.chain, self.dt)]
        if reference.q.shape[1] != self.chain.n:
            joints = reference.q.shape[1]
            raise UsageError(f"Reference {reference.name!r} has {joints} joints; {self.chain.name} has {self.chain.n}.")
        return [reference.resampled(self.chain, self.dt)]

    def _bank(self, goals: dict, plants: list, preview: int) -> None:
        """Put what episodes are drawn from on the device, and compile-time facts into the step function."""
        params = stack_params(plants)
        setup = fleet.Setup(
            arm=Arm.from_chain(self.chain).astype(np.float32),
            config=self.config,
            motor=self._motor,
            scale=self.action_scale.astype(np.float32),
            preview=preview,
            reward=self.reward,
            rewards=self._rewards,
            max_latency=int(np.max(params.latency)),
            pulses=bool(np.any(params.wrench)),
            noisy=bool(np.any(params.noise)),
        )
        self._tasks = jax.tree.map(_single, fleet.Tasks(**goals, plants=params))
        self._step = jax.jit(partial(fleet.step, setup))
        index = jnp.zeros(self.num_envs, jnp.int32)
        shape = jax.eval_shape(partial(fleet.start, setup), self._tasks, index, index)
        self._blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shape)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Start an episode on every arm; seed: of the draws of goals and plants."""
        super().reset(seed=seed)
        if options:
            raise UsageError(
                f"The twin takes no reset option {next(iter(options))!r}; give scenario and reference to make_vec."
            )
        self._fleet, self._over = self._blank, np.ones(self.num_envs, bool)
        observation, _, _, info = self._advance(np.zeros(self.action_space.shape, np.float32))
        return observation, info

    def step(self, actions):
        """Hold actions (num_envs, m) in [-1, 1] for control_dt; arms whose episode is over start a new one instead."""
        if self._fleet is None:
            raise UsageError("Call reset() before step().")
        actions = np.asarray(actions, dtype=np.float32)
        if actions.shape != self.action_space.shape:
            raise UsageError(f"The actions have shape {actions.shape}; give {self.action_space.shape}.")
        if not np.isfinite(actions).all():
            arm = int(np.flatnonzero(~np.isfinite(actions).all(axis=-1))[0])
            raise UsageError(f"The action of arm {arm} is not finite; give numbers in [-1, 1].")
        observation, reward, truncated, info = self._advance(np.clip(actions, -1.0, 1.0))
        return observation, reward, np.zeros(self.num_envs, bool), truncated, info

    def _advance(self, actions):
        """One call of the compiled step -> observation, reward, truncated and info as NumPy arrays."""
        count = self.num_envs
        task = plant = np.zeros(count, np.int32)
        if self._over.any():
            task = self.np_random.integers(len(self._tasks.length), size=count, dtype=np.int32)
            plant = self.np_random.integers(len(self._tasks.plants.mass), size=count, dtype=np.int32)
        self._fleet, out = self._step(self._tasks, self._fleet, actions, self._over, task, plant)
        out = jax.tree.map(_double, jax.device_get(out))
        self._over = out["truncated"].copy()
        info, broken = _marked(out["info"], count), out["broken"]
        if (broken >= 0).any():
            info |= {"breakdown": finite.reports(broken, fleet.MOTION, self.chain.n), "_breakdown": broken >= 0}
        return out["observation"], out["reward"], out["truncated"], info

    def close_extras(self, **kwargs):
        """Forget the arms; a step then needs a reset first."""
        self._fleet = None

    def compute_reward(self, achieved_goal, desired_goal, info):
        """Reward of reaching achieved_goal when desired_goal was wanted, (batch, 7) with dicts."""
        return self._rewards.compute_reward(self.reward, achieved_goal, desired_goal, info)


def _check(motor, control, render_mode, bank_size, preview) -> None:
    if render_mode is not None:
        raise UsageError('The twin does not render; use backend="bullet" to see the arm.')
    check_motor(motor, control)
    if bank_size < 1:
        raise UsageError(f"bank_size is {bank_size}; give at least 1.")
    if isinstance(preview, bool) or not isinstance(preview, int) or preview < 0:
        raise UsageError(f"preview is {preview!r}; give the number of future targets to observe, 0 or more.")


def reach_goals(chain: Chain, rng: np.random.Generator, count: int, steps: int) -> dict[str, np.ndarray]:
    """Still goals at random clear configurations, started from home: the fields of fleet.Tasks, less the plants."""
    pose = matrix_to_pose(rigid.forward_kinematics(chain, random_configuration(chain, rng, count)))[:, None]
    q = np.tile(chain.home, (count, 1))
    return {"pose": pose, "length": np.full(count, steps + 1, np.int32), "q": q, "qd": 0 * q}


def track_goals(references: list[Reference]) -> dict[str, np.ndarray]:
    """Moving goals, started on the reference: the fields of fleet.Tasks, less the plants."""
    longest = max(len(r.pose) for r in references)
    hold = [np.concatenate([r.pose, np.repeat(r.pose[-1:], longest - len(r.pose), axis=0)]) for r in references]
    return {
        "pose": np.stack(hold),
        "length": np.array([len(r.pose) for r in references], np.int32),
        "q": np.stack([r.q[0] for r in references]),
        "qd": np.stack([r.qd[0] for r in references]),
    }


def _plants(chain: Chain, scenario: ScenarioLike, rng: np.random.Generator, count: int) -> list:
    if isinstance(scenario, Scenario):
        return [plant_params(chain, scenario)]
    if isinstance(scenario, str):
        count = 1 if scenario == "nominal" else count
        return [plant_params(chain, sample_scenario(scenario, chain, rng)) for _ in range(count)]
    if not callable(scenario):
        raise UsageError(
            f"scenario is {scenario!r}; give a Scenario, a preset's name ({', '.join(PRESETS)}) or a function."
        )
    return [plant_params(chain, scenario(rng)) for _ in range(count)]


def _single(x):
    return jnp.asarray(x, np.float32 if np.asarray(x).dtype == np.float64 else None)


def _double(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if x.dtype == np.float32 else x


def _marked(info: dict, count: int) -> dict:
    """Gymnasium's vector info: every key with a mask of the arms that report it, here all of them."""
    marked = {}
    for key, value in info.items():
        marked[key] = _marked(value, count) if isinstance(value, dict) else value
        marked[f"_{key}"] = np.ones(count, bool)
    return marked
