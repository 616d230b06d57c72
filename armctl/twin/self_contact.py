"""Whether arms touch themselves, by the spheres that cover their links: cheap enough for every control step."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from armctl import kinematics
from armctl.arm import Arm
from armctl.typing import Array


def touching(arm: Arm, q: Float[Array, "B n"]) -> Bool[Array, "B"]:
    """Where two spheres that must stay apart meet. q: (B, n) rad -> (B,) bool, pair_distances <= 0 of any pair.

    A few thousand arms times hundreds of pairs leave the cache, and gathers over a trailing axis are slow: so the batch
    comes last and the pairs one after the other.
    """
    if not arm.sphere_pairs:
        return jnp.zeros(q.shape[0], bool)
    link, first, second = jnp.asarray(arm.sphere_link), *jnp.asarray(arm.sphere_pairs).T
    center, radius = jnp.asarray(arm.sphere_center), jnp.asarray(arm.sphere_radius)
    T = jnp.moveaxis(kinematics.link_poses(arm, q), 0, -1)[jnp.maximum(link, 0)]  # (S, 4, 4, B)
    moved = [sum(T[:, k, j] * center[:, j, None] for j in range(3)) + T[:, k, 3] for k in range(3)]
    p = jnp.stack([jnp.where((link < 0)[:, None], center[:, k, None], moved[k]) for k in range(3)], axis=1)

    def add(found: Array, pair: tuple[Array, Array, Array]) -> tuple[Array, None]:
        i, j, reach = pair
        return found | (jnp.sum((p[i] - p[j]) ** 2, axis=0) <= reach**2), None

    reach = radius[first] + radius[second]
    return jax.lax.scan(add, jnp.zeros(q.shape[0], bool), (first, second, reach))[0]
