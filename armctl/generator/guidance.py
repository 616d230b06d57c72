"""Guidance inside the flow: bend the predicted endpoint away from collisions while the path is still forming.

At time t the flow predicts where a sample will end, x1 = x + (1 - t) v. From t = 0.5 on that path is decoded, its
clearance is measured through the arm's forward kinematics on a grid coarser than the checker's, and x1 follows the
negative gradient of a hinge on what is violated. The rest of the flow then heals what the step has disturbed.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.generator.paths import KNEE, PathCoder
from armctl.motion.collision import floor_distances, pair_distances, safe_margin, scene_distances
from armctl.motion.spline import basis
from armctl.scene.body import Scene
from armctl.scene.distance import SceneArrays, scene_arrays

BODIES = 8  # the arrays of a scene are filled up to multiples of so many
LARGEST_STEP = 2.0  # standard deviations; keeps one bad prediction from throwing a path across the workspace


@dataclasses.dataclass(frozen=True)
class ClearanceGuidance:
    """Correct predicted endpoints until they keep their distance; a pytree, so that the sampler is compiled once.

    arm: whose kinematics measure the clearance. coder: how vectors describe its paths. margin: clearance asked for, m.
    strength: fraction of the linearised violation that one step removes. scene: bodies to keep off, a number of them
    that others have too, so that one sampler serves them all. samples: instants of the path that are checked. steps:
    gradient steps per evaluation of the flow.
    """

    arm: Arm
    coder: PathCoder
    margin: float = 0.015
    strength: float = 0.5
    scene: SceneArrays | None = None
    samples: int = 24
    steps: int = 2

    @classmethod
    def of(cls, chain: Chain, coder: PathCoder, scene: Scene | None = None) -> "ClearanceGuidance":
        """Guidance for a Chain in a scene, with a margin just below what its corpus keeps free.

        A larger one would fight the ends of the path, which are given, and deform it for nothing.
        """
        bodies = None if scene is None else scene_arrays(scene, BODIES * -(-len(scene.bodies) // BODIES))
        return cls(Arm.from_chain(chain), coder, margin=0.75 * safe_margin(chain, scene), scene=bodies)

    def __call__(self, z1: jax.Array, condition: jax.Array, to_data: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """Better endpoints (B, D) for predicted ones z1 (B, D), whitened, under condition (B, C).

        A step in whitened coordinates is a step along the covariance of the data: it bends a path as the corpus does.
        """

        def improve(z1: jax.Array, _: None) -> tuple[jax.Array, None]:
            cost, pull = jax.vjp(lambda z: self.cost(to_data(z), condition), z1)
            gradient = pull(jnp.ones_like(cost))[0]
            # Polyak's step for a squared hinge, whose minimum is known to be zero.
            step = 2 * self.strength * cost[:, None] * gradient / (jnp.sum(gradient**2, -1, keepdims=True) + 1e-12)
            length = jnp.linalg.norm(step, axis=-1, keepdims=True)
            return z1 - step * jnp.minimum(1.0, LARGEST_STEP / (length + 1e-12)), None

        return jax.lax.scan(improve, z1, None, length=self.steps)[0]

    def cost(self, x1: jax.Array, condition: jax.Array) -> jax.Array:
        """Squared hinge violations (B,) of clearance (m^2, summed over instants) and of the joint range."""
        points = self.coder.decode(x1, condition)
        q = jnp.asarray(basis(self.coder.count, self.samples), points.dtype) @ points
        gaps = [pair_distances(self.arm, q), floor_distances(self.arm, q)]
        if self.scene is not None:
            gaps.append(scene_distances(self.arm, q, self.scene).reshape(*q.shape[:-1], -1))
        touching = jnp.sum(jnp.maximum(self.margin - jnp.concatenate(gaps, axis=-1), 0.0) ** 2, axis=(-2, -1))
        # Where the squash bends, its slope vanishes: push back the control points themselves.
        bend = jnp.maximum(jnp.abs(self.coder.raw_inner(x1, condition)) - KNEE, 0.0)
        return touching + jnp.sum(jnp.where(np.asarray(self.coder.bounded), bend, 0.0) ** 2, axis=(-2, -1))


jax.tree_util.register_dataclass(
    ClearanceGuidance, data_fields=("arm", "margin", "strength", "scene"), meta_fields=("coder", "samples", "steps")
)
