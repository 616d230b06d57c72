"""Joint encoders: where they believe zero to be, and the steps in which they count."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect, PerJoint, per_joint, without_gradient
from armctl.plant.observe import Measurement
from armctl.typing import Array


class EncoderParams(NamedTuple):
    """(n,) rad each."""

    offset: np.ndarray
    step: np.ndarray


@dataclass(frozen=True)
class Encoder(Effect, name="encoder"):
    """q_measured = the nearest multiple of the step to q + offset. The velocity has a sensor of its own."""

    offset: PerJoint
    step: PerJoint

    def prepare(self, chain: Chain) -> EncoderParams:
        """Offset and step of every joint."""
        return EncoderParams(
            per_joint(self.offset, chain, "Scenario.encoder_offset"),
            per_joint(self.step, chain, "Scenario.encoder_step"),
        )

    @staticmethod
    def measured(p: EncoderParams, m: Measurement, seed: Array, step: Array) -> Measurement:
        """Counted; to a derivative the rounding is a constant, as it is between two counts, but never a wall."""
        xp = m.q.__array_namespace__()
        q = m.q + p.offset
        counts = xp.where(p.step > 0, p.step, 1.0)
        error = xp.where(p.step > 0, xp.round(q / counts) * counts - q, 0.0)
        return m._replace(q=(q + without_gradient(error)).astype(m.q.dtype))
