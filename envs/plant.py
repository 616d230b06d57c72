"""The PyBullet plant: a true arm under a scenario, driven through the shared servo law or Bullet's own motors."""

from collections import deque

import numpy as np

from armctl.envs.arm_body import ArmBody
from armctl.envs.command import Follower
from armctl.envs.motors import BulletMotors
from armctl.errors import UsageError
from armctl.plant.observe import Measurement, measure
from armctl.plant.scenario import Scenario, plant_params, true_chain
from armctl.plant.servo import ServoConfig, commanded_torque, delivered_torque, neutral_command, pulse_active
from armctl.urdf import Chain

MOTORS = ("servo", "bullet")


class Plant:
    """One arm whose truth is a scenario; `step` holds a command for one control step.

    chain: nominal arm. config: servo and time steps. motor: "servo" (joint torques by the shared law at the physics
    rate, on the true joint state) or "bullet" (constraint motors: fast, kinematic, blind to friction).
    After `reset` and every `step`: q, qd (n,) true joint state; torque (n,) N m last delivered by the motors;
    saturation: share of joints and physics steps of the control step at the effort limit; load: mean square of torque
    over effort; steps: control steps since the reset.
    """

    def __init__(self, chain: Chain, config: ServoConfig, motor: str = "servo"):
        if motor not in MOTORS:
            raise UsageError(f"Unknown motor {motor!r}; choose one of {', '.join(MOTORS)}.")
        if motor == "bullet" and config.control == "torque":
            raise UsageError("control='torque' needs motor='servo': Bullet's motors take velocities and positions.")
        self.chain, self.config = chain, config
        if motor == "bullet":  # such a motor stops at the limits by itself
            self.body = ArmBody(chain, physics_dt=config.physics_dt, substeps=config.substeps, stops=False)
        else:
            self.body = ArmBody(chain, physics_dt=config.physics_dt)
        # The drive's model of the arm must not see the payload or the tilted gravity: a second world, never stepped. It
        # also holds the collision shapes, which would slow down every step of the first.
        self.model = ArmBody(chain, collisions=True)
        self._loaded = Scenario()
        self._follow = Follower(chain, config)
        self._motors = BulletMotors(self.body, config) if motor == "bullet" else None
        self._torques = np.zeros((config.substeps, chain.n))

    def reset(self, scenario: Scenario, q, qd) -> None:
        """Start an episode of `scenario` at joint state q, qd (n,)."""
        self.scenario, self.params = scenario, plant_params(self.chain, scenario)
        if scenario != self._loaded:
            self.body.load(true_chain(self.chain, scenario), self.params.gravity)
            self._loaded = scenario
        self.body.reset(q, qd)
        if self._motors:
            self._motors.reset(self.params.strength)
        self.steps, self.saturation, self.load = 0, 0.0, 0.0
        self.q, self.qd = self.body.state()
        self.torque = np.zeros(self.chain.n)
        self._pending = deque()
        if scenario.latency:
            neutral = neutral_command(self.config.control, self.model.mass_and_gravity(self.q)[1])
            self._pending.extend([neutral] * scenario.latency)
        self._follow.reset(self.q)
        self._noisy, self._pushed = bool(self.params.noise.any()), bool(self.params.wrench.any())

    def step(self, command: np.ndarray) -> None:
        """Hold a command for one control step: (n,) N m, rad/s or rad of target change, or (6,) m/s and rad/s."""
        if self._pending:
            self._pending.append(command)
            command = self._pending.popleft()
        goal = self._follow(command, self.q)
        if self._motors:
            self._motor_step(goal)
        else:
            self._servo_step(goal)
        self.steps += 1

    def _servo_step(self, goal) -> None:
        config, body, par = self.config, self.body, self.params
        effort, velocity = self.chain.effort, self.chain.velocity
        M, g = (None, None) if config.control == "torque" else self.model.mass_and_gravity(self.q)
        q, qd = self.q, self.qd
        for i in range(config.substeps):
            tau = commanded_torque(config, goal, q, qd, M, g, velocity)
            self._torques[i] = tau
            applied, joint = delivered_torque(tau, qd, effort, par.strength, par.viscous, par.coulomb)
            body.set_torque(joint.tolist())
            self._push(self.steps * config.substeps + i)
            body.step()
            q, qd = body.state()
        self.q, self.qd, self.torque = q, qd, applied
        share = np.abs(self._torques) / effort
        self.saturation = float((share >= 1).mean())
        self.load = float((np.minimum(share, 1) ** 2).mean())

    def _motor_step(self, goal) -> None:
        self._push(self.steps * self.config.substeps)
        self._motors.step(goal, self.q)
        self.q, self.qd, self.torque = self._motors.state()
        share = np.abs(self.torque) / self.chain.effort
        self.saturation, self.load = float((share >= 1).mean()), float((share * share).mean())

    def _push(self, tick: int) -> None:
        """Apply the external wrench if its pulse covers physics step `tick`."""
        if self._pushed and pulse_active(self.params.pulse, tick, self.config.physics_dt):
            wrench = self.params.wrench.tolist()
            self.body.apply_wrench(wrench[:3], wrench[3:])

    def measure(self) -> Measurement:
        """Joint state as the sensors report it: q (n,) rad, qd (n,) rad/s; the same until the next step."""
        if not self._noisy:
            return Measurement(self.q, self.qd)
        return measure(self.q, self.qd, self.params.noise, self.params.seed, np.asarray(self.steps, np.uint32))

    def close(self) -> None:
        """Disconnect both worlds."""
        self.body.close()
        self.model.close()
