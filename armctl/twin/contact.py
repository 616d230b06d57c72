"""Whether arms touch themselves or a scene, by spheres that cover their links: cheap enough for every control step."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from armctl import kinematics
from armctl.arm import Arm
from armctl.scene.body import Scene
from armctl.scene.distance import scene_arrays, signed_distance
from armctl.typing import Array

TOUCH = 0.002
"""Spheres meet a body from here on, m: an arm that grazes it is within in one control step or the next."""


def touching(arm: Arm, q: Float[Array, "B n"]) -> Bool[Array, "B"]:
    """Where two spheres that must stay apart meet. q: (B, n) rad -> (B,) bool, pair_distances <= 0 of any pair.

    A few thousand arms times hundreds of pairs leave the cache, and gathers over a trailing axis are slow: so the batch
    comes last and the pairs one after the other.
    """
    if not arm.sphere_pairs:
        return jnp.zeros(q.shape[0], bool)
    first, second = jnp.asarray(arm.sphere_pairs).T
    radius, p = jnp.asarray(arm.sphere_radius), _centers(arm, q)

    def add(found: Array, pair: tuple[Array, Array, Array]) -> tuple[Array, None]:
        i, j, reach = pair
        return found | (jnp.sum((p[i] - p[j]) ** 2, axis=0) <= reach**2), None

    reach = radius[first] + radius[second]
    return jax.lax.scan(add, jnp.zeros(q.shape[0], bool), (first, second, reach))[0]


def touching_scene(arm: Arm, scene: Scene, q: Float[Array, "B n"]) -> Bool[Array, "B"]:
    """Where a link that moves meets a body of a scene, so that contact would act in PyBullet. q: (B, n) rad -> (B,).

    Spheres cover the links, so that contact is told early and not missed, with one exception: a sphere that meets a
    body at home, where the arm itself does not, counts from where it is deeper in it than there.
    """
    moving, bodies = np.flatnonzero(np.array(arm.sphere_link, int) >= 0), scene_arrays(scene)
    if not len(moving):
        return jnp.zeros(q.shape[0], bool)
    at_home = signed_distance(bodies, _centers(arm, jnp.asarray(arm.home, q.dtype)[None])[moving, :, 0])
    reach = jnp.asarray(arm.sphere_radius, q.dtype)[moving, None] + TOUCH
    reach = jnp.where(at_home <= reach, at_home - TOUCH, reach)  # (S, K)

    def add(found: Array, sphere: tuple[Array, Array]) -> tuple[Array, None]:
        center, near = sphere
        return found | jnp.any(signed_distance(bodies, center.T) <= near, axis=-1), None

    return jax.lax.scan(add, jnp.zeros(q.shape[0], bool), (_centers(arm, q)[moving], reach))[0]


def _centers(arm: Arm, q: Float[Array, "B n"]) -> Float[Array, "S 3 B"]:
    """World centres of the covering spheres, m."""
    link, center = jnp.asarray(arm.sphere_link), jnp.asarray(arm.sphere_center)
    T = jnp.moveaxis(kinematics.link_poses(arm, q), 0, -1)[jnp.maximum(link, 0)]  # (S, 4, 4, B)
    moved = [sum(T[:, k, j] * center[:, j, None] for j in range(3)) + T[:, k, 3] for k in range(3)]
    return jnp.stack([jnp.where((link < 0)[:, None], center[:, k, None], moved[k]) for k in range(3)], axis=1)
