"""From a command to what the drive follows.

Once a control step and for one arm: on plain numbers, because a NumPy call costs more than a loop over so few joints.
"""

from collections.abc import Sequence

import numpy as np

from armctl import rigid
from armctl.chain import Chain
from armctl.envs.bullet.pose import Numbers
from armctl.plant.servo import ServoConfig, joint_velocity_from_twist


class Follower:
    """Turns commands into what the drive follows: torque (N m), joint velocity (rad/s) or joint target (rad).

    Position commands move the previous target, within the joint limits, and the drive follows it at a distance of
    `reach` (n,) rad at most; tip twists become joint velocities by damped least squares.
    """

    def __init__(self, chain: Chain, config: ServoConfig, reach: np.ndarray) -> None:
        self._chain, self._control, self._reach = chain, config.control, reach.tolist()
        self._lower, self._upper = chain.lower.tolist(), chain.upper.tolist()

    def reset(self, q: Sequence[float]) -> None:
        """Start an episode at q, n numbers: the first target of position control."""
        self._target = q

    def goal(self, command: Numbers, q: Sequence[float]) -> Numbers:
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
