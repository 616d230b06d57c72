"""Observations as one vector, for algorithms that take no dictionaries."""

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from armctl.envs.stable_baselines import INSTALLED

if TYPE_CHECKING or not INSTALLED:  # where it is not, that is said before arms are made
    VecEnvWrapper: Any = object
else:
    from stable_baselines3.common.vec_env import VecEnvWrapper


class Flat(VecEnvWrapper):
    """Arms whose observations are one vector (m,) float32 each, the dictionary's entries in the order of their names.

    As gymnasium's FlattenObservation does it to a single environment.
    """

    def __init__(self, inside: Any) -> None:
        """inside: arms that observe dictionaries of vectors."""
        space: Any = inside.observation_space
        super().__init__(inside, spaces.Box(-np.inf, np.inf, (spaces.flatdim(space),), np.float32))
        self._keys = sorted(space.spaces)

    def reset(self) -> np.ndarray:
        """Start an episode on every arm -> observations (n, m)."""
        return self._flat(self.venv.reset())

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Take the step -> observations, rewards, dones, infos."""
        observation, reward, done, infos = self.venv.step_wait()
        for i in np.flatnonzero(done).tolist():
            infos[i]["terminal_observation"] = self._flat(infos[i]["terminal_observation"])
        return self._flat(observation), reward, done, infos

    def _flat(self, observation: Any) -> np.ndarray:
        return np.concatenate([observation[key] for key in self._keys], axis=-1, dtype=np.float32)
