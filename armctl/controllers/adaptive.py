"""Textbook adaptive control: one parameter filter, one delay, which is taken for granted (Slotine & Li 1991, ch. 9)."""

import jax.numpy as jnp

from armctl.controllers.filter_bank import FilterBank
from armctl.typing import Array


class Adaptive(FilterBank):
    """The filter bank with a single filter: commands act one control step late, whatever is seen."""

    name = "adaptive"
    title = "Adaptive control"
    family = "classical"
    LONGEST = KNOWN = 1
    least_preview = LONGEST + 1

    def posterior(self, evidence: Array) -> Array:
        """Certainty about one control step."""
        return jnp.broadcast_to(jnp.asarray([0.0, 1.0], evidence.dtype), evidence.shape)
