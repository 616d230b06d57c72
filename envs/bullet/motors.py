"""PyBullet's own joint motors: velocity constraints solved inside its step."""

from collections.abc import Sequence
from functools import partial
from math import hypot
from operator import mul
from typing import Any

import numpy as np

from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p, quiet
from armctl.envs.bullet.pose import Numbers
from armctl.plant.effects.acting import Acting
from armctl.plant.servo import AT_LIMIT, ServoConfig


class BulletMotors:
    """Drives a body by constraint motors, one call per control step.

    Unless a motor reaches its effort limit, each physics step sets the joint velocity exactly: to the command in
    velocity control, to position_gain (target - q) in position control; the targets it is given are near enough for
    the velocity limit to hold (see Follower). Velocities are clipped so that no joint runs past its limits. What acts
    on torques (friction, ripple, lag) is invisible to such a motor and is not simulated; a push lasts whole control
    steps.
    """

    def __init__(self, body: ArmBody, config: ServoConfig) -> None:
        chain, self._body = body.chain, body
        self._position, self._dt = config.control == "position", config.control_dt
        self._prepared, self._count = 0, config.substeps
        self._still, self._gain = [0.0] * chain.n, config.position_gain * config.physics_dt
        self._busy = 0.99 / chain.n
        self._lower, self._upper = chain.lower / self._dt, chain.upper / self._dt

    def reset(self, effects: Acting) -> None:
        """Prepare after a load of the body; of what acts on torques, motors feel the torque constant and pushes."""
        self._reported, self.saturation, self.load = tuple(self._still), 0.0, 0.0
        self._effects = effects if effects.on_torques else None
        self._limit = self._body.chain.effort * effects.torque_constant
        if self._prepared != self._body.loads:
            self._prepare()

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which have yet to take hold of the joints of theirs."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_drive", "_settings")} | {"_prepared": 0}

    def _prepare(self) -> None:
        """Take hold of the joints of a body that has been loaded."""
        self._prepared = self._body.loads
        # Bullet turns a force into an impulse with the length of the whole call, also when it takes substeps.
        self._shares = (self._count / self._limit / len(self._limit) ** 0.5).tolist()
        forces = (self._limit / self._count).tolist()
        # The direct solver reaches the commanded velocity exactly. Over 8 s of random commands, 50 sweeps of the
        # iterative one take half as long again and drift by 1e-4 rad; 5 sweeps take as long and drift by 1e-2 rad.
        with quiet():
            p.setPhysicsEngineParameter(
                constraintSolverType=p.CONSTRAINT_SOLVER_LCP_DANTZIG, physicsClientId=self._body.client
            )
        body, mode = self._body, p.POSITION_CONTROL if self._position else p.VELOCITY_CONTROL
        self._drive = partial(p.setJointMotorControlArray, body.id, body.joints, mode)
        self._settings = forces, [self._gain] * len(forces), [1.0] * len(forces), body.client

    def step(
        self, goal: Numbers, q: Sequence[float], qd: Sequence[float], time: float
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Run one control step towards `goal`, n numbers in rad/s or rad, from q, qd (n) -> q, qd at its end.

        time: at which it begins, s since the reset.
        """
        body = self._body
        if self._prepared != body.loads:  # the payload was exchanged
            self._prepare()
        if self._effects is not None:
            wrench = self._effects.wrench(np.asarray(time), body.physics_dt)
            if wrench is not None and wrench.any():
                body.apply_wrench(wrench[:3].tolist(), wrench[3:].tolist())
        if self._position:
            self._drive(goal, self._still, *self._settings)
        else:
            here = np.array(q) / self._dt
            velocity = np.minimum(np.maximum(goal, self._lower - here), self._upper - here)
            self._drive(self._still, velocity.tolist(), *self._settings)
        body.step()
        q, qd, _, reported = zip(*body.joint_states())  # noqa: B905 (strict costs a tenth of the reading)
        self.load = load = hypot(*map(mul, reported, self._shares)) ** 2
        self._reported, self.saturation = reported, 0.0
        if load >= self._busy:  # a motor at its limit shows in the mean square
            self.saturation = float(np.mean(np.abs(self.torque) >= AT_LIMIT * self._limit))
        return q, qd

    @property
    def torque(self) -> np.ndarray:
        """Torque of the last physics step, (n,) N m."""
        return np.array(self._reported) * self._count
