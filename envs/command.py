"""From a normalised action to the physical command of a control mode."""

import numpy as np

from armctl import rigid
from armctl.errors import UsageError
from armctl.plant.servo import TWIST_LIMIT, ServoConfig, joint_velocity_from_twist
from armctl.urdf import Chain


class CommandMap:
    """Turns actions in [-1, 1]^size into commands for the plant; `scale` is the physical value of a full action.

    torque: effort limits (N m). velocity: velocity limits (rad/s). position: each action moves the previous *target* by
    at most velocity * control_dt (rad), within the joint limits. ee_twist: 0.5 m/s and 1.5 rad/s at the tip, turned
    into joint velocities by damped least squares at the measured configuration.
    """

    def __init__(self, chain: Chain, config: ServoConfig):
        self._chain, self._control = chain, config.control
        self.scale = {
            "torque": chain.effort,
            "velocity": chain.velocity,
            "position": chain.velocity * config.control_dt,
            "ee_twist": np.array(TWIST_LIMIT),
        }[config.control]
        self.size = len(self.scale)

    def reset(self, q: np.ndarray) -> None:
        """Start an episode at q (n,): the first target of position control."""
        self._target = q

    def check(self, action) -> np.ndarray:
        """The action as floats, clipped to [-1, 1]. Raises UsageError for a wrong shape and for NaN or infinity."""
        try:
            values = np.asarray(action, dtype=float)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.shape != (self.size,):
            shape = values.shape if values.size else f"type {type(action).__name__}"
            raise UsageError(f"The action has shape {shape}; control={self._control!r} takes {self.size} numbers.")
        clipped = np.minimum(np.maximum(values, -1.0), 1.0)
        if not np.isfinite(clipped).all() or np.isinf(values).any():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise UsageError(f"Entry {bad} of the action is {values[bad]}; actions must be finite, in [-1, 1].")
        return clipped

    def command(self, action: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Physical command (n,) of a checked action (size,) at the measured configuration q (n,)."""
        value = action * self.scale
        if self._control == "position":
            chain = self._chain
            self._target = np.minimum(np.maximum(self._target + value, chain.lower), chain.upper)
            return self._target
        if self._control == "ee_twist":
            return joint_velocity_from_twist(rigid.jacobian(self._chain, q), value, self._chain.velocity)
        return value
