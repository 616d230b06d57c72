"""What the arms of the twin's environments do: reach for poses, or track references; each draws as PyBullet's does."""

from collections.abc import Sequence
from inspect import getfullargspec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion.files import as_reference
from armctl.motion.goals import WORKSPACE, Region, check_goal, check_reached, draw_goals
from armctl.motion.reference import Reference
from armctl.motion.sampling import random_reference
from armctl.motion.windows import ReferenceBank, stack_references, still_goals
from armctl.plant.reward import STANDARD, check_tolerance
from armctl.plant.task import check_duration, check_length, check_no_preview, check_preview, check_settle
from armctl.scene.body import Scene


class Drawn(NamedTuple):
    """References of episodes, and the joint states (N, n) rad and rad/s in which they begin."""

    bank: ReferenceBank
    q: np.ndarray
    qd: np.ndarray


class Reaching:
    """From rest at home to a pose.

    Attributes: targets, how many an observation shows the errors to; lead, control steps in which nothing counts; near,
    what counts as success; position_only; spare, goals behind the drawn ones, one per arm, for the reset option.
    """

    title = "Reaching"
    targets = lead = 0

    def __init__(
        self,
        chain: Chain,
        dt: float,
        arms: int,
        *,
        preview: int | None = None,
        max_episode_steps: int = 200,
        region: Region = WORKSPACE,
        tolerance: float | Sequence[float] | None = None,
        position_only: bool = False,
        goal: ArrayLike | None = None,
        scene: Scene | None = None,
    ) -> None:
        """Arguments as in ReachEnv. Raises UsageError for bad ones."""
        check_no_preview(preview)
        check_reached(chain, region, scene)
        self._chain, self._steps, self._region = chain, check_length(max_episode_steps), region
        self._scene = scene
        self.near, self.position_only, self.spare = check_tolerance(tolerance, position_only), position_only, arms
        self._goal = None if goal is None else check_goal(chain, goal, position_only)

    def draw(self, rngs: Sequence[np.random.Generator]) -> Drawn:
        """Goals in the region, or the one that is given, and the spare ones behind them."""
        where = self._region, self._scene
        drawn = [draw_goals(self._chain, r, 1, *where) for r in rngs] if self._goal is None else [self._goal[None]]
        poses = np.concatenate([*drawn, np.tile(drawn[0], (self.spare, 1))])
        home = np.tile(self._chain.home, (len(poses), 1))  # of a goal the pose alone counts, not the joints
        return Drawn(still_goals(home, poses, self._steps + 1), home, 0 * home)


class Tracking:
    """Along a reference. Attributes as those of Reaching."""

    title = "Tracking"
    position_only, near, spare = False, STANDARD, 0

    def __init__(
        self,
        chain: Chain,
        dt: float,
        arms: int,
        *,
        reference: Reference | str | Path | None = None,
        preview: int = 4,
        duration: float = 4.0,
        settle: float = 0.0,
        scene: Scene | None = None,
    ) -> None:
        """Arguments as in TrackEnv. Raises UsageError for bad ones."""
        self._chain, self._dt, self._duration, self._scene = chain, dt, check_duration(duration, dt), scene
        self.targets, self.lead = check_preview(preview) + 1, check_settle(settle, dt)
        self._given = None if reference is None else as_reference(reference, chain, dt)
        if self._given is not None and "start" in self._given.meta:
            raise UsageError(
                f"Reference '{self._given.name}' does not start where the arm does, which the twin does not know; use "
                'backend="bullet".'
            )

    def draw(self, rngs: Sequence[np.random.Generator]) -> Drawn:
        """Random references, or the one that is given, after the held samples."""
        bank = stack_references([one.after_hold(self.lead) if self.lead else one for one in self._references(rngs)])
        return Drawn(bank, bank.samples.q[:, 0], bank.samples.qd[:, 0])

    def _references(self, rngs: Sequence[np.random.Generator]) -> list[Reference]:
        if self._given is not None:
            return [self._given]
        length: dict[str, Any] = {"dt": self._dt, "duration": self._duration, "scene": self._scene}
        return [random_reference(self._chain, rng, **length) for rng in rngs]


Kind = Reaching | Tracking
TASKS: dict[str, type[Reaching] | type[Tracking]] = {"reach": Reaching, "track": Tracking}


def make_task(name: str, chain: Chain, dt: float, arms: int, given: dict[str, Any], scene: Scene | None = None) -> Kind:
    """A task by name. Raises UsageError for an unknown one, and for arguments that are another task's or nobody's."""
    if name not in TASKS:
        raise UsageError(f"Unknown task {name!r}; choose one of {', '.join(TASKS)}.")
    takes = {task: getfullargspec(kind).kwonlyargs for task, kind in TASKS.items()}
    for word in given:
        if word not in takes[name]:
            others = [f"make a {task.capitalize()} environment" for task in TASKS if word in takes[task]]
            remedy = others[0] if others else f"it takes {', '.join(takes[name])}"
            raise UsageError(f"{TASKS[name].title} takes no {word}; {remedy}.")
    return TASKS[name](chain, dt, arms, scene=scene, **given)
