"""Guidance by a critic: bend the predicted endpoint towards paths that a critic scores higher.

The critic of difficulty knows features that no gradient leads to: peaks, and the time that a path takes. So it is told
again as a function of what the flow itself moves, the whitened path under its condition, by the same regression.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from armctl.chain import Chain
from armctl.generator.difficulty import Critic, described, fit_critic
from armctl.generator.flow import FlowModel, Guidance, settled
from armctl.motion.corpus import Corpus
from armctl.typing import Array

STRENGTH = 1.5
"""Length of a step uphill, standard deviations of the data, per evaluation of the flow."""
FARTHEST = 3.0
"""Standard deviations beyond which the regression is not asked."""


@dataclasses.dataclass(frozen=True)
class CriticGuidance:
    """A step up the score at every evaluation, then another guidance, which has the last word; a pytree.

    mean, scale, weights: (F,), (F,), (1 + 2 F,) of a critic of rows, whitened path and condition. after: what keeps
    paths valid. strength: length of a step.
    """

    mean: Array
    scale: Array
    weights: Array
    after: Guidance
    strength: float = STRENGTH

    @classmethod
    def of(cls, critic: Critic, after: Guidance, strength: float = STRENGTH) -> "CriticGuidance":
        """Guidance by a critic in the flow's coordinates, see `in_coordinates`."""
        return cls(critic.mean, critic.scale, critic.weights, after, strength)

    def __call__(self, z1: jax.Array, condition: jax.Array, to_data: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """Better endpoints (B, D) for predicted ones z1 (B, D), whitened, under condition (B, C)."""
        slope = jax.grad(lambda z: jnp.sum(self.score(z, condition)))(z1)
        step = self.strength * slope / (jnp.linalg.norm(slope, axis=-1, keepdims=True) + 1e-9)
        return self.after(z1 + step, condition, to_data)

    @property
    def settling(self) -> Guidance:
        """Without the step: what comes after it."""
        return settled(self.after)

    def score(self, z1: jax.Array, condition: jax.Array) -> jax.Array:
        """What the critic says (B,) of endpoints, as `Critic.predict` does."""
        rows = jnp.concatenate([z1, condition], axis=-1)[:, : len(self.mean)]
        u = jnp.clip((rows - self.mean) / self.scale, -FARTHEST, FARTHEST)
        linear, square = jnp.split(jnp.asarray(self.weights[1:], rows.dtype), 2)
        return self.weights[0] + u @ linear + u**2 @ square


jax.tree_util.register_dataclass(
    CriticGuidance, data_fields=("mean", "scale", "weights", "after", "strength"), meta_fields=()
)


def in_coordinates(critic: Critic, model: FlowModel, chain: Chain, corpus: Corpus) -> Critic:
    """The critic told again in the coordinates of a flow, from what it says of the motions of a corpus.

    Its rows are the whitened path and the condition but for the difficulty; its rank correlation is with the critic.
    """
    coder = model.paths
    points = corpus.control_points
    condition = coder.conditions(points[:, 0], points[:, -1], corpus.family, corpus.eta)
    white = model.to_white(coder.encode(points))
    rows = np.concatenate([white, condition[:, : coder.columns.speed.stop]], axis=1)
    return fit_critic(rows, np.exp(critic.predict(described(corpus, chain))))
