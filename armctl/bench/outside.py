"""Controllers from outside: plain objects that are shown what the environment shows, and answer with a command.

Those of armctl.controllers are Flax modules, called for a whole batch and differentiable; one from outside may be
anything: NumPy, another library, a policy from a file. It runs in `TrackEnv`, an episode at a time.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from flax import nnx
from numpy.typing import ArrayLike

from armctl import geometry, rigid
from armctl.bench.episode_log import EpisodeLog, check_commands, held
from armctl.bench.metrics import Episode
from armctl.bench.plan import BenchConfig, Task
from armctl.chain import Chain
from armctl.controllers.base import FAMILIES
from armctl.envs.arm_env import ArmEnv
from armctl.envs.bullet.pose import same_side
from armctl.envs.reach import ReachEnv
from armctl.envs.track import TrackEnv
from armctl.errors import UsageError
from armctl.scene.body import Scene

CONTROLS = ("torque", "velocity", "position", "ee_twist", "action")
OPTIONS = ("control", "preview", "observe", "camera", "tolerance", "position_only")
"""Of the environment, which a controller may choose: what it sees and commands, never the plant."""


class OutsideController(Protocol):
    """What a controller from outside has to have, besides the optional `reset(info)`, `estimates()` (numbers and arrays
    by name, for the record), `task`, `control_dt`, `environment`, `title`, `family` and `information`.

    control: "torque" (n,) N m, "velocity" (n,) rad/s, "position" (n,) rad, the joints' targets, "ee_twist" (6,) m/s and
    rad/s of the tip in the world frame, or "action", what the environment itself takes, in [-1, 1].
    task: "track" or "reach", the environment that it is made for; the latter takes part where there are goals.
    control_dt: for how long its commands are held, s, a multiple of the bench's; one control step if absent or 0.
    environment: arguments of it (`preview`, `observe`, `camera`, `position_only`, `tolerance`; `control` where actions
    are given).
    """

    control: str

    def act(self, observation: dict[str, np.ndarray]) -> ArrayLike:
        """The command that is held for the next control step."""


def is_outside(controller: Any) -> bool:
    """Whether it is no Flax module, and so follows the protocol here."""
    return not isinstance(controller, nnx.Module)


def check_outside(name: str, controller: Any) -> None:
    """Raises UsageError unless the controller called `name` follows the protocol."""
    kind, remedy = type(controller).__name__, "see 'Without JAX' in docs/own.md"
    if isinstance(controller, type):
        raise UsageError(f"'{name}' is the class {controller.__name__}; give an object of it, {controller.__name__}().")
    if not callable(getattr(controller, "act", None)):
        raise UsageError(f"'{name}' ({kind}) has no method act(observation) that returns a command; {remedy}.")
    control = getattr(controller, "control", None)
    if control not in CONTROLS:
        raise UsageError(f"'{name}' ({kind}) has control {control!r}; set it to one of {', '.join(CONTROLS)}.")
    if task_of(controller) not in ("track", "reach"):
        raise UsageError(f"'{name}' ({kind}) has task {controller.task!r}; set it to 'track' or 'reach'.")
    if getattr(controller, "family", "yours") not in FAMILIES:
        raise UsageError(f"'{name}' ({kind}) has family {controller.family!r}; choose one of {', '.join(FAMILIES)}.")
    given = getattr(controller, "environment", None)
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"'{name}' ({kind}) has environment {given!r}; give a dictionary of arguments.")
    options = environment(controller)
    unknown = [key for key in options if key not in OPTIONS]
    if unknown:
        raise UsageError(f"'{name}' ({kind}) has environment {unknown[0]!r}; it may set {', '.join(OPTIONS)}.")
    if control != "action" and options["control"] != control:
        raise UsageError(
            f"'{name}' ({kind}) has control {control!r} and environment control {options['control']!r}; the latter is "
            "for control 'action' alone."
        )


def task_of(controller: Any) -> str:
    """The environment that it is made for, "track" unless it says otherwise."""
    return getattr(controller, "task", "track")


def environment(controller: Any) -> dict[str, Any]:
    """Arguments of its environment that it wants, control mode and preview in any case."""
    mode = "velocity" if controller.control == "action" else controller.control
    preview = 4 if task_of(controller) == "track" else 0
    return {"control": mode, "preview": preview} | dict(getattr(controller, "environment", None) or {})


def held_steps(config: BenchConfig, controller: Any) -> int:
    """For how many control steps of the bench a command of the controller is held."""
    return round((getattr(controller, "control_dt", 0.0) or config.control_dt) / config.control_dt)


def check_held(config: BenchConfig, name: str, controller: Any) -> None:
    """Raises UsageError where a command of the controller called `name` is not held for whole control steps, and where
    targets ahead would be others than it was made for."""
    own, steps = getattr(controller, "control_dt", 0.0) or config.control_dt, held_steps(config, controller)
    if steps < 1 or abs(own / config.control_dt - steps) > 1e-6:
        raise UsageError(
            f"'{name}' holds a command for {own:g} s, no multiple of the bench's {config.control_dt:g} s; use "
            f"--control-dt {own:g}."
        )
    if steps > 1 and task_of(controller) == "track":
        raise UsageError(
            f"'{name}' tracks with targets {own:g} s apart, and the bench's are {config.control_dt:g} s; use "
            f"--control-dt {own:g}."
        )


def information(controller: Any) -> str:
    """What it is given, in words."""
    options = environment(controller)
    ahead = f"errors to the reference of now and of {options['preview']} steps ahead"
    state = f"measured joints and tip, {ahead if task_of(controller) == 'track' else 'the goal'}"
    return {"state": state, "image": "pictures", "both": f"{state}, pictures"}[options.get("observe", "state")]


def make_env(config: BenchConfig, controller: Any, scene: Scene | None = None) -> TrackEnv | ReachEnv:
    """The environment that a controller from outside wants, on the time grid of the bench and in its scene.

    Raises UsageError for arguments that it does not take.
    """
    options = {
        "control_dt": config.control_dt,
        "physics_dt": config.physics_dt,
        "scene": scene,
        **environment(controller),
    }
    if task_of(controller) == "track":
        if {"tolerance", "position_only"} & set(options):
            raise UsageError("tolerance and position_only are of the task 'reach'; leave them out.")
        return TrackEnv(config.robot, settle=config.settle, **options)
    if config.settle:
        raise UsageError(f"settle is {config.settle} s; controllers of the task 'reach' start at once: give 0.")
    return ReachEnv(config.robot, **options)


def run_outside(config: BenchConfig, chain: Chain, controller: Any, tasks: list[Task]) -> list[Episode]:
    """Run the tasks one after the other and return what happened, in their order.

    An episode in which the controller raises an exception, gives a command of another size or one that is not finite,
    or takes longer than `config.patience` for it, ends there as failed; the next one begins with `reset`.
    """
    env = make_env(config, controller, tasks[0].scene)
    try:
        return [_episode(config, chain, controller, task, env) for task in tasks]
    finally:
        env.close()


def _wanted(config: BenchConfig, task: Task, env: ArmEnv) -> dict[str, Any]:
    """What the environment shall do, as reset options."""
    if isinstance(env, TrackEnv):
        return {"reference": task.reference.before_hold(held(config, task)), "scenario": task.scenario}
    if task.goal is None:
        raise UsageError(f"The reference '{task.label}' of suite '{task.suite}' has no goal; use the suite 'reach'.")
    return {"goal": task.goal[:3] if env.position_only else task.goal, "scenario": task.scenario}


def _episode(config: BenchConfig, chain: Chain, controller: Any, task: Task, env: TrackEnv | ReachEnv) -> Episode:
    observation, info = env.reset(seed=task.seed, options=_wanted(config, task, env))
    log, action = EpisodeLog(config, chain, task, env.plant), _actions(controller, env)
    info |= {
        "robot": config.robot, "chain": chain, "action_scale": env.action_scale.copy(), "control": env.config.control,
        "control_dt": config.control_dt, "seed": task.seed,
    }  # fmt: skip
    try:
        getattr(controller, "reset", lambda info: None)(info)
    except (Exception, SystemExit) as error:
        log.fail_by(0, error)
    spent, k, every = 0.0, 0, held_steps(config, controller)
    while log.active(k):
        start = time.perf_counter()
        try:
            if k % every == 0:
                command = np.asarray(controller.act(_shown(env, observation)), float)
                check_commands(command, env.action_scale.shape, controller.control)
            took = time.perf_counter() - start
            estimates = dict(getattr(controller, "estimates", dict)())
        except (Exception, SystemExit) as error:
            log.fail_by(k, error)
            break
        if not np.isfinite(command).all():
            log.fail(k, "command is not finite")
        elif k and took > config.patience:  # the first call may compile
            log.fail(k, f"an action took {took:.2g} s, over the patience of {config.patience:g} s,")
        else:
            given, recorded = action(command)
            observation, *_ = env.step(given)
            log.stepped(k, recorded, estimates=estimates)
        spent += took if k else 0.0
        k += 1
    asked = -(-k // every)  # how often, in k control steps
    return log.episode(spent / max(1, asked - 1))


def _shown(env: ArmEnv, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The observation, with the tip as the sensors see it: no other controller is shown the truth either."""
    if not env.plant.noisy or "achieved_goal" not in observation:
        return observation
    pose = geometry.matrix_to_pose(rigid.forward_kinematics(env.chain, env.measure().q))
    if env.position_only:
        return {**observation, "achieved_goal": pose[:3]}
    pose[3:] = same_side(pose[3:].tolist(), observation["desired_goal"][3:])
    return {**observation, "achieved_goal": pose}


def _actions(controller: Any, env: ArmEnv) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """What turns a command into the environment's action, clipped to [-1, 1], and into what is recorded of it.

    For an episode that has just begun. Joint positions become increments of the environment's last target, of which a
    delay that varies may lose one or give one twice.
    """
    scale, chain = env.action_scale, env.chain
    if controller.control != "position":
        unit = np.ones_like(scale) if controller.control == "action" else scale

        def scaled(command: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            action = np.clip(command / unit, -1.0, 1.0)
            return action, action * scale

        return scaled
    target = env.state()[0]

    def move(command: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal target
        change = np.clip((command - target) / scale, -1.0, 1.0)
        target = np.clip(target + scale * change, chain.lower, chain.upper)
        return change, target

    return move
