"""How well a controller tracks whole motions, from their first sample on, in the twin."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.motion.reference import Reference
from armctl.motion.windows import stack_references
from armctl.plant.scenario import PlantParams, Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin.episodes import Episodes, Setting, Task, single

BATCH = 128  # episodes that `tracking_rms` rolls side by side
WINDOW = 50  # control steps of one call of the compiled program, after which is seen whether all episodes are over
LOST = 0.3
"""What an episode counts in which the tip was farther than this off its target, m."""


def tracking_rms(
    controller: Controller, chain: Chain, references: Sequence[Reference], scenarios: Sequence[Scenario]
) -> np.ndarray:
    """Root mean square distance (N, M) m of the tip from each of N references on each of M plants, in the twin.

    controller: whose command is held for the references' sampling time. chain: the arm as it is modelled. references:
    of one sampling time. scenarios: the true plants. An episode that was lost counts LOST, whatever it did afterwards.
    """
    order = np.argsort([len(r.q) for r in references], kind="stable")  # episodes of about one length end together
    rows = np.stack(np.meshgrid(order, np.arange(len(scenarios)), indexing="ij"), -1).reshape(-1, 2)
    servo = ServoConfig(control=controller.control, control_dt=references[0].dt)
    setting = Setting(single(Arm.from_chain(chain)), servo, controller.preview)
    plants = stack_params([plant_params(chain, scenario) for scenario in scenarios])
    track = Tracking(controller, setting, max(len(r.q) for r in references))
    params, found = nnx.state(controller, nnx.Param), np.empty((len(references), len(scenarios)))
    for k in range(0, len(rows), BATCH):
        part = rows[k : k + BATCH]
        reference, plant = part[np.arange(BATCH) % len(part)].T  # always so many, so that one compiled program serves
        true = jax.tree.map(lambda x, plant=plant: np.asarray(x)[plant], plants)
        found[tuple(part.T)] = track(params, [references[i] for i in reference], true)[0][: len(part)]
    return found


class Tracking:
    """A controller on so many episodes at a time, whatever its parameters: one compiled program."""

    def __init__(self, controller: Controller, setting: Setting, samples: int) -> None:
        """setting: of the episodes; samples: length to which references are padded, or at which they are cut."""
        graph, _, *rest = nnx.split(controller, nnx.Param, ...)
        self.samples = samples

        @jax.jit
        def begin(params: Any, task: Task) -> Episodes:
            each = np.arange(len(task.bank.length))
            return rollout.first(setting, task, nnx.merge(graph, params, *rest), each, each)

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

        references: E of them; plants: E true ones, the one of each. An episode that was lost counts LOST. Joints are
        recorded until all episodes are over.
        """
        bank: Any = stack_references(list(references), self.samples)
        task = single(Task(bank, plants))
        episodes = self.begin(params, task)
        squares, motions = [], [np.asarray(episodes.state.q)[None]]
        for _ in range(-(-(int(bank.length.max()) - 1) // WINDOW)):
            episodes, (square, q) = self.advance(params, task, episodes)
            squares.append(np.asarray(square, float))
            motions.append(np.asarray(q))
        return rms(np.concatenate(squares), bank.length - 1), np.concatenate(motions)


def rms(square: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """From squared distances (T, E) m^2 of which the first `steps` (E,) count -> (E,) m."""
    moving = np.arange(len(square))[:, None] < steps
    square = np.where(moving, square, 0.0)
    lost = ~(square < LOST**2).all(axis=0)
    return np.where(lost, LOST, np.sqrt(np.where(lost, 0.0, square).sum(axis=0) / steps))
