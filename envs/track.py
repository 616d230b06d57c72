"""Tracking: follow a moving pose."""

from pathlib import Path
from typing import Any

import numpy as np

from armctl.envs.arm_env import ArmEnv
from armctl.errors import UsageError
from armctl.motion.files import as_reference
from armctl.motion.reference import Reference
from armctl.motion.sampling import random_reference
from armctl.plant.task import check_duration, check_settle


class TrackEnv(ArmEnv):
    """Follow a reference: a goal trajectory of the tip on the grid of control steps.

    ## Action space
    As in reaching: `Box(-1, 1, (m,), float32)`, times `env.unwrapped.action_scale`; `torque` (effort limits, N m),
    `velocity` (velocity limits, rad/s), `position` (velocity limits x control_dt, rad, moves the previous *target*),
    `ee_twist` (0.5 m/s and 1.5 rad/s, world frame).

    ## Observation space
    A dictionary of float64 arrays.

    | key | entries | content |
    |---|---|---|
    | `observation` | n, n | measured joint positions (rad) and velocities (rad/s) |
    | | 3, 6 | tip position (m), first two columns of the tip rotation, of the measured joints |
    | | 6 (preview + 1) | position error (m) and rotation-vector error (rad), world frame, to the target of now and of |
    | | | each of the next `preview` control steps |
    | `achieved_goal` | 7 | true tip pose: position (m), quaternion xyzw, signed like the target's |
    | `desired_goal` | 7 | target pose of now, likewise |

    ## Rewards
    As in reaching. The pose at the end of a step is compared with the reference's next sample: the target of the
    observation that the step returns.

    ## Starting state
    On the reference: joint positions and velocities of its first sample, or what its meta data name as `start`; at rest
    where it is held first (`settle`).

    ## Episode end
    Never terminates; truncated at the last sample of the reference, after K - 1 steps (and those of `settle`).

    ## Info and arguments
    As in reaching, and `settle` (seconds, 0): for so long the first pose is held, at rest, before the reference starts,
    so that a controller can settle under a load that the start does not know of; `info["settling"]` is True and rewards
    are 0 until then. Also `reference` (a Reference, the path of one (.npz or .csv), or None: drawn anew each episode
    from the seed, `duration` seconds long), `preview` (4). `reset(options={"reference": ..., "scenario": ...})`
    overrules one episode. `env.unwrapped.reference` is the reference of the running episode.

    `observe`, `camera` and `scene` as in reaching; drawn references keep clear of the scene, and one that would start
    in a body is refused.

    ## Version history
    * v1: pictures. v0 is an alias of v1 for one release.
    * v0: first version.
    """

    options = ("reference", "scenario")

    def __init__(
        self,
        robot: str | Path = "panda",
        *,
        reference: Reference | str | Path | None = None,
        preview: int = 4,
        duration: float = 4.0,
        settle: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(robot, preview=preview, **kwargs)
        self._duration, self._lead = check_duration(duration, self.dt), check_settle(settle, self.dt)
        self._fixed = None if reference is None else as_reference(reference, self.chain, self.dt)
        self.reference: Any = None

    def _start(self, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        given = options.pop("reference", None)
        reference = self._fixed if given is None else as_reference(given, self.chain, self.dt)
        if reference is None:
            rng, scene = self.np_random, self.scene
            reference = random_reference(self.chain, rng, dt=self.dt, duration=self._duration, scene=scene)
        if reference is not self.reference:
            poses = [(row[:3], row[3:]) for row in reference.pose.tolist()]
            self.reference = reference
            self.targets = poses[:1] * self._lead + poses + [poses[-1]] * self.preview
            self._length = self._lead + len(reference.q) - 1
        if self._lead and "start" in reference.meta:
            raise UsageError(f"Reference '{reference.name}' has no first pose to hold; make it with settle=0.")
        q, qd = reference.start
        return q, 0 * qd if self._lead else qd
