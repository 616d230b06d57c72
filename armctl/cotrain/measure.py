"""How well motions are tracked, whole ones from their first sample on, and which motions came of it, in the twin."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from armctl.controllers.base import Controller
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.learn.tracking import rms
from armctl.motion.reference import Reference
from armctl.motion.windows import stack_references
from armctl.plant.scenario import PlantParams
from armctl.twin.episodes import Episodes, Setting, Task, single

WINDOW = 50  # control steps of one call of the compiled program


class Measure:
    """A controller on so many episodes at a time, whatever its parameters: one compiled program."""

    def __init__(self, controller: Controller, setting: Setting, samples: int) -> None:
        """setting: of the episodes; samples: length to which references are padded, or at which they are cut."""
        graph, _, *rest = nnx.split(controller, nnx.Param, ...)
        self.setting, self.samples, self.controller = setting, samples, controller

        @jax.jit
        def begin(params: Any, task: Task) -> Episodes:
            return rollout.whole(setting, task, nnx.merge(graph, params, *rest))

        @jax.jit
        def advance(params: Any, task: Task, episodes: Episodes) -> tuple[Episodes, Any]:
            module = nnx.merge(graph, params, *rest)
            step = rollout.stepper(setting, task, module, episodes, Objective(), 1.0)

            def recorded(episodes: Episodes, _: None) -> tuple[Episodes, Any]:
                after, (_loss, errors) = step(episodes, None)
                return after, (errors[0], after.state.q)

            return jax.lax.scan(recorded, episodes, length=WINDOW)

        self.begin, self.advance = begin, advance

    def __call__(
        self, params: Any, references: Sequence[Reference], plants: PlantParams
    ) -> tuple[np.ndarray, np.ndarray]:
        """Root mean square distance (E,) m of the tip, and joint positions (T, E, n) rad from the first sample on.

        references: E of them; plants: E true ones, the one of each. An episode that was lost counts `tracking.LOST`.
        """
        bank: Any = stack_references(list(references), self.samples)
        task = single(Task(bank, plants))
        episodes = self.begin(params, task)
        squares, motions = [], [np.asarray(episodes.state.q)[None]]
        for _ in range(-(-(self.samples - 1) // WINDOW)):
            episodes, (square, q) = self.advance(params, task, episodes)
            squares.append(np.asarray(square, float))
            motions.append(np.asarray(q))
        return rms(np.concatenate(squares), bank.length - 1), np.concatenate(motions)
