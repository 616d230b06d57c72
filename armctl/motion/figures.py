"""Plane and spatial figures, free of any arm: offsets from a centre over s in [0, 1], at rest at both ends."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from armctl.motion.families import minimum_jerk

RAMP = 0.12  # share of the time for speeding up, and again for slowing down, along smooth closed figures
DIAGONAL = np.array([[0.0, 0.4, 0.0], [0.4, 0.0, 0.4]])  # half axes of 80 % of the inclined plane of a unit cube


def cruise(s: np.ndarray, ramp: float = RAMP) -> np.ndarray:
    """Phase from 0 to 1 with constant speed between two smooth ramps. s (K,) in [0, 1] -> (K,)."""
    x = np.clip(np.minimum(s, 1 - s) / ramp, 0, 1)
    ramped = ramp * x**4 * (2.5 - 3 * x + x**2) + np.maximum(np.minimum(s, 1 - s) - ramp, 0)
    return np.where(s <= 0.5, ramped, 1 - ramp - ramped) / (1 - ramp)


def _legs(corners: ArrayLike, s: np.ndarray) -> np.ndarray:
    """Straight legs between corners (M, 3), at rest at each."""
    corners = np.asarray(corners, float)
    leg = np.minimum((s * (len(corners) - 1)).astype(int), len(corners) - 2)
    share = s * (len(corners) - 1) - leg
    return corners[leg] + minimum_jerk(share)[:, None] * (corners[leg + 1] - corners[leg])


def _round(turns: int, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    angle = 2 * np.pi * turns * cruise(s)
    return angle, np.cos(angle), np.sin(angle), np.zeros_like(angle)


def _circle(s: np.ndarray) -> np.ndarray:
    _, c, d, o = _round(2, s)
    return np.stack([c, d, o], axis=-1)


def _square(s: np.ndarray) -> np.ndarray:
    return _legs([(1, 1, 0), (-1, 1, 0), (-1, -1, 0), (1, -1, 0), (1, 1, 0)], s)


def _figure_eight(s: np.ndarray) -> np.ndarray:
    _, c, d, o = _round(2, s)
    return np.stack([d * c, d, o], axis=-1)


def _helix(s: np.ndarray) -> np.ndarray:
    angle, c, d, _ = _round(3, s)
    return np.stack([c, d, angle / (6 * np.pi) - 0.5], axis=-1)


def _iso_corners() -> list[np.ndarray]:
    across, along = DIAGONAL
    return [np.zeros(3), across + along, across - along, -across - along, along - across]  # P1 to P5


def _iso_poses(s: np.ndarray) -> np.ndarray:
    p = _iso_corners()
    return _legs([p[0], p[4], p[3], p[2], p[1], p[0]], s)


def _iso_line(s: np.ndarray) -> np.ndarray:
    p = _iso_corners()
    return _legs([p[1], p[3], p[1]], s)


def _iso_rectangle(s: np.ndarray) -> np.ndarray:
    p = _iso_corners()
    return _legs([*p[1:], p[1]], s)


def _iso_circle(s: np.ndarray, scale: float = 1.0) -> np.ndarray:
    across, along = DIAGONAL[0], DIAGONAL[1] / np.sqrt(2)
    _, c, d, _ = _round(2, s)
    return scale * (c[:, None] * across + d[:, None] * along)


def _iso_circle_small(s: np.ndarray) -> np.ndarray:
    return _iso_circle(s, 0.1)


@dataclass(frozen=True)
class Figure:
    """offsets: s (K,) -> (K, 3) from the centre, in sizes. iso: size is the ISO cube's side, m."""

    offsets: Callable[[np.ndarray], np.ndarray]
    iso: bool = False


SHAPES = {
    "circle": Figure(_circle),
    "square": Figure(_square),
    "figure_eight": Figure(_figure_eight),
    "helix": Figure(_helix),
    "iso_poses": Figure(_iso_poses, iso=True),
    "iso_line": Figure(_iso_line, iso=True),
    "iso_rectangle": Figure(_iso_rectangle, iso=True),
    "iso_circle": Figure(_iso_circle, iso=True),
    "iso_circle_small": Figure(_iso_circle_small, iso=True),
}
