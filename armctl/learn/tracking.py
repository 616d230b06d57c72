"""How well a controller tracks each of many references on each of many plants, in the twin."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.motion.reference import Reference
from armctl.motion.windows import ReferenceBank, stack_references
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin import episodes as ep
from armctl.twin.episodes import Episodes, Setting, Task, single
from armctl.typing import Array

BATCH = 128  # episodes rolled side by side; one compiled size serves any number of references
WINDOW = 64  # control steps between two looks at whether all of them are over
LOST = 0.3
"""What an episode counts in which the tip was farther than this off its target, m."""


def tracking_rms(
    controller: Controller, chain: Chain, references: Sequence[Reference], scenarios: Sequence[Scenario]
) -> np.ndarray:
    """Root mean square distance (N, M) m of the tip from each of N references on each of M plants, in the twin.

    controller: of torques or any other command, at 0.01 s or whatever the references' sampling time is. chain: the arm
    as it is modelled. references: of one sampling time. scenarios: the true plants. An episode that was lost counts
    LOST, whatever it did afterwards.
    """
    order = np.argsort([len(r.q) for r in references], kind="stable")  # episodes of about one length end together
    rows = np.stack(np.meshgrid(order, np.arange(len(scenarios)), indexing="ij"), -1).reshape(-1, 2)
    roll = Roll(controller, chain, references, scenarios)
    found = np.empty((len(references), len(scenarios)))
    for k in range(0, len(rows), BATCH):
        part = rows[k : k + BATCH]
        filled = part[np.arange(BATCH) % len(part)]
        found[tuple(part.T)] = roll(*filled.T)[: len(part)]
    return found


class Roll:
    """Batches of episodes of one controller, by one compiled program."""

    def __init__(
        self, controller: Controller, chain: Chain, references: Sequence[Reference], scenarios: Sequence[Scenario]
    ) -> None:
        servo = ServoConfig(control=controller.control, control_dt=references[0].dt)
        self.setting = Setting(single(Arm.from_chain(chain)), servo, controller.preview)
        self.controller, self.references = controller, references
        self.samples = 2 ** int(np.ceil(np.log2(max(len(r.q) for r in references))))
        self.plants = single(stack_params([plant_params(chain, scenario) for scenario in scenarios]))
        graph, state = nnx.split(controller)

        @jax.jit
        def begin(state: Any, task: Task, plant: Array) -> Episodes:
            module, count = nnx.merge(graph, state), len(plant)
            at = jnp.arange(count), plant, jnp.zeros(count, jnp.int32)
            q, qd = (jnp.asarray(x)[:, 0] for x in (task.bank.samples.q, task.bank.samples.qd))
            return rollout.told(module, task, ep.start(self.setting, task, q, qd, *at, module.init_carry((count,))))

        @jax.jit
        def advance(state: Any, task: Task, episodes: Episodes) -> tuple[Episodes, Array]:
            module = nnx.merge(graph, state)
            after, (_, errors) = rollout.advance(self.setting, task, module, episodes, Objective(), 1.0, WINDOW)
            return after, errors[0]

        self.begin, self.advance, self.state = begin, advance, state

    def __call__(self, reference: np.ndarray, plant: np.ndarray) -> np.ndarray:
        """Root mean square distances (B,) m of references by number (B,) on plants by number (B,)."""
        bank = single(stack_references([self.references[i] for i in reference], self.samples))
        task = Task(ReferenceBank(*bank), self.plants)
        episodes, squares = self.begin(self.state, task, jnp.asarray(plant)), []
        for _ in range(-(-(int(bank.length.max()) - 1) // WINDOW)):
            episodes, square = self.advance(self.state, task, episodes)
            squares.append(np.asarray(square, float))
        return rms(np.concatenate(squares), bank.length - 1)


def rms(square: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """From squared distances (T, B) m^2 of which the first `steps` (B,) count -> (B,) m, LOST where one exceeds it."""
    moving = np.arange(len(square))[:, None] < steps
    square = np.where(moving, square, 0.0)
    lost = ~(square < LOST**2).all(axis=0)
    return np.where(lost, LOST, np.sqrt(np.where(lost, 0.0, square).sum(axis=0) / steps))
