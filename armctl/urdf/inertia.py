"""Rigid-body inertia: is it physical, the smallest repair when it is not, and lumping several bodies into one."""

from functools import partial

import numpy as np

from armctl.errors import UsageError
from armctl.urdf.parse import Link, read_each

# Bullet silently zeroes tensors that miss the triangle inequality by any amount, so repairs keep this relative margin.
_MARGIN = 1e-6
_SLIGHT = 0.5
"""A negative principal inertia up to this share of the largest one is a slip; beyond it the tensor means nothing."""
_NOTHING = 1e-14
"""Inertia that is zero but for rounding, kg m2: a milligram at the size of a grain of sand has more."""
_THIN = 1e-4
"""Smallest principal inertia of what a joint moves over the largest: that of a rod a hundred times as long as thick."""


def second_moment(inertia: np.ndarray) -> np.ndarray:
    """Density-weighted second moment of mass (3, 3) [kg m2] of an inertia (3, 3) about the same point.

    The inertia is that of a real body exactly when this matrix is positive semi-definite, which is the triangle
    inequality of the principal moments (Wensing, Kim, Slotine 2018).
    """
    return 0.5 * np.trace(inertia) * np.eye(3) - inertia


def repaired(inertia: np.ndarray, margin: float = _MARGIN) -> np.ndarray:
    """The nearest physical inertia (3, 3) [kg m2]: negative second moments of mass are raised to a small margin."""
    values, vectors = np.linalg.eigh(second_moment(inertia))
    values = np.maximum(values, margin * np.trace(inertia))
    moment = (vectors * values) @ vectors.T
    return np.trace(moment) * np.eye(3) - moment


def checked_inertia(link: Link) -> tuple[np.ndarray, list[str]]:
    """The link's inertia (3, 3) [kg m2], repaired, with a note, where it is nearly that of a body.

    Raises UsageError for a negative mass and for an inertia that no repair can make sense of.
    """
    checked: tuple[np.ndarray, list[str]]
    _, checked = read_each(partial(_check_mass, link), partial(_physical, link))
    return checked


def _check_mass(link: Link) -> None:
    if link.mass < 0:
        raise UsageError(f"Link {link.name!r} has the negative mass {link.mass:g} kg; give its true mass.")


def _physical(link: Link) -> tuple[np.ndarray, list[str]]:
    principal = np.linalg.eigvalsh(link.inertia)
    scale = max(abs(principal[0]), abs(principal[2]))
    if scale < _NOTHING:
        return np.zeros((3, 3)), []
    if principal[0] < -_SLIGHT * scale:
        raise UsageError(
            f"Link {link.name!r} has the non-physical principal inertias {_text(principal)} kg m2: none may be "
            "negative; correct its <inertia>."
        )
    if principal[2] <= (principal[0] + principal[1]) * (1 + 1e-12):
        return link.inertia, []
    fault = "had a negative one among" if principal[0] < -1e-9 * scale else "broke the triangle inequality with"
    return _mended(link.inertia, f"Link {link.name!r} {fault}")


def _mended(inertia: np.ndarray, what: str, margin: float = _MARGIN) -> tuple[np.ndarray, list[str]]:
    """The repaired inertia (3, 3) [kg m2], and the note that it is."""
    new = repaired(inertia, margin)
    before, after = (_text(np.linalg.eigvalsh(x)) for x in (inertia, new))
    return new, [f"{what} the principal inertias {before} kg m2; repaired to {after} kg m2."]


def _text(values: np.ndarray) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def lump(
    parts: list[tuple[np.ndarray, Link, np.ndarray]], name: str
) -> tuple[float, np.ndarray, np.ndarray, list[str]]:
    """Mass [kg], com (3,) [m] and inertia (3, 3) [kg m2] about the com of rigidly joined links, and notes on a repair.

    `parts` holds (pose (4, 4) of the link in the common frame, link, inertia (3, 3) about the link's com in link axes).
    Raises UsageError when the whole has no mass or no rotational inertia, for then the joint above cannot be simulated.
    """
    mass = sum(link.mass for _, link, _ in parts)
    if mass <= 0:
        raise UsageError(f"Link {name!r} moves but has no mass; add an <inertial> to it.")
    coms = [T[:3, :3] @ link.com + T[:3, 3] for T, link, _ in parts]
    com = np.sum([link.mass * c for (_, link, _), c in zip(parts, coms, strict=True)], axis=0) / mass
    inertia = np.zeros((3, 3))
    for (T, link, own), c in zip(parts, coms, strict=True):
        d = c - com
        inertia += T[:3, :3] @ own @ T[:3, :3].T + link.mass * (d @ d * np.eye(3) - np.outer(d, d))
    inertia = 0.5 * (inertia + inertia.T)
    principal = np.linalg.eigvalsh(inertia)
    if principal[2] < _NOTHING:
        raise UsageError(f"Link {name!r} moves but has a non-physical inertia of zero; give its <inertia>.")
    notes: list[str] = []
    if principal[0] < _MARGIN * principal[2]:  # a rod: nothing resists a turn about its axis
        inertia, notes = _mended(inertia, f"Link {name!r} is a rod without thickness, with", _THIN)
    return mass, com, inertia, notes
