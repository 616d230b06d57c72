"""How fast two links of an arm can approach one another: an upper bound for each joint, whatever the others do."""

from itertools import product

import numpy as np

from armctl.chain import Chain, Shape
from armctl.spheres import mesh_box

RIM = 32
"""Corners of the polygon around the rim of a cylinder."""
BEYOND = 0.2
"""How far joints are taken to go beyond their limits, rad or m: in torque control nothing keeps them from it."""
ALIGNED = 1e-9
"""An axis nearer than this to another (m, and sine of the angle between them) is the same."""


def levers(chain: Chain, base: int, link: int) -> np.ndarray:
    """Upper bounds (n,) on how much the distance of two links changes per unit of each joint between them, m.

    A joint turns one link about its axis as seen from the other, so that the distance changes by no more than the
    angle times the farthest reach from the axis, of either link: the smaller reach counts.
    """
    up = range(base + 1, link + 1)
    from_base = _reaches(chain, base, up, [chain.T_parent_joint[j] for j in up])
    return np.minimum(from_base, own_levers(chain, link, base))


def own_levers(chain: Chain, link: int, base: int = -1) -> np.ndarray:
    """Upper bounds (n,) on how much a link's distance to what stands still, as `base` sees it, changes per joint, m."""
    down = range(link, base, -1)
    return _reaches(chain, link, down, [np.eye(4), *(_inverse(chain.T_parent_joint[j + 1]) for j in down[1:])])


def _reaches(chain: Chain, link: int, joints: range, frames: list[np.ndarray]) -> np.ndarray:
    """How far the shapes of a link reach from the axes of the joints (n,), m, or 1 for a sliding joint.

    joints: one after the other, away from the link. frames: the pose of each in the frame of the one before, of the
    first in that of the link.
    """
    shapes = [shape for shape in chain.shapes if shape.role == "collision" and shape.link == link]
    if not shapes:  # a frame meets nothing
        return np.zeros(chain.n)
    center = np.concatenate([_corners(shape) for shape in shapes])[None]
    radius, reaches, turns = np.zeros(center.shape[:-1]), np.zeros(chain.n), False
    for joint, T in zip(joints, frames, strict=True):
        if turns:
            center, radius = _turned(center, radius, T)
        center = _seen_from(T, center)
        if chain.joint_types[joint] == "prismatic":
            reaches[joint], turns = 1.0, False
            radius = radius + max(abs(chain.lower[joint]), abs(chain.upper[joint])) + BEYOND
        elif joint != joints[0] or not all(_revolves(shape, T) for shape in shapes):
            reaches[joint], turns = np.max(np.min(_from_axis(center) + radius, axis=0)), True
    return reaches


def _turned(center: np.ndarray, radius: np.ndarray, T_next: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Balls that hold balls turned about the z axis by any angle, center (k, P, 3) m, radius (k, P) m -> (2k, P).

    Any ball centred on the axis will do. Two of each are carried on, and of the k the best counts in the end: the
    smallest, and the one whose centre is nearest to the axis that comes next, the z axis of T_next.
    """
    (x, y, z), (u, v, w) = T_next[:3, 3], T_next[:3, 2]
    nearest = z - w * (x * u + y * v) / (u * u + v * v) if np.hypot(u, v) > ALIGNED else 0.0
    heights = center[..., 2]
    on_axis = np.zeros((2, *center.shape))
    on_axis[..., 2] = heights, np.full_like(heights, nearest)
    radius = radius + np.linalg.norm(center - on_axis, axis=-1)
    return on_axis.reshape(-1, *center.shape[1:]), radius.reshape(-1, radius.shape[-1])


def _from_axis(points: np.ndarray) -> np.ndarray:
    return np.hypot(points[..., 0], points[..., 1])


def _revolves(shape: Shape, T_link_joint: np.ndarray) -> bool:
    """Whether a shape looks the same however it is turned about the z axis of a joint."""
    at = _seen_from(T_link_joint, shape.T_link_shape[:3, 3])
    axis = T_link_joint[:3, :3].T @ shape.T_link_shape[:3, 2]
    upright = shape.kind == "sphere" or (shape.kind in ("cylinder", "capsule") and _from_axis(axis) < ALIGNED)
    return bool(_from_axis(at) < ALIGNED and upright)


def _corners(shape: Shape) -> np.ndarray:
    """Points (P, 3) m, in the frame of the link, whose convex hull holds a shape or, if it is round, its core.

    A core is a shape's radius farther from anything than the shape, always, and so approaches it at the same rate.
    """
    if shape.kind == "sphere":
        corners = np.zeros((1, 3))
    elif shape.kind in ("box", "mesh"):
        extents, middle = (np.array(shape.size), np.zeros(3)) if shape.kind == "box" else mesh_box(shape)
        corners = middle + extents * np.array(list(product((-0.5, 0.5), repeat=3)))
    else:
        radius, length = shape.size
        corners = np.array([[0.0, 0.0, -length / 2], [0.0, 0.0, length / 2]])
        if shape.kind == "cylinder":
            turns = 2 * np.pi * np.arange(RIM) / RIM
            rim = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=-1) * radius / np.cos(np.pi / RIM)
            corners = (corners[:, None] + rim).reshape(-1, 3)
    return corners @ shape.T_link_shape[:3, :3].T + shape.T_link_shape[:3, 3]


def _inverse(T: np.ndarray) -> np.ndarray:
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = T[:3, :3].T, -T[:3, :3].T @ T[:3, 3]
    return back


def _seen_from(T: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 3) in the frame whose pose is T."""
    return (points - T[:3, 3]) @ T[:3, :3]
