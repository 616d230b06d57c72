"""Reaching: bring the tip to a pose and hold it there."""

from pathlib import Path
from typing import Any

import numpy as np

from armctl import geometry, rigid
from armctl.envs.arm_env import ArmEnv
from armctl.envs.bullet.pose import Pose
from armctl.motion.sampling import random_configuration

BATCH = 128
"""Goals drawn at once for the episodes to come."""


class ReachEnv(ArmEnv):
    """Bring the tip of an arm to a random reachable pose and hold it there.

    ## Action space
    `Box(-1, 1, (m,), float32)`, times `env.unwrapped.action_scale`, held for `control_dt`; values beyond are clipped.

    | control | m | a full action is | effect |
    |---|---|---|---|
    | `torque` | n | effort limit, N m | joint torque, without gravity compensation |
    | `velocity` | n | velocity limit, rad/s | joint velocity (servo with gravity compensation) |
    | `position` | n | velocity limit x control_dt, rad | moves the previous *target* of each joint |
    | `ee_twist` | 6 | 0.5 m/s, 1.5 rad/s | tip twist, world frame, by damped least squares |

    ## Observation space
    A dictionary of float64 arrays.

    | key | entries | content |
    |---|---|---|
    | `observation` | n, n | measured joint positions (rad) and velocities (rad/s) |
    | | 3, 6 | tip position (m), first two columns of the tip rotation, of the measured joints |
    | | 6 | position error (m) and rotation-vector error (rad) to the target, world frame |
    | `achieved_goal` | 7 | true tip pose: position (m), quaternion xyzw, signed like the target's |
    | `desired_goal` | 7 | target pose, likewise |

    ## Rewards
    `dense`: the sum of the terms of `info["reward_terms"]` (weights in `armctl.plant.reward.WEIGHTS`). `sparse`: 0
    within 1 cm and 15 degrees of the target, else -1. `compute_reward` recomputes both for relabelled goals, batched.

    ## Starting state
    At rest in the arm's home configuration; the target is the tip's pose at a random configuration free of collisions.

    ## Episode end
    Never terminates; registered with a time limit of 200 steps.

    ## Info
    `is_success`, `position_error` (m), `orientation_error` (rad), `joint_limit_violation` (rad beyond the limits),
    `torque_saturation` (share of joints and physics steps at the effort limit), `self_collision`, `runaway` (a joint
    moves at 100 rad/s, where PyBullet caps it: no arm's motion any more), `settling` (False here, see tracking),
    `reward_terms`.

    ## Arguments
    `robot` (shipped name or URDF path), `tip`, `control`, `reward`, `scenario` (Scenario or dictionary of its fields,
    preset name, or function of a NumPy generator), `physics_dt`, `control_dt` (s), `motor` ("servo": shared torque law,
    which feeds the arm's own friction forward; "bullet": PyBullet's own constraint motors, fast and kinematic),
    `render_mode`. `reset(options={"scenario": ...})` overrules one episode.

    ## Version history
    * v0: first version.
    """

    options = ("scenario",)
    moves = False

    def __init__(self, robot: str | Path = "panda", **kwargs: Any) -> None:
        super().__init__(robot, **kwargs)
        self._drawn_from: Any = None
        self._drawn: list[Pose] = []

    def _draw(self) -> Pose:
        """The next goal, position and quaternion: the generator's first alone, later ones in batches, far cheaper."""
        rng = self.np_random
        if rng is not self._drawn_from or not self._drawn:
            q = random_configuration(self.chain, rng, BATCH if rng is self._drawn_from else 1)
            poses = geometry.matrix_to_pose(rigid.forward_kinematics(self.chain, q)).tolist()
            self._drawn_from, self._drawn = rng, [(pose[:3], pose[3:]) for pose in poses]
        return self._drawn.pop()

    def _start(self, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        self.targets = [self._draw()] * (self.preview + 1)
        return self.chain.home, 0.0 * self.chain.home
