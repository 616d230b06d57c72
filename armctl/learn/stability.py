"""The closed loop's Jacobian: whether what disturbs the joints dies out under a controller, and how fast."""

from collections.abc import Callable

import jax
import numpy as np

from armctl.twin.episodes import Episodes, Task

STEP = 0.02
"""Of the differences, rad."""
PERIOD = 0.1
"""Time in which a step of velocity makes one of position, s: smaller ones drown in what noise does to a stiff loop."""


def jacobians(
    advance: Callable[[Episodes], Episodes], episodes: Episodes, windows: int = 1, step: float = STEP
) -> np.ndarray:
    """d(q, qd) after so many windows by d(q, qd) at their start, (E, 2n, 2n) in rad and rad/s, of E episodes.

    advance: rolls the E episodes over a window; step: of the central differences, rad, and step / PERIOD rad/s. The
    controller's memory and the commands under way are left as they are. One disturbance is rolled at a time, by
    whatever program rolls the episodes themselves: a batch of them all, or the derivative, would be another one to
    compile.
    """
    n, ends = episodes.state.q.shape[-1], []
    steps = np.repeat([step, step / PERIOD], n)
    for i in range(2 * n):
        for move in (steps[i], -steps[i]):
            q, qd = episodes.state.q, episodes.state.qd
            q, qd = (q.at[:, i].add(move), qd) if i < n else (q, qd.at[:, i - n].add(move))
            moved = episodes._replace(state=episodes.state._replace(q=q, qd=qd))
            for _ in range(windows):
                moved = advance(moved)
            ends.append(np.concatenate([moved.state.q, moved.state.qd], axis=-1))
    x = np.stack(ends).reshape(2 * n, 2, -1, 2 * n)
    return np.moveaxis((x[:, 0] - x[:, 1]) / (2 * steps[:, None, None]), 0, -1)


def without_dry_friction(task: Task) -> Task:
    """The task on plants without it: what it holds back for good no loop could make die out, and it is no danger."""
    effects = dict(task.plants.effects)
    if "dry_friction" in effects:
        effects["dry_friction"] = jax.tree.map(np.zeros_like, effects["dry_friction"])
    return task._replace(plants=task.plants._replace(effects=effects))


def rates(jacobians: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Contraction and amplification of every Jacobian (E, 2n, 2n) over so many control steps, (E,) each.

    contraction: modulus of the largest eigenvalue, per control step; below 1 disturbances die out. amplification: the
    largest singular value, by how much the worst disturbance has grown at the end (rad and rad/s). Not a number where
    a rollout did not stay finite.
    """
    finite = np.isfinite(jacobians).all(axis=(-2, -1))
    sound = np.where(finite[:, None, None], jacobians, 0.0)
    radius = np.abs(np.linalg.eigvals(sound)).max(axis=-1) ** (1 / horizon)
    worst = np.linalg.norm(sound, 2, axis=(-2, -1))
    return np.where(finite, radius, np.nan), np.where(finite, worst, np.nan)
