"""Via points: bend the predicted endpoint of the flow so that its path passes given postures.

That the path at s is the posture is linear in the inner control points. Of all changes that make it true the one is
taken that is smallest along the covariance of the data, as in the conditioning of probabilistic movement primitives
(Paraschos et al. 2013); the rest of the flow then makes what lies between look like a motion.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from armctl.generator.flow import FlowModel, Guidance, settled
from armctl.generator.paths import PathCoder
from armctl.motion.spline import TIED, basis

MOST = 4
"""Via points of one path; with more there is little left that the flow could decide."""
EARLIEST, LATEST = 0.2, 0.8
"""Where on a path, in s, via points may lie: nearer to its ends it is tied."""
ROUNDS = 3  # where joints are squashed into their limits one linear step does not do


@dataclasses.dataclass(frozen=True)
class ViaGuidance:
    """Correct predicted endpoints until their paths pass the via points; a pytree.

    coder: how vectors describe paths. axes: (D, D) of the model's whitening. rows: (B, V, C) of the spline's basis at
    the via points. vias: (B, V, n) normalised postures. before: another guidance whose corrections come first.
    """

    coder: PathCoder
    axes: jax.Array
    rows: jax.Array
    vias: jax.Array
    before: Guidance | None = None

    @classmethod
    def of(cls, model: FlowModel, condition: np.ndarray, vias: np.ndarray, before: Guidance | None) -> "ViaGuidance":
        """Guidance through via points (B, V, n) rad of paths under condition (B, C), after another one."""
        coder = model.paths
        start, goal = condition[:, : coder.n], condition[:, coder.n : 2 * coder.n]
        s = places(start, goal, coder.normalise(vias))
        rows = basis(coder.count, s.ravel()).reshape(*s.shape, coder.count)
        passed = jnp.asarray(coder.normalise(vias), jnp.float32)
        return cls(coder, model.axes, jnp.asarray(rows, jnp.float32), passed, before)

    @property
    def settling(self) -> "ViaGuidance":
        """Through the same points, after what the guidance before becomes."""
        return self if self.before is None else dataclasses.replace(self, before=settled(self.before))

    def __call__(self, z1: jax.Array, condition: jax.Array, to_data: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """Better endpoints (B, D) for predicted ones z1 (B, D), whitened, under condition (B, C)."""
        if self.before is not None:
            z1 = self.before(z1, condition, to_data)
        batch, free = z1.shape[0], self.axes.reshape(-1, self.coder.inner, self.coder.n)
        slope = jnp.einsum("bvi,dij->bvjd", self.rows[..., TIED:-TIED], free).reshape(batch, -1, z1.shape[-1])
        gram = slope @ slope.mT + 1e-9 * jnp.eye(slope.shape[1])
        for _ in range(ROUNDS):
            points = self.coder.normalise(self.coder.decode(to_data(z1), condition))
            missed = (self.vias - self.rows @ points).reshape(batch, -1)
            z1 = z1 + (slope.mT @ jnp.linalg.solve(gram, missed[..., None]))[..., 0]
        return z1


jax.tree_util.register_dataclass(ViaGuidance, data_fields=("axes", "rows", "vias", "before"), meta_fields=("coder",))


def places(start: np.ndarray, goal: np.ndarray, vias: np.ndarray) -> np.ndarray:
    """Where on its path, s (B, V), each via point (B, V, n) is passed; start, goal: (B, n), all in any one unit.

    A straight line would pass them at the same share of its length, on which minimum-jerk motions are
    s^3 (10 - 15 s + 6 s^2) far.
    """
    corners = np.concatenate([start[:, None], vias, goal[:, None]], axis=1)
    legs = np.linalg.norm(np.diff(corners, axis=1), axis=-1) + 1e-9
    share = np.cumsum(legs, axis=1)[:, :-1] / legs.sum(axis=1, keepdims=True)
    s = np.linspace(0, 1, 201)
    found = np.interp(share, s**3 * (10 - 15 * s + 6 * s**2), s)
    return _apart(np.clip(found, EARLIEST, LATEST))


def _apart(s: np.ndarray) -> np.ndarray:
    """The same places, or even ones where two come closer than half of what those would be apart."""
    even = np.linspace(EARLIEST, LATEST, s.shape[1] + 2)[1:-1]
    close = np.diff(s, axis=1).min(axis=1, initial=np.inf) < np.diff(even).min(initial=np.inf) / 2
    return np.where(close[:, None], even, s)


def onto(points: np.ndarray, rows: np.ndarray, vias: np.ndarray) -> np.ndarray:
    """Control points (B, C, n) whose paths are moved the last bit onto the via points (B, V, n); rows: (B, V, C)."""
    inner = points[:, TIED:-TIED] + np.linalg.pinv(rows[..., TIED:-TIED]) @ (vias - rows @ points)
    return np.concatenate([points[:, :TIED], inner, points[:, -TIED:]], axis=1)


def chosen(coder: PathCoder, vias: tuple[np.ndarray, ...], condition: np.ndarray) -> np.ndarray:
    """Of the postures (K, n) rad that answer each of V via points the ones nearest to straight lines, (B, V, n) rad.

    condition: (B, C), of which start and goal are used.
    """
    start, goal = (
        coder.denormalise(x[:, None]) for x in (condition[:, : coder.n], condition[:, coder.n : 2 * coder.n])
    )
    found = []
    for k, asked in enumerate(vias):
        line = start + (k + 1) / (len(vias) + 1) * (goal - start)
        nearest = np.argmin(np.linalg.norm((asked - line) / np.asarray(coder.half), axis=-1), axis=1)
        found.append(asked[nearest])
    return np.stack(found, axis=1)
