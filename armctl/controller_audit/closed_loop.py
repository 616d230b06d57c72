"""The closed loop of a controller in the twin, rolled by one compiled program whatever it is asked.

Parameters, true arm, references and plants are arguments of the program: arms that the controller does not know, parts
of it that are switched off, delays and loads all run through the same one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.base import Controller
from armctl.kinematics import forward_kinematics
from armctl.learn import rollout
from armctl.learn.validation import LOST
from armctl.motion.windows import windows
from armctl.plant.observe import Measurement
from armctl.twin import episodes as ep
from armctl.twin import measured
from armctl.twin.episodes import Episodes, Setting, Task, single
from armctl.typing import Array

WINDOW = 25
"""Control steps per call of the program."""


class Disturbance(NamedTuple):
    """What is added to measurements and commands, (..., n) each."""

    q: Array  # rad
    qd: Array  # rad/s
    command: Array  # in the units of the control mode


class Step(NamedTuple):
    """What is recorded of a control step, (E, ...) each, or of T of them, (T, E, ...)."""

    error: Any  # (..., E) m, distance of the tip from the reference
    tip: Any  # (..., E, 3) m
    estimates: Any  # what the controller says of the plant; None where it says nothing


@dataclass(frozen=True, eq=False)
class Run:
    """Episodes from their first sample on."""

    steps: Step
    """(T, E, ...), NumPy."""
    counted: np.ndarray
    """(T, E) bool: before the motion's end."""
    alive: np.ndarray
    """(E,) bool: the tip stayed within 0.3 m of the reference, and everything finite."""
    begun: dict[int, Episodes] = field(repr=False)
    """The episodes as they stood before some windows."""
    after: Episodes = field(repr=False)
    """And at the end."""

    @property
    def rms_mm(self) -> np.ndarray:
        """Root mean square of the tip's distance over each motion (E,), mm; a diverged episode counts 300."""
        return rms_mm(self.steps.error, self.counted, self.alive)


def rms_mm(error: np.ndarray, counted: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Root mean square (E,) mm. error: (T, E) m; counted: (T, E) bool; alive: (E,) bool, the others count 300 mm."""
    square = np.where(counted & alive, np.nan_to_num(error), 0.0) ** 2
    return np.where(alive, 1e3 * np.sqrt(square.sum(axis=0) / counted.sum(axis=0)), LOST)


class Loop:
    """A controller in a setting."""

    def __init__(self, controller: Controller, setting: Setting) -> None:
        """controller: as it is to be audited; setting: its nominal arm, servo and preview."""
        self.controller, self.setting = controller, setting
        self.arm = single(setting.arm)
        self.graph, self.params, *self.rest = nnx.split(controller, nnx.Param, ...)
        self._advance = jax.jit(self.advance)

    def module(self, params: Any) -> Controller:
        """The controller with these parameters."""
        return nnx.merge(self.graph, params, *self.rest)

    def advance(self, params: Any, arm: Arm, task: Task, episodes: Episodes) -> tuple[Episodes, Step]:
        """A window of control steps. arm: the true one, but for what the plants of the task say."""
        step = self.stepper(params, arm, task, episodes)
        return jax.lax.scan(lambda e, _: step(e, None), episodes, length=WINDOW)

    def stepper(
        self, params: Any, arm: Arm, task: Task, episodes: Episodes
    ) -> Callable[[Episodes, Disturbance | None], tuple[Episodes, Step]]:
        """One control step of a batch of episodes, which something may disturb."""
        plants, controller, setting = ep.plants_of(task, episodes), self.module(params), self.setting._replace(arm=arm)
        bank, told = jax.tree.map(jnp.asarray, task.bank), getattr(controller, "estimates", lambda carry: None)

        def step(episodes: Episodes, added: Disturbance | None) -> tuple[Episodes, Step]:
            m = measured(plants, episodes.state)
            if added is not None:
                m = Measurement(m.q + added.q, m.qd + added.qd)
            w = windows(bank, episodes.reference, episodes.step, setting.preview)
            carry, command = controller(episodes.carry, m, w)
            acting = command if added is None else command + added.command
            state, _ = ep.hold(setting, plants, episodes.state, acting)
            tip = forward_kinematics(arm, state.q)[..., :3, 3]
            error = jnp.linalg.norm(jax.lax.stop_gradient(tip) - w.p[:, 1], axis=-1)
            alive = episodes.alive & (error < 0.3) & jnp.all(jnp.isfinite(state.q), axis=-1)
            after = episodes._replace(state=state, carry=carry, command=command, step=episodes.step + 1, alive=alive)
            return after, Step(error, tip, told(carry))

        return step

    def start(self, task: Task, params: Any = None, arm: Arm | None = None) -> Episodes:
        """Episodes at the first samples of the task's references, each on the plant of the same number."""
        setting = self.setting._replace(arm=self.arm if arm is None else arm)
        return rollout.whole(setting, task, self.module(self.params if params is None else params))

    def window(self, task: Task, episodes: Episodes, params: Any = None, arm: Arm | None = None) -> tuple[Any, Step]:
        """The next window of some episodes."""
        return self._advance(
            self.params if params is None else params, self.arm if arm is None else arm, task, episodes
        )

    def run(
        self,
        task: Task,
        *,
        params: Any = None,
        arm: Arm | None = None,
        change: Callable[[Episodes], Episodes] | None = None,
        at: int = 0,
        begun: Episodes | None = None,
    ) -> Run:
        """Whole episodes.

        params: the controller's own when None; arm: the true one; change: made to the episodes before window `at`;
        begun: episodes before window `at` to go on from, from the start when None.
        """
        episodes = self.start(task, params, arm) if begun is None else begun
        steps, length = task.bank.samples.q.shape[1] - 1, np.asarray(task.bank.length)
        first = 0 if begun is None else at
        rows, snapshots = [], {}
        for k in range(first, -(-steps // WINDOW)):
            if k == at and change is not None:
                episodes = change(episodes)
            snapshots[k] = episodes
            episodes, row = self.window(task, episodes, params, arm)
            rows.append(jax.tree.map(np.asarray, row))
        recorded = jax.tree.map(lambda *x: np.concatenate(x), *rows)
        now = first * WINDOW + np.arange(len(recorded.error))[:, None]
        return Run(recorded, now < length - 1, np.asarray(episodes.alive), snapshots, episodes)
