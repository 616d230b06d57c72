"""A push: an external wrench on the tip for a while."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect
from armctl.typing import Array


class PushParams(NamedTuple):
    """What acts, (6,) N and N m, and between which times, (2,) s."""

    wrench: np.ndarray
    pulse: np.ndarray


@dataclass(frozen=True)
class Push(Effect, name="push"):
    """Force and moment on the tip, world frame, from `start` on for `duration` s."""

    force_moment: tuple[float, ...]
    begin: float
    duration: float

    def prepare(self, chain: Chain) -> PushParams:
        """The wrench and its beginning and end."""
        return PushParams(np.asarray(self.force_moment, float), np.array([self.begin, self.begin + self.duration]))

    @staticmethod
    def wrench(p: PushParams, time: Array, dt: float) -> Array:
        """Whole physics steps, so that plant and twin agree: those that begin within half a step of the pulse."""
        begun, over = (time >= p.pulse[..., i] - dt / 2 for i in (0, 1))
        return p.wrench * (begun & ~over)[..., None]
