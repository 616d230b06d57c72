"""What proposals are asked to be: checked once, before work starts, and turned into postures."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.flow import FlowModel
from armctl.generator.paths import check_percentile
from armctl.generator.vias import MOST
from armctl.motion.postures import Asked, postures
from armctl.motion.sampling import check_eta
from armctl.scene import Scene, load_scene


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """What all proposals have in common; what is None or empty is drawn as in the corpus.

    speed: eta in (0, 1]. difficulty: percentile in [0, 1]. family: of the motion. start, goal: (K, n) rad, postures any
    of which will do, the likeliest first. vias: (K, n) rad each, likewise, in the order in which they are passed.
    duration: s. scene: obstacles. dt: s. seed: of contexts and noise.
    """

    speed: float | None = None
    difficulty: float | None = None
    family: str | None = None
    start: np.ndarray | None = None
    goal: np.ndarray | None = None
    vias: tuple[np.ndarray, ...] = ()
    duration: float | None = None
    scene: Scene | None = None
    dt: float = 0.01
    seed: int = 0


def make_request(
    model: FlowModel, chain: Chain, *, speed: float | None = None, difficulty: float | None = None,
    family: str | None = None, start: Asked | None = None, goal: Asked | None = None, via: Sequence[Asked] = (),
    duration: float | None = None, scene: Scene | str | Path | None = None, dt: float = 0.01, seed: int = 0,
) -> Request:  # fmt: skip
    """The request that says so; arguments as of `armctl.generator.propose`.

    Raises UsageError for values out of their range, wishes that contradict one another, and postures that the arm
    cannot take.
    """
    around = model.scene if scene is None else load_scene(scene, chain)
    if family is not None:
        model.paths.index(family)
    if speed is not None:
        check_eta(speed)
    if difficulty is not None:
        _check_dial(model, difficulty)
    check_duration(speed, duration)
    check_vias(via)
    given: dict[str, Any] = {"scene": around, "seed": seed}
    first = None if start is None else postures(start, chain, "start", **given)
    near = chain.home if first is None else first[0]
    last = None if goal is None else postures(goal, chain, "goal", near=near, **given)
    middle = near if last is None else (near + last[0]) / 2
    vias = tuple(postures(one, chain, f"via {k + 1}", near=middle, **given) for k, one in enumerate(via))
    return Request(speed, difficulty, family, first, last, vias, duration, around, dt, seed)


def _check_dial(model: FlowModel, difficulty: float) -> None:
    check_percentile(difficulty)
    if model.dial is None and not np.asarray(model.contexts)[:, model.paths.columns.difficulty][:, 1].any():
        raise UsageError(
            f"difficulty is {difficulty:g}, but this generator has not learned what is difficult; train it with "
            "`armctl train generator --difficulty-scenario payload`, or ask for a speed."
        )


def check_duration(speed: float | None, duration: float | None) -> None:
    """Raise UsageError for a duration that is none, and for both a duration and a speed."""
    if duration is None:
        return
    if not 0 < duration < np.inf:
        raise UsageError(f"duration is {duration:g} s; give how long the motion is to take, above 0.")
    if speed is not None:
        raise UsageError(
            f"duration is {duration:g} s and speed is {speed:g}; both say how fast to go: leave one of them out."
        )


def check_vias(via: Sequence[Asked]) -> None:
    """Raise UsageError for more via points than a path can pass."""
    if len(via) > MOST:
        raise UsageError(f"There are {len(via)} via points; one path passes at most {MOST}, so propose it in parts.")
