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
    if not (type(action) is np.ndarray and action.dtype.char in "fd"):  # what agents send needs no copy
        try:
            action = np.asarray(action, dtype=float)
        except (TypeError, ValueError):
            raise UsageError(f"The action is a {type(action).__name__}; give {size} numbers in [-1, 1].") from None
    if action.shape != (size,):
        raise UsageError(f"The action has shape {action.shape}; control={control!r} takes {size} numbers, ({size},).")
    values = action.tolist()
    if not isfinite(sum(values)) and not all(map(isfinite, values)):
        bad = list(map(isfinite, values)).index(False)
        raise UsageError(f"Entry {bad} of the action is {values[bad]}; give finite numbers in [-1, 1].")
    return [-1.0 if x < -1.0 else 1.0 if x > 1.0 else x for x in values]


class Follower:
    """Turns commands into what the drive follows: torque (N m), joint velocity (rad/s) or joint target (rad).

    Position commands move the previous target, within the joint limits, and the drive follows it at a distance of
    `reach` (n,) rad at most; tip twists become joint velocities by damped least squares.
    """

    def __init__(self, chain: Chain, config: ServoConfig, reach: np.ndarray):
        self._chain, self._control, self._reach = chain, config.control, reach.tolist()
        self._lower, self._upper = chain.lower.tolist(), chain.upper.tolist()

    def reset(self, q: Sequence[float]) -> None:
        """Start an episode at q, n numbers: the first target of position control."""
        self._target = q

    def goal(self, command: Sequence[float], q: Sequence[float]) -> Sequence[float]:
        """What the drive follows, n numbers, on a command taking effect at joint positions q, n numbers."""
        if self._control == "ee_twist":
            J = rigid.jacobian(self._chain, np.array(q))
            return joint_velocity_from_twist(J, np.asarray(command), self._chain.velocity)
        if self._control != "position":
            return command
        targets, goals = [], []
        moves = zip(self._target, command, self._lower, self._upper, q, self._reach)  # noqa: B905 (strict costs a tenth)
        for target, change, low, high, x, far in moves:
            target += change
            if target < low:
                target = low
            elif target > high:
                target = high
            targets.append(target)
            way = target - x
            goals.append(target if -far <= way <= far else x + far if way > 0 else x - far)
        self._target = targets
        return goals
