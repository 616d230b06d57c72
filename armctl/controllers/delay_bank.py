"""Hypotheses of how late commands act, and the evidence for each: its own innovations.

One hypothesis per whole number of control steps. Regressors, gains and covariance do not depend on the delay, so that a
bank of filters costs one axis on the mean. Votes from the change of a torque residual fail: a load's inertia, not known
yet, is ten times the wrist's own; innovations count that uncertainty.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.controllers.base import gain
from armctl.typing import Array

CAP = 10.0
"""Most that one innovation can say against a hypothesis, in nats: an outlier is no proof."""
FORGETTING = 0.999
"""Per control step, so that a delay may change."""

UNLIKELY = 4.0
"""Against a delay beyond those that are acted upon, before anything is seen, in nats."""


class Ahead(NamedTuple):
    """Commands under way, seen from now, for control steps 0, 1, ... from now on."""

    share: Array  # (..., D) probability that the command to be given does not act in this step yet
    command: Array  # (..., D, n) the command that acts instead


class DelayBank(nnx.Module):
    """Delays 0 to `longest` are acted upon; those beyond, up to `known`, are only recognised."""

    def __init__(self, longest: int = 3, known: int = 6) -> None:
        self.longest, self.known = longest, known
        self.log_temperature = gain(1.0)

    def posterior(self, evidence: Array) -> Array:
        """Probability of every delay. evidence: (..., H) nats -> (..., H)."""
        prior = UNLIKELY * (jnp.arange(self.known + 1) > self.longest)
        return jax.nn.softmax(jnp.exp(-self.log_temperature[...]) * evidence - prior, axis=-1)

    def weigh(self, evidence: Array, wrong: Array) -> Array:
        """Evidence after a measurement that spoke against the delays by (..., H) nats."""
        return FORGETTING * evidence - wrong

    def acted_upon(self, posterior: Array) -> tuple[Array, Array]:
        """Probabilities (..., D + 1) of the delays that are acted upon, and of a longer one (...)."""
        inside = posterior[..., : self.longest + 1]
        beyond = jnp.sum(posterior[..., self.longest + 1 :], axis=-1)
        last = (jnp.arange(self.longest + 1) == self.longest).astype(posterior.dtype)
        return inside + beyond[..., None] * last, beyond

    def beyond(self, posterior: Array) -> Array:
        """Control steps (...) by which the delay is expected to exceed those that are acted upon."""
        more = jnp.maximum(jnp.arange(self.known + 1) - self.longest, 0)
        return jnp.sum(posterior * more, axis=-1)


def under_way(delays: Array, commands: Array) -> Ahead:
    """What acts until the command to be given does. delays: (..., D + 1); commands: (..., H, n), newest first.

    A command of delay d acts in step i from now where it was given d - i steps ago.
    """
    share, command, longest = [], [], delays.shape[-1] - 1
    for i in range(longest):
        later = delays[..., i + 1 :]
        total = jnp.sum(later, axis=-1)
        mixed = jnp.einsum("...d,...dn->...n", later, commands[..., : longest - i, :])
        share.append(total)
        command.append(mixed / jnp.maximum(total, 1e-6)[..., None])
    return Ahead(jnp.stack(share, axis=-1), jnp.stack(command, axis=-2))


def misfit(white: Array) -> Array:
    """Minus the log-likelihood of innovations of variance 1, capped. white: (...) -> (...) nats."""
    return CAP * jnp.tanh(white**2 / (2 * CAP))
