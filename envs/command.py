"""From a normalised action to the physical command of a control mode, and from there to what the drive follows.

Once a step and for one arm: on plain numbers, because a NumPy call costs more than a loop over so few joints.
"""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from armctl import rigid
from armctl.errors import UsageError
from armctl.plant.servo import TWIST_LIMIT, ServoConfig, joint_velocity_from_twist
from armctl.urdf import Chain


def action_scale(chain: Chain, config: ServoConfig) -> np.ndarray:
    """Physical value of a full action: N m, rad/s, rad of target change, or m/s and rad/s of the tip; (n,) or (6,)."""
    return {
        "torque": chain.effort,
        "velocity": chain.velocity,
        "position": chain.velocity * config.control_dt,
        "ee_twist": np.array(TWIST_LIMIT),
    }[config.control]


def check_action(action, size: int, control: str) -> list[float]:
    """The action's numbers, clipped to [-1, 1]. Raises UsageError for another shape than (size,), NaN or infinity."""
    try:
        array = np.asarray(action, dtype=float)
    except (TypeError, ValueError):
        raise UsageError(f"The action is a {type(action).__name__}; give {size} numbers in [-1, 1].") from None
    if array.shape != (size,):
        raise UsageError(f"The action has shape {array.shape}; control={control!r} takes {size} numbers, ({size},).")
    values = array.tolist()
    if not isfinite(sum(values)) and not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise UsageError(f"Entry {bad} of the action is {values[bad]}; give finite numbers in [-1, 1].")
    return [-1.0 if x < -1.0 else 1.0 if x > 1.0 else x for x in values]


class Follower:
    """Turns commands into what the drive follows: torque (N m), joint velocity (rad/s) or joint target (rad).

    Position commands move the previous target, within the joint limits; tip twists become joint velocities by damped
    least squares.
    """

    def __init__(self, chain: Chain, config: ServoConfig):
        self._chain, self._control = chain, config.control
        self._lower, self._upper = chain.lower.tolist(), chain.upper.tolist()

    def reset(self, q: np.ndarray) -> None:
        """Start an episode at q (n,): the first target of position control."""
        self._target = q.tolist()

    def __call__(self, command: Sequence[float], q: np.ndarray) -> Sequence[float]:
        """What the drive follows, n numbers, on a command taking effect at joint positions q (n,)."""
        if self._control == "position":
            moves = zip(self._target, command, self._lower, self._upper, strict=True)
            self._target = [low if (x := a + b) < low else high if x > high else x for a, b, low, high in moves]
            return self._target
        if self._control == "ee_twist":
            return joint_velocity_from_twist(rigid.jacobian(self._chain, q), np.asarray(command), self._chain.velocity)
        return command
