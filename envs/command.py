"""From a normalised action to the physical command of a control mode, and from there to what the drive follows."""

from math import isfinite

import numpy as np

from armctl import rigid
from armctl.errors import UsageError
from armctl.plant.servo import TWIST_LIMIT, ServoConfig, joint_velocity_from_twist
from armctl.urdf import Chain

# as arrays, because NumPy would make them so at every call
LOWEST, HIGHEST = np.array(-1.0), np.array(1.0)


def action_scale(chain: Chain, config: ServoConfig) -> np.ndarray:
    """Physical value of a full action: N m, rad/s, rad of target change, or m/s and rad/s of the tip; (n,) or (6,)."""
    return {
        "torque": chain.effort,
        "velocity": chain.velocity,
        "position": chain.velocity * config.control_dt,
        "ee_twist": np.array(TWIST_LIMIT),
    }[config.control]


def check_action(action, size: int, control: str) -> np.ndarray:
    """The action (size,) as floats, clipped to [-1, 1]. Raises UsageError for a wrong shape, NaN or infinity."""
    try:
        values = np.asarray(action, dtype=float)
    except (TypeError, ValueError):
        raise UsageError(f"The action is a {type(action).__name__}; give {size} numbers in [-1, 1].") from None
    if values.shape != (size,):
        raise UsageError(f"The action has shape {values.shape}; control={control!r} takes {size} numbers, ({size},).")
    if not isfinite(values.dot(values)) and not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise UsageError(f"Entry {bad} of the action is {values[bad]}; give finite numbers in [-1, 1].")
    return np.minimum(np.maximum(values, LOWEST), HIGHEST)


class Follower:
    """Turns commands into what the drive follows: torque (N m), joint velocity (rad/s) or joint target (rad).

    Position commands move the previous target, within the joint limits; tip twists become joint velocities by damped
    least squares.
    """

    def __init__(self, chain: Chain, config: ServoConfig):
        self._chain, self._control = chain, config.control
        self._lower, self._upper = chain.lower, chain.upper

    def reset(self, q: np.ndarray) -> None:
        """Start an episode at q (n,): the first target of position control."""
        self._target = q

    def __call__(self, command: np.ndarray, q: np.ndarray) -> np.ndarray:
        """What the drive follows (n,) on a command taking effect at joint positions q (n,)."""
        if self._control == "position":
            self._target = np.minimum(np.maximum(self._target + command, self._lower), self._upper)
            return self._target
        if self._control == "ee_twist":
            return joint_velocity_from_twist(rigid.jacobian(self._chain, q), command, self._chain.velocity)
        return command
