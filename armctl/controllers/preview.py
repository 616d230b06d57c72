"""Reading the reference window a fraction of a control step ahead."""

import jax
import jax.numpy as jnp

from armctl.controllers.base import Gain
from armctl.plant.observe import Window
from armctl.typing import Array


def lead_gain(preview: int, steps: float = 0.3) -> Gain:
    """A learnt look-ahead between 0 and preview - 1 control steps, kept as a logit."""
    share = min(max(steps / max(preview - 1, 1), 0.01), 0.99)
    return Gain(jnp.asarray(jnp.log(share / (1 - share)), jnp.float32))


def lead_steps(gain: Gain, preview: int) -> Array:
    """Value of a `lead_gain` in control steps, a scalar."""
    return (preview - 1) * jax.nn.sigmoid(gain[...])


def ahead(w: Window, steps: Array) -> Window:
    """The window read `steps` control steps later, linearly between samples: two samples, then and one step on.

    w: (..., P+1, ...); steps: scalar in [0, P - 1] -> Window of (..., 2, ...). Interpolated rotations are orthogonal
    only to second order in the step, which the chordal error does not notice.
    """
    index = jnp.arange(w.q.shape[-2])
    weights = jnp.maximum(0.0, 1 - jnp.abs(index - (steps + jnp.arange(2)[:, None])))
    rotation = jnp.einsum("sp,...pij->...sij", weights, w.R)
    rest = {name: jnp.einsum("sp,...pi->...si", weights, getattr(w, name)) for name in w._fields if name != "R"}
    return Window(R=rotation, **rest)


def held(rate: Array, control_dt: float) -> Array:
    """Acceleration that a command held for one control step should realise: the mean over it.

    rate: (..., 2, m) velocity at its ends -> (..., m).
    """
    return (rate[..., 1, :] - rate[..., 0, :]) / control_dt
