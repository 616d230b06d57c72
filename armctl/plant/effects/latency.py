"""Latency: commands act later than they are given, by a whole number of control steps, constant or not."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect
from armctl.plant.observe import counter_uniform
from armctl.typing import Array

STREAM = 0x6C617465
"""Keeps the draws of delays apart from those of noise."""


class LatencyParams(NamedTuple):
    """Least delay and how much longer it may be, () int32 control steps; and as many zeros as it lasts at most.

    The zeros are there for their number: the queue of commands must be long enough when nothing has a value yet.
    """

    least: np.ndarray
    jitter: np.ndarray
    longest: np.ndarray  # (L,)


@dataclass(frozen=True)
class Latency(Effect, name="latency"):
    """A command arrives `least` to `least + jitter` control steps after it was given, each equally likely.

    What acts is the newest command that has arrived: one that is overtaken is never heard of.
    """

    least: int
    jitter: int = 0

    def prepare(self, chain: Chain) -> LatencyParams:
        """Delays in control steps."""
        least, jitter = np.asarray(self.least, np.int32), np.asarray(self.jitter, np.int32)
        return LatencyParams(least, jitter, np.zeros(self.least + self.jitter))


def age(p: LatencyParams, seed: Array, step: Array) -> Array:
    """How old the command is that acts in a control step, () or (...) int32 control steps.

    seed, step: (...) uint32. Each command's delay is drawn from the seed and the step at which it was given.
    """
    xp = seed.__array_namespace__()
    longest = p.longest.shape[-1]
    ages = xp.arange(longest + 1, dtype=xp.uint32)
    given = step[..., None] - ages
    draw = counter_uniform(seed[..., None] ^ np.uint32(STREAM), given)
    jitter, least = xp.asarray(p.jitter)[..., None], xp.asarray(p.least)[..., None]
    delay = least + xp.minimum((draw * (jitter + 1)).astype(xp.int32), jitter)
    return xp.argmax(delay <= ages.astype(xp.int32), axis=-1)
