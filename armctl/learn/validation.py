"""What parameters are chosen by: other motions and other plants than they were trained on, and a loop that contracts.

Episodes are whole ones from their first sample on. They and the copies whose differences make the closed loop's
Jacobian are rolled by one compiled program, so many control steps at a time.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from flax import nnx

from armctl.controllers.base import Controller
from armctl.learn import rollout, stability
from armctl.learn.learner import TrainConfig
from armctl.learn.losses import evened, pose_errors
from armctl.twin.episodes import Episodes, Setting, Task

WINDOWS = 3
"""Over so many windows disturbances have to die out: about a second."""
LOST = 300.0
"""What a diverged episode counts, mm."""


@dataclass(frozen=True)
class Verdict:
    """What validation says of parameters."""

    score: float
    """Mean over the episodes of their pose errors, `evened`, at the final width of the training loss, mm; a diverged
    episode's counts 300."""
    position_rms_mm: float
    """Root mean square of the tip's distance over an episode, its mean over the episodes, mm."""
    diverged: int
    """Episodes that did not stay within 0.3 m."""
    contraction: float
    """Largest factor per control step, over the episodes, by which what disturbs the joints dies out."""
    amplification: float
    """Largest growth of a disturbance over a window, rad and rad/s."""
    unstable: tuple[int, ...] = ()
    """Plants on which the loop does not contract, or an episode diverged."""

    @property
    def sound(self) -> bool:
        """Whether the parameters may be released: nothing diverged, and the loop contracts on every plant."""
        return not self.unstable

    def row(self) -> dict[str, float]:
        """For metrics.csv."""
        names = ("score", "position_rms_mm", "diverged", "contraction", "amplification")
        return {f"validation_{name}": float(getattr(self, name)) for name in names}


def better(new: Verdict, old: Verdict) -> bool:
    """Whether parameters are to be preferred: sound ones before others, then by what diverged, then by the score."""
    return (not new.sound, new.diverged, new.score) < (not old.sound, old.diverged, old.score)


class Validation:
    """What a controller's parameters do on all references of a task, each on its own plant."""

    def __init__(self, controller: Controller, setting: Setting, task: Task, config: TrainConfig) -> None:
        graph, _, *rest = nnx.split(controller, nnx.Param, ...)

        @jax.jit
        def advance(params: Any, task: Task, episodes: Episodes) -> tuple[Episodes, Any]:
            module = nnx.merge(graph, params, *rest)
            after, (_, errors) = rollout.advance(setting, task, module, episodes, config.objective, 1.0, config.horizon)
            return after, errors

        self.advance, self.setting, self.task, self.config = advance, setting, task, config
        self.graph, self.rest = graph, rest

    def __call__(self, params: Any, best: float = np.inf) -> Verdict:
        """The verdict; whether the loop contracts is asked of parameters that are better than the best so far only."""
        episodes, errors = self.windows(params)
        position, chord = (np.concatenate([row[i] for row in errors]) for i in range(2))
        moving = np.arange(len(position))[:, None] < np.asarray(self.task.bank.length) - 1
        found = _errors(self.config, np.where(moving, position, 0), np.where(moving, chord, 0), moving)
        if found.unstable or found.score >= best:
            return found
        smooth, middle = stability.without_dry_friction(self.task), episodes[(len(episodes) - 1) // 4]
        slopes = stability.jacobians(lambda x: self.advance(params, smooth, x)[0], middle, WINDOWS)
        return _judged(found, *stability.rates(slopes, WINDOWS * self.config.horizon))

    def windows(self, params: Any) -> tuple[list[Episodes], list[Any]]:
        """Episodes at the start and after every window, and the squared errors of each (horizon, E)."""
        module = nnx.merge(self.graph, params, *self.rest)
        episodes, errors = [rollout.whole(self.setting, self.task, module)], []
        for _ in range(-(-(int(max(self.task.bank.length)) - 1) // self.config.horizon)):
            after, row = self.advance(params, self.task, episodes[-1])
            episodes.append(after)
            errors.append(jax.tree.map(np.asarray, row))
        return episodes, errors


def _errors(config: TrainConfig, position: np.ndarray, chord: np.ndarray, moving: np.ndarray) -> Verdict:
    """From squared errors (T, E) m^2 and rad^2, zero where an episode is over; of contraction nothing is known yet."""
    lost = ~np.isfinite(position).all(axis=0) | (np.nan_to_num(position).max(axis=0) > 0.3**2)
    position, chord = (np.where(lost, 0, x) for x in (position, chord))
    pose = np.asarray(pose_errors(config.objective, (position, chord), config.objective.delta_end))
    steps = moving.sum(axis=0)
    score = evened(config.objective, np.where(lost, LOST, pose.sum(axis=0) / steps))
    rms = np.where(lost, LOST, np.sqrt(1e6 * position.sum(axis=0) / steps))
    unstable = tuple(int(i) for i in np.flatnonzero(lost))
    return Verdict(float(score.mean()), float(rms.mean()), int(lost.sum()), np.nan, np.nan, unstable)


def _judged(found: Verdict, radius: np.ndarray, growth: np.ndarray) -> Verdict:
    """The verdict with contraction and amplification of every episode, (E,) each."""
    unstable = tuple(int(i) for i in np.flatnonzero(~(radius < 1)))
    return replace(found, contraction=float(np.max(radius)), amplification=float(np.max(growth)), unstable=unstable)
