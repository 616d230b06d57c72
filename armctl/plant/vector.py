"""What vector environments of both backends share: the episodes that their arms draw, and the form of their info."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random

from armctl.errors import UsageError

BANK = 256
"""Episodes that arms draw from."""
Seeds = int | Sequence[int] | None


class Draws:
    """Which episode every arm runs, the same for either backend.

    An episode is a number of `bank`: the goal and the plant that a single environment draws after reset(seed=number).
    reset(seed=s) makes the bank s, s + 1, ... and lets arm i begin with s + i, as vector environments of Gymnasium do;
    a list of seeds, one per arm, is followed by those after its last. Arms beyond the bank begin it anew. Later
    episodes are drawn from the bank, by a generator of the first seed. A bank, because to draw a reference takes longer
    than to follow it.

    Attributes: bank, a list of seeds; starting (arms,) bool, where an episode starts in this step; starts, whether one
    does; index (arms,) int32 into the bank.
    """

    def __init__(self, arms: int, bank_size: int = BANK, seed: int | None = None) -> None:
        """seed: of the bank until reset is given one, random when None. Raises UsageError for what no numbers of arms,
        episodes and seeds are."""
        for name, value in (("num_envs", arms), ("bank_size", bank_size)):
            if not _whole(value) or value < 1:
                raise UsageError(f"{name} is {value!r}; give a whole number of at least 1.")
        if seed is not None and (not _whole(seed) or seed < 0):
            raise UsageError(f"The seed is {seed!r}; give a whole number of at least 0.")
        self.arms, self._size, self._first = arms, bank_size, seed
        self.bank: list[int] = []
        self._rng = np_random(seed)[0]
        self.starting, self.starts, self.index = np.ones(arms, bool), True, np.zeros(arms, np.int32)
        self._over: np.ndarray | None = None

    def reset(self, seed: Seeds, mask: np.ndarray) -> None:
        """Start episodes where the mask (arms,) holds. Raises UsageError for bad seeds."""
        if self._over is None and not mask.all():
            raise UsageError("Call reset() of all arms before one with a reset_mask.")
        if seed is not None and not mask.all():
            raise UsageError("A reset with a reset_mask takes no seed; reset all arms to seed them.")
        if seed is not None or not self.bank:
            seeds = self._seeds(seed)
            self.bank = [*seeds, *range(seeds[-1] + 1, seeds[-1] + 1 + self._size)][: max(self._size, len(seeds))]
            self._rng = np_random(seeds[0])[0]
        self.starting, self.starts = mask.copy(), True
        if seed is not None:
            self.index = np.arange(self.arms, dtype=np.int32) % len(self.bank)
        else:
            self._redraw()
        self._over = np.zeros(self.arms, bool) if self._over is None else self._over & ~mask

    def _seeds(self, seed: Seeds) -> list[int]:
        """The first seeds of the bank."""
        if seed is None:
            seed = self._first if self._first is not None else int(self._rng.integers(2**31))
        seeds = list(seed) if isinstance(seed, Sequence | np.ndarray) else [seed]
        if len(seeds) not in (1, self.arms) or not all(_whole(one) and one >= 0 for one in seeds):
            raise UsageError(f"The seed is {seed!r}; give one whole number of at least 0, or {self.arms} of them.")
        return [int(one) for one in seeds]

    def renew(self) -> None:
        """Before a step: arms whose episode is over start one of the bank. Raises UsageError before the first reset."""
        if self._over is None:
            raise UsageError("Call reset() before step().")
        self.starting, self.starts = self._over, bool(self._over.any())
        if self.starts:
            self._redraw()

    def _redraw(self) -> None:
        drawn = self._rng.integers(len(self.bank), size=self.arms, dtype=np.int32)
        self.index = np.where(self.starting, drawn, self.index)

    def over(self, done: np.ndarray) -> None:
        """After a step: where (arms,) an episode is over."""
        self._over = done

    def lost(self) -> None:
        """The arms are in no known state: a step needs a reset first."""
        self._over = None


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_mask(mask: Any, arms: int) -> np.ndarray:
    """Reset option "reset_mask" as (arms,) bool, all where None. Raises UsageError for what is no such mask."""
    if mask is None:
        return np.ones(arms, bool)
    if not isinstance(mask, np.ndarray) or mask.shape != (arms,) or mask.dtype != bool or not mask.any():
        raise UsageError(f"reset_mask is {mask!r}; give a NumPy array ({arms},) of bool, True for at least one arm.")
    return mask.copy()


def marked(info: dict[str, Any], reporting: np.ndarray) -> dict[str, Any]:
    """Gymnasium's vector info: every key with a mask of the arms that report it, one array for all of them.

    reporting: (arms,) bool.
    """
    result = {}
    for key, value in info.items():
        result[key] = marked(value, reporting) if isinstance(value, dict) else value
        result[f"_{key}"] = reporting
    return result
