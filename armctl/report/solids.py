"""Bodies of a scene as flat faces, for pictures that are drawn by hand."""

from itertools import pairwise

import numpy as np

from armctl import geometry
from armctl.scene.body import Body

AROUND = 16
"""Sides of what is round."""
RINGS = 5
"""Rings of faces of a half ball."""


def faces(body: Body, extent: float = 1.0) -> list[np.ndarray]:
    """The faces of a body, each a polygon (V, 3) m in the world; of a plane a square of `extent` m to each side."""
    p, R = np.array(body.position), geometry.quat_to_matrix(np.array(body.quaternion))
    return [face @ R.T + p for face in _faces(body, extent)]


def _faces(body: Body, extent: float) -> list[np.ndarray]:
    size = body.size
    match body.shape:
        case "box":
            return [corner * np.array(size) / 2 for corner in _cube()]
        case "plane":
            return [extent * np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])]
        case "cylinder":
            ends = [(0.0, -size[1] / 2), (size[0], -size[1] / 2), (size[0], size[1] / 2), (0.0, size[1] / 2)]
            return _turned(np.array(ends))
        case _:
            half, radius = (size[1] / 2 if body.shape == "capsule" else 0.0), size[0]
            turn = np.linspace(0, np.pi / 2, RINGS + 1)
            upper = np.stack([radius * np.cos(turn), half + radius * np.sin(turn)], axis=-1)
            return _turned(np.concatenate([upper[::-1] * [1, -1], upper[0 if half else 1 :]]))


def _cube() -> list[np.ndarray]:
    square = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    return [np.insert(square, axis, side, axis=1) for axis in range(3) for side in (-1.0, 1.0)]


def _turned(outline: np.ndarray) -> list[np.ndarray]:
    """Faces of an outline (K, 2) of radii and heights that is turned about z."""
    angle = np.linspace(0, 2 * np.pi, AROUND + 1)
    way = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    found = []
    for (r, z), (s, y) in pairwise(outline):
        for one, two in pairwise(way):
            corners = [np.append(r * one, z), np.append(r * two, z), np.append(s * two, y), np.append(s * one, y)]
            found.append(np.array(corners if min(r, s) > 0 else corners[:3] if r > 0 else [corners[0], *corners[2:]]))
    return found
