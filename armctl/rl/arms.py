"""The arms that a policy learns on, of either backend, and those that it is judged on."""

import inspect
from typing import Any

from armctl.envs.arm_env import ArmEnv
from armctl.envs.reach import ReachEnv
from armctl.envs.stable_baselines import StableBaselinesVecEnv
from armctl.envs.track import TrackEnv
from armctl.envs.vector import make_vec
from armctl.errors import UsageError
from armctl.rl.flat import Flat
from armctl.rl.settings import Recipe, RLConfig

NOT_HERE = {"self", "kwargs", "robot", "reward", "scenario", "render_mode", "observe", "camera", "goal", "reference"}
"""Arguments of the environments that are said otherwise, or make no sense while a policy learns."""


def make_arms(config: RLConfig, recipe: Recipe, arms: int, backend: str, seed: int, **options: Any) -> Any:
    """So many arms as a VecEnv of stable-baselines3; for PPO, which takes no dictionaries, with flat observations.

    options: of make_vec. Raises UsageError for arguments that the environment does not take.
    """
    task = "Track" if config.task == "track" else "Reach"
    _check_arguments(recipe, task)
    envs = StableBaselinesVecEnv(
        make_vec(
            f"armctl/Panda{task}-v1", arms, backend=backend, robot=config.robot, scenario=config.scenario,
            reward=recipe.reward, seed=seed, **recipe.environment, **options,
        )
    )  # fmt: skip
    return Flat(envs) if config.algo == "ppo" else envs


def _check_arguments(recipe: Recipe, task: str) -> None:
    signatures = [inspect.signature(one.__init__) for one in (ArmEnv, TrackEnv if task == "Track" else ReachEnv)]
    known = {name for one in signatures for name in one.parameters} - NOT_HERE
    known |= {"max_episode_steps"} if task == "Reach" else set()
    if wrong := sorted(set(recipe.environment) - known):
        raise UsageError(f"The environment of {recipe.name} has {wrong[0]!r}; {task} takes {', '.join(sorted(known))}.")
