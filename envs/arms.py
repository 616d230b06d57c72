"""Several environments of one process, stepped into shared arrays: what a worker does, or make_vec without any."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from armctl.envs.info_fields import Fields

KEPT = 3
"""Numbers of an arm before those of its info: reward, terminated, truncated."""


class Arrays(NamedTuple):
    """What arms read and write, a row each; in memory that processes share."""

    actions: np.ndarray  # (n, m)
    seeds: np.ndarray  # (n,) of the episode that starts in this step, -1 where none does
    observations: dict[str, np.ndarray]  # (n, ...) each; one named "" where an observation is no dictionary
    numbers: np.ndarray  # (n, 3 + K) reward, terminated, truncated, and the numbers of info

    def rows(self, first: int, last: int) -> "Arrays":
        """Views of some arms' rows."""
        some = slice(first, last)
        views = {key: x[some] for key, x in self.observations.items()}
        return Arrays(self.actions[some], self.seeds[some], views, self.numbers[some])


class Arms:
    """Environments that are stepped one after the other.

    A command is answered with what the arrays have no place for: of a step, the infos (arm, dictionary) that are not
    laid out as `fields` says; else the values that were asked for.
    """

    def __init__(self, make: Callable[[], gym.Env], arrays: Arrays, fields: Fields, first: int) -> None:
        """make: of each environment; arrays: of these arms; first: the number of the first one among all."""
        self.envs = [make() for _ in arrays.seeds]
        self._arrays, self._fields, self._first = arrays, fields, first

    def step(self, options: dict[str, Any] | None = None, *, move: bool = True) -> list[tuple[int, dict[str, Any]]]:
        """Start an episode where there is a seed, with reset options; the others hold their action if they may move."""
        arrays = self._arrays
        odd: list[tuple[int, dict[str, Any]]] = []
        numbers: list[Any] = []  # of all arms, one row after the other: one array made of them is far cheaper than many
        for i, (env, seed) in enumerate(zip(self.envs, arrays.seeds.tolist(), strict=True)):
            if seed >= 0:
                observation, info = env.reset(seed=seed, options=options)
                numbers += (0.0, False, False)
            elif move:
                observation, *outcome, info = env.step(arrays.actions[i])
                numbers += outcome
            else:
                numbers += arrays.numbers[i].tolist()
                continue
            for key, value in observation.items() if isinstance(observation, dict) else (("", observation),):
                arrays.observations[key][i] = value
            row = self._fields.numbers(info)
            if row is None:
                odd.append((self._first + i, info))
                row = [0.0] * (arrays.numbers.shape[1] - KEPT)
            numbers += row
        arrays.numbers[:] = np.fromiter(numbers, float, arrays.numbers.size).reshape(arrays.numbers.shape)
        return odd

    def call(self, arms: Sequence[int], name: str, *args: Any, **kwargs: Any) -> list[tuple[int, Any]]:
        """An attribute of those of the arms that are here, called if it can be, by arm."""
        return [(i, one(*args, **kwargs) if callable(one) else one) for i, one in self.get(arms, name)]

    def get(self, arms: Sequence[int], name: str) -> list[tuple[int, Any]]:
        """An attribute of those of the arms that are here, by arm."""
        return [(i, self.envs[i - self._first].get_wrapper_attr(name)) for i in arms if self._has(i)]

    def set(self, values: Mapping[int, Any], name: str) -> list[Any]:
        """Set an attribute of those of the arms that are here, each to its value."""
        for i, value in values.items():
            if self._has(i):
                self.envs[i - self._first].set_wrapper_attr(name, value)
        return []

    def _has(self, arm: int) -> bool:
        return 0 <= arm - self._first < len(self.envs)

    def close(self) -> None:
        """Close every environment."""
        for env in self.envs:
            env.close()
