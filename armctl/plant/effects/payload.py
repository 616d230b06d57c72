"""The load at the tip: a solid sphere, and its change when something is picked up or dropped."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from armctl.chain import Chain
from armctl.plant.effects.effect import Effect
from armctl.rigid import about_origin
from armctl.typing import Array

RADIUS = 0.05
"""Of the sphere, m."""


class Moments(NamedTuple):
    """A body's inertial parameters in the last link's frame, about its origin; leading axes are batches."""

    mass: np.ndarray  # () kg
    first_moment: np.ndarray  # (3,) kg m
    inertia: np.ndarray  # (3, 3) kg m^2


def centre_of(chain: Chain, com: ArrayLike) -> np.ndarray:
    """Centre of a payload in the last link's frame, (3,) m. com: (3,) m in the tip frame."""
    return chain.T_last_tip[:3, :3] @ np.asarray(com, float) + chain.T_last_tip[:3, 3]


def sphere(chain: Chain, mass: float, com: ArrayLike) -> Moments:
    """A solid sphere of 5 cm radius. mass: kg; com: (3,) m, its centre in the tip frame."""
    centre = centre_of(chain, com)
    inertia = about_origin(np.asarray(mass), centre, 0.4 * mass * RADIUS**2 * np.eye(3))
    return Moments(np.asarray(mass, float), mass * centre, inertia)


class SwitchParams(NamedTuple):
    """When the load changes, () s, and by what."""

    time: np.ndarray
    change: Moments


@dataclass(frozen=True)
class Switch(Effect, name="payload_switch"):
    """The load changes to another at the first control step that begins at `time` or later; joints keep their speed."""

    time: float
    before: tuple[float, tuple[float, ...]]
    after: tuple[float, tuple[float, ...]]

    def prepare(self, chain: Chain) -> SwitchParams:
        """What has to be added to the first load to make it the second."""
        old, new = sphere(chain, *self.before), sphere(chain, *self.after)
        return SwitchParams(np.asarray(self.time, float), Moments(*(b - a for a, b in zip(old, new, strict=True))))


def over(time_of_change: Array, time: Array, control_dt: float) -> Array:
    """Whether the load has changed in the control step that begins at `time`, s, give or take a thousandth of one."""
    return time >= time_of_change - 1e-3 * control_dt
