"""What reaching and tracking share: spaces, the step loop, observation, reward, info, rendering."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import dist, hypot, inf
from operator import mul, sub
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Dict
from numpy.typing import ArrayLike

from armctl import geometry, rigid
from armctl.envs.bullet.camera import Camera, require_display
from armctl.envs.bullet.plant import Plant
from armctl.envs.bullet.pose import Pose, first_columns, rotation_error
from armctl.envs.bullet.self_collision import SelfCollision
from armctl.envs.bullet.view import View, as_view
from armctl.errors import UsageError
from armctl.plant import reward as rewards
from armctl.plant.action import action_scale, check_action
from armctl.plant.observe import Measurement
from armctl.plant.scenario import later
from armctl.plant.servo import TOP_SPEED, ServoConfig
from armctl.plant.task import (
    ScenarioLike,
    action_space,
    check_observe,
    check_preview,
    check_scenario,
    draw_scenario,
    observation_space,
)
from armctl.scene.body import Scene
from armctl.scene.files import load_scene
from armctl.urdf import load_chain

RENDER_MODES = ("rgb_array", "human")
RENDER_SIZE = 480, 360
"""Width and height of what `render` returns."""


class ArmEnv(gym.Env):
    """Base of the arm environments; ReachEnv and TrackEnv are their specifications.

    Subclasses set `targets` in `_start`, a list of (position, quaternion) pairs of plain numbers: one per control step
    with `preview` more at its end or, unless the target `moves`, a single one; and `_length`, the control steps after
    which the episode is truncated. An observation knows of a target that moves, not of a goal that can be relabelled.
    A copy (`copy.deepcopy`, pickle) has worlds of its own, in the same state.

    Attributes for benches: chain, scene (None: free space), config, dt (s), action_scale (m,), scenario, step_index,
    plant; state() -> true q, qd (n,); measure() -> q, qd as measured; tip() -> (7,) pose; torque (n,) N m last
    delivered by the motors.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 100}  # noqa: RUF012
    options: tuple[str, ...] = ()
    moves = True  # whether there is a target for every control step
    tolerance = rewards.STANDARD
    position_only = False  # whether a target's orientation does not count

    def __init__(
        self,
        robot: str | Path = "panda",
        *,
        control: str = "velocity",
        reward: str = "dense",
        scenario: ScenarioLike = "nominal",
        preview: int = 0,
        physics_dt: float = 0.002,
        control_dt: float = 0.01,
        motor: str = "servo",
        render_mode: str | None = None,
        tip: str | None = None,
        observe: str = "state",
        camera: View | str | Mapping[str, Any] | Sequence[float] = "front",
        scene: Scene | str | Path | None = None,
    ) -> None:
        self.chain = load_chain(robot, tip)
        self.scene = None if scene is None else load_scene(scene, self.chain)
        self.config = ServoConfig(control=control, physics_dt=physics_dt, control_dt=control_dt)
        self.reward = rewards.check_reward(reward)
        self._scenario_source = check_scenario(scenario)
        self.render_mode = _check_render_mode(render_mode)
        self.preview, self.dt = check_preview(preview), control_dt
        self.metadata = self.metadata | {"render_fps": max(1, round(1 / control_dt))}
        self.action_scale = action_scale(self.chain, self.config)
        self._scale = self.action_scale.tolist()
        self.action_space = action_space(self.chain, self.config)
        state = observation_space(self.chain, (preview + 1) * self.moves, self.position_only).spaces
        self._view, self._observes = as_view(camera), check_observe(observe)
        image = self._view.space().spaces
        self.observation_space = Dict({"state": state, "image": image, "both": state | image}[observe])
        self.plant = Plant(self.chain, self.config, motor, self.scene)
        self._self_collision = SelfCollision(self.plant.model)
        self._camera: Camera | None = None
        self._lower, self._upper = self.chain.lower.tolist(), self.chain.upper.tolist()
        self.targets: list[Pose] = []
        self._length: float = inf
        self._lead = 0  # control steps in which the first target is held and nothing counts
        self._inside = self._lower, 0.0  # joint positions, and by how much they may change without leaving the limits
        self._over = "Call reset() before step()."

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode. options: "scenario" and "goal" or, tracking, "reference" overrule the constructor's."""
        if self.plant.body.client < 0:
            raise UsageError("The environment is closed; make a new one.")
        super().reset(seed=seed)
        options = dict(options or {})
        source = options.pop("scenario", None)
        source = self._scenario_source if source is None else check_scenario(source)
        self.scenario = draw_scenario(source, self.chain, self.np_random)
        q, qd = self._start(options)
        if options:
            raise UsageError(f"Unknown reset option {next(iter(options))!r}; known: {', '.join(self.options)}.")
        self.plant.reset(later(self.scenario, self._lead * self.dt) if self._lead else self.scenario, q, qd)
        self._self_collision.reset()
        self._last_action, self._over = [0.0] * len(self._scale), ""
        observation, errors = self._observe()
        info = self._info(errors, 0.0)
        if self.render_mode == "human":
            self._show()
        return observation if self._observes == "state" else self._look(observation), info

    def _start(self, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Choose the episode's targets, taking what it knows out of options; the joint state q, qd (n,) to start at."""
        raise NotImplementedError

    def step(self, action: ArrayLike) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Hold an action in [-1, 1] for control_dt. Raises UsageError for a wrong shape, NaN or infinity."""
        if self._over:
            raise UsageError(self._over)
        action = check_action(action, len(self._scale), self.config.control)
        self.plant.step(list(map(mul, action, self._scale)))
        action_rate = dist(action, self._last_action) ** 2 / len(action)
        self._last_action = action
        observation, errors = self._observe()
        info = self._info(errors, action_rate)
        if self.render_mode == "human":
            self._show()
        truncated = self.plant.steps >= self._length
        if truncated:
            self._over = "The episode is over: call reset() before the next step()."
        if self._observes != "state":
            observation = self._look(observation)
        return observation, sum(info["reward_terms"].values()), False, truncated, info

    def _observe(self) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
        """Observation of the state, with the true errors (m, rad) to the current target."""
        plant, now = self.plant, self.plant.steps if self.moves else 0
        target = self.targets[now]
        tip = position, quat = plant.body.tip(target[1])  # signed like the target's, so that it does not jump
        way, turn = _pose_error(target, tip)
        errors = hypot(*way), 0.0 if self.position_only else hypot(*turn)
        q, qd = plant.position, plant.velocity
        if plant.noisy:  # what is seen of the tip follows from the measured joints
            q, qd = plant.measure()
            pose = geometry.matrix_to_pose(rigid.forward_kinematics(self.chain, q)).tolist()
            position, quat = pose[:3], pose[3:]
            way, turn = _pose_error(target, (position, quat))
        goals = [*tip[0], *target[0]] if self.position_only else [*tip[0], *tip[1], *target[0], *target[1]]
        row = [*goals, *q, *qd, *position, *first_columns(quat)]
        if self.moves:
            row += [*way, *turn]
            for later in self.targets[now + 1 : now + 1 + self.preview]:
                way, turn = _pose_error(later, (position, quat))
                row += [*way, *turn]
        # one array and three views cost less than three arrays
        values, both = np.fromiter(row, float, len(row)), len(goals)
        one = both // 2
        observation = {"observation": values[both:], "achieved_goal": values[:one], "desired_goal": values[one:both]}
        return observation, errors

    def _look(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the camera sees, and the observation of the state too where both are asked for."""
        rgb, depth = self._show().picture(self._view)
        return (observation if self._observes == "both" else {}) | {"rgb": rgb, "depth": depth}

    def _info(self, errors: tuple[float, float], action_rate: float) -> dict[str, Any]:
        plant, (position, angle) = self.plant, errors
        q = plant.position
        beyond = 0.0 if dist(q, self._inside[0]) < self._inside[1] else self._beyond_limits(q)
        touching = self._self_collision.touches(q)
        met = {} if self.scene is None else {"scene_contact": plant.contact}
        effort, near = plant.drive.load, self.tolerance
        terms = rewards.step_terms(
            self.reward, position, angle, effort, action_rate, beyond, touching or plant.contact, near
        )
        settling = plant.steps < self._lead
        return {
            "is_success": rewards.is_success(position, angle, near),
            "position_error": position,
            "orientation_error": angle,
            "joint_limit_violation": beyond,
            "torque_saturation": plant.drive.saturation,
            "self_collision": touching,
            **met,
            "runaway": max(plant.velocity) >= TOP_SPEED or min(plant.velocity) <= -TOP_SPEED,
            "settling": settling,
            "reward_terms": dict.fromkeys(terms, 0.0) if settling else terms,
        }

    def _beyond_limits(self, q: Sequence[float]) -> float:
        """How far the joints q (n) are beyond their limits, rad; notes how far they may move from here without that."""
        margin = min(*map(sub, q, self._lower), *map(sub, self._upper, q))
        self._inside = q, margin
        return 0.0 if margin >= 0 else -margin

    def compute_reward(
        self,
        achieved_goal: ArrayLike,
        desired_goal: ArrayLike,
        info: dict[str, Any] | Iterable[dict[str, Any] | None] | None,
    ) -> np.ndarray | float:
        """Reward of reaching achieved_goal when desired_goal was wanted: goals with a dict, or batches with dicts.

        Goals are (7,) or, where the position alone counts, (3,). None for info: the terms of the goal alone.
        """
        return rewards.compute_reward(self.reward, achieved_goal, desired_goal, info, self.tolerance)

    @property
    def step_index(self) -> int:
        """Control steps since the reset."""
        return self.plant.steps

    @property
    def torque(self) -> np.ndarray:
        """Torque last delivered by the motors, (n,) N m."""
        return self.plant.torque

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """True joint state: q (n,) rad, qd (n,) rad/s."""
        return self.plant.q, self.plant.qd

    def measure(self) -> Measurement:
        """Joint state as measured: q (n,) rad, qd (n,) rad/s, with the scenario's noise."""
        return self.plant.measure()

    def tip(self) -> np.ndarray:
        """True pose of the tip, (7,) m + xyzw."""
        position, quat = self.plant.body.tip()
        return np.array(position + quat)

    def render(self) -> np.ndarray | None:
        """What the camera sees, (360, 480, 3) uint8, with render_mode="rgb_array"; the window follows by itself."""
        if self.render_mode != "rgb_array":
            return None
        width, height = RENDER_SIZE
        return self._show().picture(replace(self._view, width=width, height=height), shadow=True)[0]

    def _show(self) -> Camera:
        if not self.targets:
            raise UsageError("Call reset() before render().")
        if self._camera is None:
            self._camera = Camera(
                self.chain, human=self.render_mode == "human", oriented=not self.position_only, scene=self.scene
            )
        position, quat = self.targets[self.plant.steps if self.moves else 0]
        self._camera.place(self.plant.q, [*position, *quat])
        return self._camera

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which draw in a world of their own. Raises UsageError where there is a window."""
        if self.render_mode == "human":
            raise UsageError("An environment with a window cannot be copied: make it with another render_mode.")
        return self.__dict__ | {"_camera": None}

    def close(self) -> None:
        """Disconnect from PyBullet; any number of times."""
        self._over = "The environment is closed; make a new one."
        self.plant.close()
        if self._camera is not None:
            self._camera.close()
            self._camera = None


def _pose_error(target: Pose, tip: Pose) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Position error (3) m and rotation vector (3) rad from the tip's pose to a target's, world frame."""
    (x, y, z), quat = target
    (a, b, c), tip_quat = tip
    return (x - a, y - b, z - c), rotation_error(quat, tip_quat)


def _check_render_mode(mode: str | None) -> str | None:
    if mode not in (None, *RENDER_MODES):
        raise UsageError(f"Unknown render_mode {mode!r}; choose one of {', '.join(RENDER_MODES)}.")
    if mode == "human":
        require_display()
    return mode
