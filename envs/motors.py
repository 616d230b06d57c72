"""PyBullet's own joint motors: velocity constraints solved inside its step."""

from functools import partial

import numpy as np

from armctl.envs.arm_body import ArmBody
from armctl.envs.bullet import p, quiet
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import AT_LIMIT, ServoConfig


class BulletMotors:
    """Drives a body by constraint motors, one call per control step.

    Unless a motor reaches its effort limit, each physics step sets the joint velocity exactly: to the command in
    velocity control, to position_gain (target - q) in position control, the distance to the target being clipped
    beforehand so that the velocity limit holds. Velocities are clipped so that no joint runs past its limits. Joint
    friction is invisible to such a motor and is not simulated; an external wrench lasts whole control steps.
    """

    def __init__(self, body: ArmBody, config: ServoConfig):
        chain, self._body, self._config = body.chain, body, config
        self._position, self._dt = config.control == "position", config.control_dt
        self._prepared, self._count = 0, config.substeps
        self._reach = chain.velocity / config.position_gain
        self._back = -self._reach
        self._lower, self._upper = chain.lower / self._dt, chain.upper / self._dt

    def reset(self, params: PlantParams) -> None:
        """Prepare after a load of the body; of the true plant, motors feel the actuator strength."""
        if self._prepared == self._body.loads:
            return
        self._prepared = self._body.loads
        # Bullet turns a force into an impulse with the length of the whole call, also when it takes substeps.
        self._effort = self._body.chain.effort * params.strength
        self._forces = (self._effort / self._count).tolist()
        # The direct solver reaches the commanded velocity exactly. Over 8 s of random commands, 50 sweeps of the
        # iterative one take half as long again and drift by 1e-4 rad; 5 sweeps take as long and drift by 1e-2 rad.
        with quiet():
            p.setPhysicsEngineParameter(
                constraintSolverType=p.CONSTRAINT_SOLVER_LCP_DANTZIG, physicsClientId=self._body.client
            )
        self._drive = self._bind()

    def _bind(self):
        """The drive call with all that stays the same for an episode."""
        body, n = self._body, self._body.chain.n
        drive = partial(p.setJointMotorControlArray, body.id, body.joints, physicsClientId=body.client)
        if not self._position:
            return partial(drive, p.VELOCITY_CONTROL, forces=self._forces)
        gain = self._config.position_gain * self._config.physics_dt
        gains = {"positionGains": [gain] * n, "velocityGains": [1.0] * n}
        return partial(drive, p.POSITION_CONTROL, forces=self._forces, **gains)

    def step(self, goal: np.ndarray, q, qd, push=None) -> tuple[np.ndarray, np.ndarray]:
        """Run one control step towards `goal` (n,) rad/s or rad from q (n,) rad; returns q, qd at its end.

        push: called with 0 before the step.
        """
        if push is not None:
            push(0)
        if self._position:
            target = q + np.minimum(np.maximum(goal - q, self._back), self._reach)
            self._drive(targetPositions=target.tolist())
        else:
            velocity = np.minimum(np.maximum(goal, self._lower - q / self._dt), self._upper - q / self._dt)
            self._drive(targetVelocities=velocity.tolist())
        self._body.step()
        q, qd, torque = self._body.driven_state()
        self.torque = torque * self._count
        share = self.torque / self._effort
        square = float(share.dot(share))
        self.load = square / share.size
        # the sum of squares is below that of one motor at its limit unless one is there or many are near
        self.saturation = 0.0 if square < AT_LIMIT**2 else float((np.abs(share) >= AT_LIMIT).sum()) / share.size
        return q, qd
