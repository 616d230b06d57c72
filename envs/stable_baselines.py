"""Vector environments of either backend as stable-baselines3 wants them."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from armctl.errors import UsageError

INSTALLED = find_spec("stable_baselines3") is not None
if TYPE_CHECKING or not INSTALLED:  # where it is not, that is said when the adapter is made
    VecEnv: Any = object
else:
    from stable_baselines3.common.vec_env import VecEnv


class StableBaselinesVecEnv(VecEnv):
    """An environment of make_vec as a `VecEnv` of stable-baselines3.

    An episode that ends gives way to the next in the same step: its last observation is the `terminal_observation` of
    its info, the arm's own at that moment, and `TimeLimit.truncated` says whether it was cut off. Wrap it in VecMonitor
    for returns in the log.
    """

    def __init__(self, envs: gym.vector.VectorEnv) -> None:
        """envs: of make_vec, either backend. Raises UsageError where stable-baselines3 is not installed."""
        if not INSTALLED:
            raise UsageError(
                'stable-baselines3 is not installed; get it with: pip install "armctl[rl]" (it brings torch, of which '
                "the build for CPUs is enough here)."
            )
        self.envs = envs
        self._actions: Any = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:
        """Start an episode on every arm, with the seeds and options set before -> observations."""
        seeds = None if None in self._seeds else self._seeds
        if any(one != self._options[0] for one in self._options):
            raise UsageError("The arms were given different reset options; set_options() takes one dictionary for all.")
        observation, info = self.envs.reset(seed=seeds, options=self._options[0] or None)
        self.reset_infos = info_rows(info, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions (n, m) of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Take the step -> observations, rewards, dones, infos; an episode's end shows the next one's start."""
        observation, reward, terminated, truncated, info = self.envs.step(self._actions)
        done, rows = terminated | truncated, info_rows(info, self.num_envs)
        for row, cut in zip(rows, (truncated & ~terminated).tolist(), strict=True):
            row["TimeLimit.truncated"] = cut
        if done.any():
            last = observation
            observation, info = self.envs.reset(options={"reset_mask": done})
            fresh = info_rows(info, self.num_envs)
            for i in np.flatnonzero(done).tolist():
                own = {key: x[i] for key, x in last.items()} if isinstance(last, dict) else last[i]
                rows[i]["terminal_observation"] = own
                self.reset_infos[i] = fresh[i]
        return observation, reward.astype(np.float32), done, rows

    def close(self) -> None:
        """Close the arms."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: int | Sequence[int] | None = None) -> list[Any]:
        """An attribute of some arms; of the twin, that of all of them together for each."""
        arms = list(self._get_indices(indices))
        if hasattr(self.envs, "get_attr"):
            return list(self.envs.get_attr(attr_name, arms))
        return [getattr(self.envs, attr_name)] * len(arms)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """What a method of some arms returns; of the twin, that of all of them together for each."""
        arms = list(self._get_indices(indices))
        if hasattr(self.envs, "call"):
            return list(self.envs.call(method_name, *args, arms=arms, **kwargs))
        return [getattr(self.envs, method_name)(*args, **kwargs)] * len(arms)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of some arms in PyBullet. Raises UsageError of the twin, whose arms have none."""
        if not hasattr(self.envs, "set_attr"):
            raise UsageError(f"{attr_name} cannot be set: the arms of the twin are no objects of their own.")
        arms = list(self._get_indices(indices))
        self.envs.set_attr(attr_name, [value] * len(arms), arms)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Any = None) -> list[bool]:
        """Whether arms wear a wrapper of this class: none does, wrap this environment instead."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """The pictures of all arms, where they render."""
        pictures: Any = self.envs.render()
        return [None] * self.num_envs if pictures is None else list(pictures)


def info_rows(info: dict[str, Any], arms: int) -> list[dict[str, Any]]:
    """Gymnasium's vector info as one dictionary per arm, of what this arm reports."""
    rows: list[dict[str, Any]] = [{} for _ in range(arms)]
    for key, value in info.items():
        if f"_{key}" not in info:  # a mask
            continue
        each = info_rows(value, arms) if isinstance(value, dict) else np.asarray(value).tolist()
        for row, one, reported in zip(rows, each, np.asarray(info[f"_{key}"]).tolist(), strict=True):
            if reported:
                row[key] = one
    return rows
