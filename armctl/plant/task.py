"""What reaching and tracking take and show, stated once for plant and twin: spaces, argument checks, scenario draws."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.action import action_scale
from armctl.plant.presets import PRESETS, check_preset, sample_scenario
from armctl.plant.scenario import Scenario, as_scenario
from armctl.plant.servo import ServoConfig

OBSERVE = ("state", "image", "both")
BOUND = 1e6
"""Of the observation spaces: beyond anything an arm does, but finite, as Gymnasium asks."""
ScenarioLike = Scenario | str | Mapping[str, Any] | Callable[[np.random.Generator], Scenario]


def action_space(chain: Chain, config: ServoConfig) -> Box:
    """Box(-1, 1, (m,), float32): m numbers, each a share of `action_scale`."""
    return Box(-1.0, 1.0, action_scale(chain, config).shape, np.float32)


def observation_space(chain: Chain, targets: int, position_only: bool = False) -> Dict:
    """`observation` (2n + 9 + 6 targets,), `achieved_goal` and `desired_goal` (7,) or, position only, (3,), float64.

    targets: how many the observation shows the errors to; 0 where it shall know nothing of the goal.
    """
    goal = 3 if position_only else 7
    sizes = {"observation": 2 * chain.n + 9 + 6 * targets, "achieved_goal": goal, "desired_goal": goal}
    return Dict({name: Box(-BOUND, BOUND, (size,), np.float64) for name, size in sizes.items()})


def check_preview(preview: int) -> int:
    """The number of future targets to observe. Raises UsageError unless it is a whole number of at least 0."""
    if isinstance(preview, bool) or not isinstance(preview, int) or preview < 0:
        raise UsageError(f"preview is {preview!r}; give the number of future targets to observe, 0 or more.")
    return preview


def check_observe(observe: str) -> str:
    """What is observed. Raises UsageError for an unknown name."""
    if observe not in OBSERVE:
        raise UsageError(f"Unknown observe {observe!r}; choose one of {', '.join(OBSERVE)}.")
    return observe


def check_no_preview(preview: int | None) -> None:
    """Raises UsageError where reaching is asked for a preview of its one target."""
    if preview:
        raise UsageError(f"preview is {preview!r}; reaching has one target, which desired_goal shows: leave it out.")


def check_length(steps: int) -> int:
    """Control steps of an episode. Raises UsageError unless it is a whole number of at least 1."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise UsageError(f"max_episode_steps is {steps!r}; give the control steps of an episode, 1 or more.")
    return int(steps)


def check_duration(duration: float, control_dt: float) -> float:
    """How long drawn references last, s. Raises UsageError for less than a control step and what is not finite."""
    if not control_dt <= duration < float("inf"):
        raise UsageError(f"duration is {duration} s; give at least one control step, {control_dt} s.")
    return duration


def check_settle(settle: float, control_dt: float) -> int:
    """Control steps for which the first pose is held. Raises UsageError for a time that is negative or not finite."""
    if not 0 <= settle < float("inf"):
        raise UsageError(f"settle is {settle} s; give the time to hold the first pose before a reference starts, s.")
    return round(settle / control_dt)


def check_scenario(scenario: ScenarioLike) -> Scenario | str | Callable[[np.random.Generator], Scenario]:
    """What scenarios are drawn from; a dictionary of fields, as from JSON, becomes a Scenario.

    Raises UsageError for an unknown preset or field, and for what is no scenario at all.
    """
    if isinstance(scenario, Mapping):
        return as_scenario(scenario)
    if isinstance(scenario, str):
        return check_preset(scenario)
    if not (isinstance(scenario, Scenario) or callable(scenario)):
        raise UsageError(
            f"scenario is {scenario!r}; give a Scenario, a preset's name ({', '.join(PRESETS)}) or a function of a "
            "generator."
        )
    return scenario


def draw_scenario(source: ScenarioLike, chain: Chain, rng: np.random.Generator) -> Scenario:
    """One scenario of a source. Raises UsageError where a function returns something else."""
    source = check_scenario(source)
    if isinstance(source, Scenario):
        return source
    if isinstance(source, str):
        return sample_scenario(source, chain, rng)
    drawn = source(rng)
    if not isinstance(drawn, Scenario):
        raise UsageError(f"The scenario function returned {type(drawn).__name__}; it must return a Scenario.")
    return drawn
