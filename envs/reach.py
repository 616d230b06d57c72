"""Reaching: bring the tip to a pose and hold it there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl.envs.arm_env import ArmEnv
from armctl.envs.bullet.pose import Pose
from armctl.motion.goals import WORKSPACE, Region, check_goal, check_reached, check_region, draw_goals
from armctl.plant.reward import check_tolerance
from armctl.plant.task import check_no_preview

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
    | `achieved_goal` | 7 | true tip pose: position (m), quaternion xyzw, signed like the target's |
    | `desired_goal` | 7 | target pose, likewise |

    With `position_only` goals are positions, 3 entries. `observe` adds pictures, or shows them alone.

    ## Rewards
    `dense`: the sum of the terms of `info["reward_terms"]` (weights in `armctl.plant.reward.WEIGHTS`). `sparse`: 0
    within `tolerance` of the target (1 cm and 15 degrees), else -1. `compute_reward` recomputes both for relabelled
    goals, batched.

    ## Starting state
    At rest in the arm's home configuration; the target is the tip's pose at a random configuration free of collisions,
    in `region`, or `goal`.

    ## Episode end
    Never terminates; registered with a time limit of 200 steps.

    ## Info
    `is_success`, `position_error` (m), `orientation_error` (rad; 0 with `position_only`), `joint_limit_violation` (rad
    beyond the limits), `torque_saturation` (share of joints and physics steps at the effort limit), `self_collision`,
    `runaway` (a joint moves at 100 rad/s, where PyBullet caps it: no arm's motion any more), `settling` (False here,
    see tracking), `reward_terms`; in a scene also `scene_contact` (a link pressed on a body in this control step).

    ## Arguments
    `robot` (shipped name or URDF path), `tip`, `control`, `reward`, `scenario` (Scenario or dictionary of its fields,
    preset name, or function of a NumPy generator), `physics_dt`, `control_dt` (s), `motor` ("servo": shared torque law,
    which feeds the arm's own friction forward; "bullet": PyBullet's own constraint motors, fast and kinematic),
    `render_mode`, and of the goal:

    | argument | default | meaning |
    |---|---|---|
    | `region` | `"workspace"` | where goals lie: in front of the arm, low, not stretched, the tool turned less than |
    | | | 90 degrees from home; `"everywhere"`; or two corners of a box, m, in which positions are uniform |
    | `tolerance` | (0.01, 0.26) | how near counts as success: m, or m and rad |
    | `position_only` | False | the orientation does not count, and goals are positions (3,) |
    | `goal` | None | the goal of every episode, (7,) m + xyzw, or with `position_only` (3,) |

    `observe` is "state", "image" (`rgb` (height, width, 3) uint8 and `depth` (height, width, 1) float32, m, alone) or
    "both". `camera` says where the picture is taken: "front" (all the arm's reach is in view), "wrist", its pose (7,),
    a View or dictionary with `at`, `width`, `height` (64) and `fov` (1 rad). `render` looks from there too, without
    changing anything. `scene` is a Scene, its name ("table", "shelf", "pillars", "bin", "wall") or file: bodies that
    are seen and that the arm stops at; drawn goals keep clear of them, and touching one costs what touching oneself
    does. `reset(options={"scenario": ..., "goal": ...})` overrules one episode.

    ## Version history
    * v1: `observation` does not know the goal, so that relabelled transitions agree with theirs (v0 had the error to
      the goal in six more entries, and a preview); goals in the workspace (v0: everywhere); `tolerance`, `region`,
      `position_only`, `goal`, pictures. v0 is an alias of v1 for one release.
    * v0: first version.
    """

    options = ("scenario", "goal")
    moves = False

    def __init__(
        self,
        robot: str | Path = "panda",
        *,
        region: Region = WORKSPACE,
        tolerance: float | Sequence[float] | None = None,
        position_only: bool = False,
        goal: ArrayLike | None = None,
        preview: int = 0,
        **kwargs: Any,
    ) -> None:
        check_no_preview(preview)
        self.tolerance, self.position_only = check_tolerance(tolerance, position_only), position_only
        self._region = check_region(region)
        super().__init__(robot, **kwargs)
        self._goal = None if goal is None else self._as_target(goal)
        check_reached(self.chain, region, self.scene)
        self._drawn_from: Any = None
        self._drawn: list[Pose] = []

    def _as_target(self, goal: ArrayLike) -> Pose:
        pose = check_goal(self.chain, goal, self.position_only).tolist()
        return pose[:3], pose[3:]

    def _draw(self) -> Pose:
        """The next goal, position and quaternion: the generator's first alone, later ones in batches, far cheaper."""
        rng = self.np_random
        if rng is not self._drawn_from or not self._drawn:
            poses = draw_goals(self.chain, rng, BATCH if rng is self._drawn_from else 1, self._region, self.scene)
            self._drawn_from, self._drawn = rng, [(pose[:3], pose[3:]) for pose in poses.tolist()]
        return self._drawn.pop()

    def _start(self, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        given = options.pop("goal", None)
        self.targets = [self._as_target(given) if given is not None else self._goal or self._draw()]
        return self.chain.home, 0.0 * self.chain.home
