"""The closed loop's Jacobian: whether what disturbs the joints dies out under a controller, and how fast."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.controllers.base import Controller
from armctl.learn import rollout
from armctl.learn.learner import TrainConfig
from armctl.twin.episodes import Episodes, Setting, Task
from armctl.typing import Array

STEP = 1e-3
"""Of the differences, rad and rad/s."""


def make_jacobian(
    controller: Controller, setting: Setting, task: Task, config: TrainConfig
) -> Callable[[Any, Episodes], Array]:
    """Compiled function of (params, episodes): d(q, qd) at the end of a window by d(q, qd) at its start, (E, 2n, 2n).

    In rad and rad/s, through the twin and the controller, whose memory and commands under way are left as they are.
    """
    graph, _, *rest = nnx.split(controller, nnx.Param, ...)
    n = setting.arm.n

    def jacobian(params: Any, episodes: Episodes) -> Array:
        module = nnx.merge(graph, params, *rest)
        # by central differences: the forward pass alone compiles in half the time of its derivative
        moves = STEP * jnp.concatenate([jnp.eye(2 * n), -jnp.eye(2 * n)])
        copies = jax.tree.map(lambda x: jnp.repeat(x, len(moves), axis=0), episodes)
        q, qd = jnp.split(jnp.tile(moves, (len(episodes.step), 1)), 2, axis=-1)
        state = copies.state._replace(q=copies.state.q + q, qd=copies.state.qd + qd)
        moved = copies._replace(state=state)
        after, _ = rollout.advance(setting, task, module, moved, config.objective, 1.0, config.horizon)
        x = jnp.concatenate([after.state.q, after.state.qd], axis=-1).reshape(-1, 2, 2 * n, 2 * n)
        return ((x[:, 0] - x[:, 1]) / (2 * STEP)).swapaxes(-1, -2)

    return jax.jit(jacobian)


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
