"""What a bench will run: every reference under every scenario draw, with seeds that all controllers share."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from armctl.chain import Chain
from armctl.envs.bullet.obstructed import ObstructedBody
from armctl.errors import UsageError
from armctl.motion.goals import check_goal
from armctl.motion.reference import Reference
from armctl.plant.presets import sample_scenario
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig
from armctl.scene.body import Scene
from armctl.settings import check_finite

HOLD = 60.0  # s; the longest hold that is still about settling


@dataclass(frozen=True)
class BenchConfig:
    """How a bench is run; recorded in `config.json`."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    draws: int = 1
    """Scenario draws per reference and scenario."""
    seed: int = 0
    """Seed of every draw; all controllers meet the same draws."""
    control_dt: float = 0.01
    """Time a command is held, s."""
    physics_dt: float = 0.002
    """Physics step, s."""
    hold: float = 0.5
    """Time the final pose is held after a reference that ends at rest, s; shows settling, is no part of the errors."""
    settle: float = 0.0
    """Time the first pose is held before a reference starts and errors count, s: the controller settles under its load;
    with 0 the load begins to fall as the reference starts."""
    backend: Literal["bullet", "twin"] = "bullet"
    """Where episodes run: PyBullet, the truth, or its twin, much faster in large batches (controllers in JAX alone)."""
    scene: str | None = None
    """Obstacles around the arm: table, shelf, pillars, bin, wall, or a .json, .toml or .urdf file."""
    batch: int = 16
    """Episodes that advance together, so that the controller is called once for all of them."""
    jobs: int | None = None
    """Worker processes; this process alone if absent or, on Ray, one on each CPU of the cluster."""
    ray: str | None = None
    """Run on a Ray cluster: HOST:PORT of its head, or auto."""
    patience: float = 1.0
    """Longest time that a controller from outside may take for an action, an episode's first apart, s; beyond, the
    episode fails."""

    def __post_init__(self) -> None:
        check_finite(self)


@dataclass(frozen=True, eq=False)
class Task:
    """One episode to run: a reference under one scenario draw."""

    suite: str
    reference: Reference
    label: str
    """Name of the reference, unique in its suite."""
    scenario_name: str
    scenario: Scenario
    draw: int
    seed: int
    """Seed of the scenario draw and of the observation noise."""
    scene: Scene | None = None
    """Bodies around the arm; the same ones in every task of a bench."""

    @property
    def goal(self) -> np.ndarray | None:
        """Tip pose (7,) to reach, None where the way is the task."""
        given = self.reference.meta.get("goal")
        return None if given is None else np.asarray(given, float)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Identity of the episode, the same for every controller."""
        return self.suite, self.label, self.scenario_name, self.draw


def make_tasks(
    config: BenchConfig,
    chain: Chain,
    suites: Mapping[str, Sequence[Reference]],
    scenarios: Sequence[str] | Mapping[str, Scenario],
    scene: Scene | None = None,
) -> list[Task]:
    """Every episode of the bench, shortest first so that neighbours finish together.

    scenarios: names of presets, drawn anew for every reference, or name -> one fixed scenario. scene: bodies around the
    arm. Raises UsageError for no reference, no scenario, an unknown scenario, settings that make no episode, and a
    reference that starts in a body.
    """
    for name in ("draws", "batch", "jobs"):
        if (given := getattr(config, name)) is not None and given < 1:
            raise UsageError(f"{name} is {given}; give at least 1.")
    if config.backend not in ("bullet", "twin"):
        raise UsageError(f"backend is {config.backend!r}; choose bullet or twin.")
    if config.patience <= 0:
        raise UsageError(f"patience is {config.patience} s; give the time an action may take, above 0.")
    if not 0 <= config.hold <= HOLD:
        raise UsageError(f"hold is {config.hold} s; give 0 to {HOLD:g} s.")
    if not 0 <= config.settle <= HOLD:
        raise UsageError(f"settle is {config.settle} s; give 0 to {HOLD:g} s.")
    ServoConfig(physics_dt=config.physics_dt, control_dt=config.control_dt)  # refuses steps that do not fit
    if not any(len(references) for references in suites.values()) or not len(scenarios):
        raise UsageError(
            "A bench needs at least one reference and one scenario; name a suite and a scenario that are not empty."
        )
    for suite, references in suites.items():
        for one in references:
            check_reference(chain, one, suite, config.settle)
    suites = {suite: [one.resampled(chain, config.control_dt) for one in suites[suite]] for suite in suites}
    if scene is not None:
        _check_starts(chain, scene, suites)
    tasks = [
        replace(_task(config, chain, suite, reference, label, name, scenarios, draw), scene=scene)
        for suite, references in suites.items()
        for reference, label in zip(references, _labels(references), strict=True)
        for name in scenarios
        for draw in range(config.draws)
    ]
    return sorted(tasks, key=lambda task: len(task.reference.q))


def check_reference(chain: Chain, reference: Reference, suite: str, settle: float) -> None:
    """Raises UsageError for a reference of another arm, or with a goal or a start that is none."""
    said = f"Reference '{reference.name}' of suite '{suite}'"
    if reference.q.shape[1] != chain.n:
        raise UsageError(f"{said} has {reference.q.shape[1]} joints, {chain.name} has {chain.n}; give the arm's own.")
    if (goal := reference.meta.get("goal")) is not None:
        check_goal(chain, goal, position_only=False)
    if (start := reference.meta.get("start")) is None:
        return
    if np.shape(start) != (chain.n,) or not np.isfinite(np.asarray(start, float)).all():
        raise UsageError(f"{said} has start {start!r} in its meta data; give {chain.n} joint positions, rad.")
    if settle:
        raise UsageError(
            f"{said} shows where to go from its first sample on; there is no first pose to hold for settle={settle:g} "
            "s: give 0."
        )


def _check_starts(chain: Chain, scene: Scene, suites: Mapping[str, Sequence[Reference]]) -> None:
    """Raises UsageError where the arm stands in a body of the scene at home, or as a reference starts."""
    body = ObstructedBody(chain, scene)
    try:
        for suite, references in suites.items():
            for one in references:
                body.place(one.start[0])
                body.check_clear(f"On reference '{one.name}' of suite '{suite}' l")
    finally:
        body.close()


def batches(tasks: list[Task], size: int) -> list[list[Task]]:
    """The tasks in batches of at most `size`."""
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def fingerprint(tasks: list[Task], checksums: Mapping[str, int]) -> dict[str, Any]:
    """What a resumed bench must share with the interrupted one: episodes, references, checksums of controllers."""
    return {
        "episodes": [
            [
                *task.key,
                task.seed,
                zlib.crc32(task.reference.q.tobytes()),
                zlib.crc32(repr(task.scenario).encode()),
                *([] if task.scene is None else [scene_sum(task.scene)]),
            ]
            for task in tasks
        ],
        "controllers": dict(checksums),
    }


def scene_sum(scene: Scene) -> int:
    """A checksum of what stands around the arm, whatever the scene is called."""
    return zlib.crc32(repr(scene.bodies).encode())


def _task(
    config: BenchConfig,
    chain: Chain,
    suite: str,
    reference: Reference,
    label: str,
    name: str,
    scenarios: Sequence[str] | Mapping[str, Scenario],
    draw: int,
) -> Task:
    words = [zlib.crc32(text.encode()) for text in (suite, label, name)]
    seed = int(np.random.SeedSequence([config.seed, *words, draw]).generate_state(1)[0])
    if isinstance(scenarios, Mapping):
        scenario = scenarios[name]
    else:
        scenario = sample_scenario(name, chain, np.random.default_rng(seed))
    return Task(suite, reference, label, name, replace(scenario, seed=seed), draw, seed)


def _labels(references: Sequence[Reference]) -> list[str]:
    count = Counter(reference.name for reference in references)
    return [
        reference.name if count[reference.name] == 1 else f"{reference.name}#{index}"
        for index, reference in enumerate(references)
    ]
