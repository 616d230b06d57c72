"""The PyBullet plant: a true arm under a scenario, driven through the shared servo law or Bullet's own motors."""

from collections import deque
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.follower import Follower
from armctl.envs.bullet.motors import BulletMotors
from armctl.envs.bullet.obstructed import ObstructedBody
from armctl.envs.bullet.pose import Numbers
from armctl.envs.bullet.servo import ServoDrive
from armctl.plant.effects import latency
from armctl.plant.effects.acting import Acting
from armctl.plant.effects.payload import over
from armctl.plant.observe import Measurement
from armctl.plant.scenario import NOMINAL, Scenario, after_switch, plant_params, true_chain
from armctl.plant.servo import ServoConfig, check_motor, neutral_command
from armctl.scene.body import Scene


class Plant:
    """One arm whose truth is a scenario; `step` holds a command for one control step.

    chain: nominal arm. config: servo and time steps. motor: "servo" (joint torques by the shared law at the physics
    rate, on the true joint state) or "bullet" (constraint motors: fast, kinematic, blind to friction).
    scene: bodies that the arm meets, none if absent; `contact` is whether it pressed on one in the last control step.
    After `reset` and every `step`: position, velocity: true joint state q, qd as n plain numbers; steps: control steps
    since the reset; noisy: whether the sensors are; drive: with torque, saturation and load of the last control step.
    """

    def __init__(self, chain: Chain, config: ServoConfig, motor: str = "servo", scene: Scene | None = None) -> None:
        check_motor(motor, config.control)
        self.chain, self.config = chain, config
        steps: dict[str, Any] = {"physics_dt": config.physics_dt}
        if motor == "bullet":  # such a motor stops at the limits by itself
            steps |= {"substeps": config.substeps, "stops": False}
        self.body = ArmBody(chain, **steps) if scene is None else ObstructedBody(chain, scene, **steps)
        # The drive's model of the arm must not see the payload or the tilted gravity: a second world, never stepped. It
        # also holds the collision shapes, which would slow down every step of the first.
        self.model = ArmBody(chain, collisions=True)
        self._adopt(NOMINAL)
        bullet = motor == "bullet"
        reach = chain.velocity / config.position_gain if bullet else np.full(chain.n, np.inf)
        self._follower = Follower(chain, config, reach)
        self.drive: BulletMotors | ServoDrive
        self.drive = BulletMotors(self.body, config) if bullet else ServoDrive(self.body, self.model, config)

    def reset(self, scenario: Scenario, q: Numbers, qd: Numbers) -> None:
        """Start an episode of `scenario` at joint state q, qd (n,). Raises UsageError where that is in a body."""
        if scenario != self.scenario or self._switched:
            self._adopt(scenario)
            self.body.load(true_chain(self.chain, scenario), self.params.gravity)
        self.body.reset(q, qd)
        self.body.met = False
        if isinstance(self.body, ObstructedBody):
            self.body.check_clear()
        self.drive.reset(self._acting)
        self.steps = 0
        self.position, self.velocity, _, _ = zip(*self.body.joint_states(), strict=True)
        self._follower.reset(self.position)
        if self._latency is not None:
            neutral = neutral_command(self.config.control, self.model.mass_and_gravity(self.q)[1])
            depth = len(self._latency.longest) + 1
            self._line: deque[Numbers] = deque([neutral] * depth, maxlen=depth)

    def _adopt(self, scenario: Scenario) -> None:
        self.scenario, self.params = scenario, plant_params(self.chain, scenario)
        effects = self.params.effects
        self._acting = Acting(effects)
        self.noisy = self._acting.on_sensors
        self._latency, self._switch = effects.get("latency"), effects.get("payload_switch")
        self._switched = False

    def step(self, command: Numbers) -> None:
        """Hold a command for one control step: n numbers in N m, rad/s or rad of target change, or 6 in m/s, rad/s."""
        time = self.steps * self.config.control_dt
        if self._latency is not None:
            self._line.appendleft(command)  # newest first
            command = self._line[self._age()]
        if self._switch is not None and not self._switched and over(self._switch.time, time, self.config.control_dt):
            self._exchange_payload()
        goal = self._follower.goal(command, self.position)
        self.body.met = False
        self.position, self.velocity = self.drive.step(goal, self.position, self.velocity, time)
        self.steps += 1

    def _age(self) -> int:
        """How many control steps ago the command was given that acts now."""
        assert self._latency is not None
        if not self._latency.jitter:  # a draw costs as much as a physics step
            return int(self._latency.least)
        return int(latency.age(self._latency, self.params.seed, np.asarray(self.steps, np.uint32)))

    def _exchange_payload(self) -> None:
        """Go on with the next payload. PyBullet cannot move a link's centre of mass, so the arm is loaded anew."""
        self._switched = True
        self.body.load(true_chain(self.chain, after_switch(self.scenario)), self.params.gravity)
        self.body.reset(self.position, self.velocity)

    @property
    def q(self) -> np.ndarray:
        """True joint positions (n,), rad."""
        return np.array(self.position)

    @property
    def qd(self) -> np.ndarray:
        """True joint velocities (n,), rad/s."""
        return np.array(self.velocity)

    @property
    def torque(self) -> np.ndarray:
        """Torque last delivered by the motors, (n,) N m."""
        return self.drive.torque

    @property
    def saturation(self) -> float:
        """Share of joints and physics steps of the last control step at the effort limit."""
        return self.drive.saturation

    @property
    def contact(self) -> bool:
        """Whether the arm pressed on a body of its scene in the last control step."""
        return self.body.met

    def measure(self) -> Measurement:
        """Joint state as the sensors report it: q (n,) rad, qd (n,) rad/s; the same until the next step."""
        if not self.noisy:
            return Measurement(self.q, self.qd)
        step = np.asarray(self.steps, np.uint32)
        return self._acting.measured(Measurement(self.q, self.qd), self.params.seed, step)

    def close(self) -> None:
        """Disconnect both worlds."""
        self.body.close()
        self.model.close()
