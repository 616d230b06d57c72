"""The shared servo law on one PyBullet arm, at the physics rate."""

from collections.abc import Callable, Sequence
from math import tanh

import numpy as np

from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.pose import Numbers
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig
from armctl.rigid import FRICTION_VELOCITY
from armctl.typing import Array


class ServoDrive:
    """Drives a body by joint torques.

    The law is that of armctl.plant.servo, to rounding error; it is written out here for one arm because it runs at
    every physics step, where each NumPy call costs as much as a tenth of the step itself. Inertia and gravity torque
    are those of `model`, the nominal arm, sampled at the beginning of each control step.
    After `step`: torque (n,) N m delivered last; saturation: share of joints and physics steps at the effort limit;
    load: mean square of torque over effort.
    """

    def __init__(self, body: ArmBody, model: ArmBody, config: ServoConfig) -> None:
        self._body, self._model, self._config = body, model, config
        self._effort, self._velocity = model.chain.effort, model.chain.velocity
        self._asked = np.zeros((config.substeps, model.chain.n))

    def reset(self, params: PlantParams) -> None:
        """Take over the true plant's actuators and friction."""
        self.torque, self.saturation, self.load = np.zeros(len(self._effort)), 0.0, 0.0
        self._strength = params.strength
        joints = (self._effort, params.strength, params.viscous, params.coulomb)
        self._joints = list(zip(*(x.tolist() for x in joints), strict=True))
        self._smooth = not (params.viscous.any() or params.coulomb.any())

    def step(
        self, goal: Numbers, q: Array, qd: Array, push: Callable[[int], None] | None = None
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Run one control step towards `goal`, n numbers in N m, rad/s or rad, from q, qd (n) -> q, qd at its end.

        push: called with the number of each physics step before it is taken.
        """
        config, body, open_loop = self._config, self._body, self._config.control == "torque"
        tau = wanted = np.asarray(goal)
        blind = open_loop and self._smooth  # the torque does not depend on the state
        if not blind:
            q, qd = np.array(q), np.array(qd)
        if not open_loop:
            M, g = self._model.mass_and_gravity(q)
            M *= config.velocity_gain
        for i in range(config.substeps):
            if not open_loop:
                velocity = self._velocity_towards(wanted, q) if config.control == "position" else wanted
                tau = M.dot(velocity - qd) + g
            self._asked[i] = tau
            body.set_torque(forces=self._joint_torque(tau.tolist(), qd))
            if push is not None:
                push(i)
            body.step()
            if not blind:
                q, qd = body.state()
        self._account()
        if blind:
            q, qd, _, _ = zip(*body.joint_states())  # noqa: B905 (strict costs a tenth of the reading)
            return q, qd
        return q.tolist(), qd.tolist()

    def _velocity_towards(self, goal: np.ndarray, q: np.ndarray) -> np.ndarray:
        velocity = self._config.position_gain * (goal - q)
        return np.minimum(np.maximum(velocity, -self._velocity), self._velocity)

    def _joint_torque(self, tau: list[float], qd: Array) -> list[float]:
        """What moves the arm: torque after saturation, actuator strength and, where there is any, friction."""
        joints = zip(tau, self._joints, strict=True)
        applied = [s * (e if t > e else -e if t < -e else t) for t, (e, s, _, _) in joints]
        if self._smooth:
            return applied
        friction = zip(applied, qd.tolist(), self._joints, strict=True)
        return [a - v * w - c * tanh(w / FRICTION_VELOCITY) for a, w, (_, _, v, c) in friction]

    def _account(self) -> None:
        share = np.minimum(np.abs(self._asked) / self._effort, 1.0)
        self.torque = self._strength * np.minimum(np.maximum(self._asked[-1], -self._effort), self._effort)
        self.saturation = float((share >= 1.0).sum()) / share.size
        self.load = float(np.vdot(share, share)) / share.size
