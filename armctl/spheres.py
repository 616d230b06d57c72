"""Cover a chain's collision shapes with spheres, and choose the pairs of spheres that a self-collision check needs."""

import math

import numpy as np

from armctl import meshes, rigid
from armctl.chain import Chain, Shape, link_pairs

_MAX_SPHERES = 6
# Spheres may stand out of the shape they cover by this share of its radius.
_SWELL = 1.15


def _cover_cylinder(radius: float, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights (m,) along the axis and radii (m,) of spheres that contain a cylinder."""
    count = min(_MAX_SPHERES, max(1, math.ceil(length / (2 * radius * math.sqrt(_SWELL**2 - 1)))))
    step = length / count
    heights = (np.arange(count) + 0.5) * step - 0.5 * length
    return heights, np.full(count, math.hypot(radius, 0.5 * step))


def _cover_capsule(radius: float, length: float) -> tuple[np.ndarray, np.ndarray]:
    count = min(_MAX_SPHERES, 1 + math.ceil(length / (2 * radius * math.sqrt(_SWELL**2 - 1))))
    step = length / (count - 1)
    return np.linspace(-0.5 * length, 0.5 * length, count), np.full(count, math.hypot(radius, 0.5 * step))


def _cover_box(extents: np.ndarray, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centers (m, 3) and radii (m,) of spheres along the longest edge of a box."""
    axis = int(np.argmax(extents))
    heights, radii = _cover_cylinder(0.5 * math.hypot(*np.delete(extents, axis)), float(extents[axis]))
    return center + heights[:, None] * np.eye(3)[axis], radii


def mesh_box(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Extents (3,) and middle (3,) of the box around a mesh in its own frame, m."""
    vertices = meshes.vertices(shape.filename) * np.array(shape.size)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return np.maximum(high - low, 1e-4), 0.5 * (low + high)


def _cover(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Centers (m, 3) in the shape's frame and radii (m,) of spheres that contain the shape."""
    if shape.kind == "sphere":
        return np.zeros((1, 3)), np.array(shape.size)
    if shape.kind == "box":
        return _cover_box(np.array(shape.size), np.zeros(3))
    if shape.kind == "mesh":
        return _cover_box(*mesh_box(shape))
    cover = _cover_cylinder if shape.kind == "cylinder" else _cover_capsule
    heights, radii = cover(*shape.size)
    return heights[:, None] * np.array([0.0, 0.0, 1.0]), radii


def spheres(chain: Chain) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Spheres that contain every collision shape, at most six a shape.

    -> link of each (S,) (-1 = base), centers (S, 3) [m] in that link's frame and radii (S,) [m].
    """
    links: list[int] = []
    centers, radii = [np.zeros((0, 3))], [np.zeros(0)]
    for shape in (s for s in chain.shapes if s.role == "collision"):
        center, radius = _cover(shape)
        centers.append(center @ shape.T_link_shape[:3, :3].T + shape.T_link_shape[:3, 3])
        radii.append(radius)
        links += [shape.link] * len(radius)
    return tuple(links), np.concatenate(centers), np.concatenate(radii)


def _judged(chain: Chain) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of spheres of the watched pairs of links, and the pairs of links some of whose spheres overlap at home."""
    links, centers, radii = spheres(chain)
    poses = np.concatenate([np.eye(4)[None], rigid.link_poses(chain, chain.home)])[np.array(links, dtype=int) + 1]
    world = np.einsum("sij,sj->si", poses[:, :3, :3], centers) + poses[:, :3, 3]
    apart = np.linalg.norm(world[:, None] - world[None], axis=-1) > radii[:, None] + radii[None]
    found, blind = [], []
    for a, b in link_pairs(chain):
        pairs = [(i, j) for i, x in enumerate(links) for j, y in enumerate(links) if (x, y) == (a, b)]
        if all(apart[pair] for pair in pairs):
            found += [(min(pair), max(pair)) for pair in pairs]
        else:
            blind.append((a, b))
    return sorted(found), blind


def sphere_pairs(chain: Chain) -> tuple[tuple[int, int], ...]:
    """Pairs (i, j) of indices into `spheres(chain)` that a self-collision check must watch.

    Their links are at least two apart, and none of their spheres touch at home: see `blind_pairs`.
    """
    return tuple(_judged(chain)[0])


def blind_pairs(chain: Chain) -> list[tuple[int, int]]:
    """Watched pairs of links of which spheres say nothing, for some touch at home where the links need not.

    A plate over a wrist is such a case; the shapes themselves have to be looked at.
    """
    return _judged(chain)[1]
