"""PyBullet's own joint motors: velocity constraints solved inside its step."""

from functools import partial

import numpy as np

from armctl.envs.arm_body import ArmBody
from armctl.envs.bullet import p, quiet
from armctl.plant.servo import ServoConfig


class BulletMotors:
    """Drives a body by constraint motors, one call per control step.

    Unless a motor reaches its effort limit, each physics step sets the joint velocity exactly: to the command in
    velocity control, to position_gain (target - q) in position control, the distance to the target being clipped
    beforehand so that the velocity limit holds. Joint friction is invisible to such a motor and is not simulated; an
    external wrench lasts whole control steps.
    """

    def __init__(self, body: ArmBody, config: ServoConfig):
        self._body, self._config = body, config
        self._reach = body.chain.velocity / config.position_gain
        self._gains = {"positionGains": [config.position_gain * config.physics_dt] * body.chain.n}
        self._gains["velocityGains"] = [1.0] * body.chain.n
        self._drive = partial(p.setJointMotorControlArray, physicsClientId=body.client)

    def reset(self, strength: np.ndarray) -> None:
        """Prepare after a load of the body. strength: (n,) factor on the effort limits."""
        # Bullet turns a force into an impulse with the length of the whole call, also when it takes substeps.
        self._forces = (self._body.chain.effort * strength / self._config.substeps).tolist()
        with quiet():  # the direct solver reaches the commanded velocity exactly, and sooner than 50 sweeps
            p.setPhysicsEngineParameter(
                constraintSolverType=p.CONSTRAINT_SOLVER_LCP_DANTZIG, physicsClientId=self._body.client
            )

    def step(self, command: np.ndarray, q: np.ndarray) -> None:
        """Run one control step towards `command` (n,) rad/s or rad from q (n,) rad."""
        body = self._body
        if self._config.control == "position":
            target = q + np.minimum(np.maximum(command - q, -self._reach), self._reach)
            self._drive(
                body.id,
                body.joints,
                p.POSITION_CONTROL,
                targetPositions=target.tolist(),
                forces=self._forces,
                **self._gains,
            )
        else:
            velocities = command.tolist()
            self._drive(
                body.id, body.joints, p.VELOCITY_CONTROL, targetVelocities=velocities, forces=self._forces
            )
        body.step()

    def torque(self) -> np.ndarray:
        """Torque the motors delivered in the last physics step, (n,) N m."""
        states = p.getJointStates(self._body.id, self._body.joints, physicsClientId=self._body.client)
        return np.array([state[3] for state in states]) * self._config.substeps
