"""Sensor noise."""

from dataclasses import dataclass

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect
from armctl.plant.observe import Measurement, counter_normal
from armctl.typing import Array


@dataclass(frozen=True)
class Noise(Effect, name="noise"):
    """Normal, white, independent from joint to joint."""

    position: float
    velocity: float

    def prepare(self, chain: Chain) -> np.ndarray:
        """Standard deviations, (2,) rad and rad/s."""
        return np.array([self.position, self.velocity])

    @staticmethod
    def measured(p: Array, m: Measurement, seed: Array, step: Array) -> Measurement:
        """The state and draws that depend on (seed, step) alone."""
        n = m.q.shape[-1]
        draws = counter_normal(seed, step, 2 * n).astype(m.q.dtype)
        return Measurement(m.q + p[..., :1] * draws[..., :n], m.qd + p[..., 1:] * draws[..., n:])
