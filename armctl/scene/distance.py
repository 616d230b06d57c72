"""Exact signed distances to the bodies of a scene, for NumPy and JAX alike.

Every body is a core in its own frame, swollen by a radius: a box for boxes, a segment for capsules, a point for
spheres, a disc's prism for cylinders. The distance to a core is that of its coordinates beyond the half extents, of
which a cylinder has two (off the axis, along it) and a half-space one.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from armctl.geometry import quat_to_matrix
from armctl.scene.body import Body, Scene
from armctl.typing import Array

NOWHERE = 1e4  # m; how far away what only fills up an array is
TINY = 1e-24  # m^2, keeps the gradient finite where a distance is zero or an axis is met


class SceneArrays(NamedTuple):
    """K bodies as arrays, a pytree: what is compiled for K bodies serves every scene of K bodies."""

    position: Float[Array, "K 3"]  # m
    rotation: Float[Array, "K 3 3"]  # of the body's frame
    half: Float[Array, "K 3"]  # half extents of the core, m; of a cylinder (radius, any, half length)
    radius: Float[Array, "K"]  # by which the core is swollen, m
    round: Bool[Array, "K"]  # cylinders
    flat: Bool[Array, "K"]  # half-spaces below z = 0


@lru_cache(maxsize=64)
def scene_arrays(scene: Scene, size: int | None = None) -> SceneArrays:
    """The bodies of a scene as arrays, filled up to `size` rows with bodies that are nowhere near."""
    bodies = scene.bodies
    half, radius = (np.array(column, float) for column in zip(*map(_core, bodies), strict=True))
    position = np.array([body.position for body in bodies])
    rotation = quat_to_matrix(np.array([body.quaternion for body in bodies]))
    kinds = [np.array([body.shape == kind for body in bodies]) for kind in ("cylinder", "plane")]
    more = 0 if size is None else max(0, size - len(bodies))
    filled = [
        np.concatenate([position, np.full((more, 3), NOWHERE)]),
        np.concatenate([rotation, np.tile(np.eye(3), (more, 1, 1))]),
        np.concatenate([half, np.zeros((more, 3))]),
        np.concatenate([radius, np.zeros(more)]),
        *(np.concatenate([kind, np.zeros(more, bool)]) for kind in kinds),
    ]
    return SceneArrays(*filled)


def _core(body: Body) -> tuple[tuple[float, float, float], float]:
    """Half extents of the core and the radius by which it is swollen, m."""
    size = body.size
    match body.shape:
        case "box":
            return (size[0] / 2, size[1] / 2, size[2] / 2), 0.0
        case "sphere":
            return (0.0, 0.0, 0.0), size[0]
        case "capsule":
            return (0.0, 0.0, size[1] / 2), size[0]
        case "cylinder":
            return (size[0], 0.0, size[1] / 2), 0.0
        case _:
            return (0.0, 0.0, 0.0), 0.0


def signed_distance(scene: Scene | SceneArrays, points: Float[Array, "*batch 3"]) -> Float[Array, "*batch K"]:
    """Distance of points to every body, negative inside. points (..., 3) m -> (..., K) m; its gradient is finite."""
    xp = points.__array_namespace__()
    arrays = scene_arrays(scene) if isinstance(scene, Scene) else scene
    position, rotation, half, radius = (xp.asarray(x, dtype=points.dtype) for x in arrays[:4])
    round_, flat = (xp.asarray(x) for x in arrays[4:])
    # one coordinate at a time: contiguous loops are far faster than reductions over an axis of length 3
    off = [points[..., k, None] - position[:, k] for k in range(3)]
    x, y, z = (sum(off[k] * rotation[:, k, axis] for k in range(3)) for axis in range(3))
    across = xp.where(round_, xp.sqrt(x * x + y * y + TINY), xp.abs(x)) - half[:, 0]
    beyond = [
        xp.where(flat, -NOWHERE, across),
        xp.where(flat | round_, -NOWHERE, xp.abs(y) - half[:, 1]),
        xp.where(flat, z, xp.abs(z)) - half[:, 2],
    ]
    a, b, c = (xp.maximum(value, xp.zeros_like(value)) for value in beyond)
    inside = xp.minimum(xp.maximum(xp.maximum(beyond[0], beyond[1]), beyond[2]), xp.zeros_like(z))
    return xp.sqrt(a * a + b * b + c * c + TINY) + inside - radius
