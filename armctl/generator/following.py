"""How far a controller strays from paths in the twin, differentiable in their control points."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.kinematics import pose_and_jacobian
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.motion import spline
from armctl.motion.windows import ReferenceBank
from armctl.plant.observe import Window
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin.episodes import Setting, Task, single
from armctl.typing import Array

SEGMENT = 16  # control steps that the backward pass rolls again, see `rollout.advance`


class Timing(NamedTuple):
    """How paths become motions: matrices (B, T, C) from control points to q, qd, qdd at control steps, and their number
    of control steps (B,), after which the arm rests."""

    rows: tuple[Array, Array, Array]
    steps: Array


class Following:
    """Errors of one controller on the same plants along batches of paths."""

    def __init__(
        self, controller: Controller, chain: Chain, scenarios: Sequence[Scenario], dt: float, longest: float
    ) -> None:
        """scenarios: the true plants. dt: control step, s. longest: duration of the longest motion, s."""
        servo = ServoConfig(control=controller.control, control_dt=dt)
        self.setting = Setting(single(Arm.from_chain(chain)), servo, controller.preview)
        self.controller, self.count, self.dt = nnx.split(controller), len(scenarios), dt
        self.plants = single(stack_params([plant_params(chain, scenario) for scenario in scenarios]))
        self.horizon = SEGMENT * -(-round(longest / dt) // SEGMENT)

    def timing(self, durations: np.ndarray) -> Timing:
        """Of motions that take so many seconds (B,), whole numbers of control steps."""
        steps = np.round(durations / self.dt).astype(int)
        q, qd, qdd = (np.stack(rows) for rows in zip(*(self._rows(int(k)) for k in steps), strict=True))
        return Timing((q, qd, qdd), steps)

    def _rows(self, steps: int) -> tuple[np.ndarray, ...]:
        step = np.arange(self.horizon + 1)
        s, moving = np.minimum(step / steps, 1.0), step[:, None] <= steps
        matrices = [spline.basis(spline.CONTROL_POINTS, s, d) / (steps * self.dt) ** d for d in range(3)]
        return tuple(np.where(moving | (d == 0), m, 0.0).astype(np.float32) for d, m in enumerate(matrices))

    def bank(self, points: jax.Array, timing: Timing) -> ReferenceBank:
        """The references of paths (B, C, n) rad; without their poses as quaternions, which nothing here reads."""
        q, qd, qdd = (jnp.asarray(rows) @ points for rows in timing.rows)

        def twist(q: jax.Array, qd: jax.Array) -> tuple[jax.Array, jax.Array]:
            pose, J = pose_and_jacobian(self.setting.arm, q)
            return jnp.einsum("...ij,...j->...i", J, qd), pose

        velocity, acceleration, pose = jax.jvp(twist, (q, qd), (qd, qdd), has_aux=True)
        samples = Window(q, qd, qdd, pose[..., :3, 3], pose[..., :3, :3], velocity, acceleration)
        return ReferenceBank(samples, None, jnp.asarray(timing.steps) + 1)

    def __call__(self, points: jax.Array, timing: Timing) -> jax.Array:
        """Errors (B,) m along paths (B, C, n) rad: root mean squares over the motion, mean over the plants.

        A radian of orientation is worth 0.1 m, as when controllers are tuned.
        """
        controller, objective = nnx.merge(*self.controller), Objective()
        task = Task(self.bank(points, timing), self.plants)
        reference, plant = (x.ravel() for x in np.indices((len(points), self.count)))
        episodes = rollout.first(self.setting, task, controller, reference, plant)
        _, (_, (position, chord)) = rollout.advance(
            self.setting, task, controller, episodes, objective, 1.0, self.horizon, SEGMENT
        )
        steps = jnp.asarray(timing.steps)[reference]
        moving = np.arange(self.horizon)[:, None] < steps
        square = jnp.where(moving, position + objective.metre_per_radian**2 * chord, 0.0)
        rms = jnp.sqrt(jnp.sum(square, axis=0) / steps + 1e-14)
        return jnp.mean(rms.reshape(len(points), self.count), axis=1)
