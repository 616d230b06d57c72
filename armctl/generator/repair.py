"""Make a motion better within a trust region: the gradient moves the inner control points of its path.

Shorter, smoother, clearer of everything around, or easier for a given controller, by the gradient through its closed
loop in the twin. Start and goal stay exactly, no inner control point leaves a box around where it was or the joint
limits, and what comes back is certified; where nothing better is, the motion itself comes back.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.errors import UsageError
from armctl.generator import aims
from armctl.generator.following import Following
from armctl.generator.trust_region import Region, path_of
from armctl.motion import spline
from armctl.motion.certificate import Certificate, Checker
from armctl.motion.collision import safe_margin
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.plant.scenario import Scenario
from armctl.scene.body import Scene
from armctl.twin.episodes import single
from armctl.typing import Array

Progress = Callable[[int], None]
AIMS = {"shorter": "duration_s", "smoother": "jerk", "clearer": "crowding_m", "easier": "error_mm"}
"""What motions can be made, and the measure that falls then."""
PARTS = (1.0, 0.5, 0.25, 0.1)  # of the way to the best path found, that are tried until one is certified
LEAST = 1e-3  # by which a measure has to fall, as a part of it: less is rounding
PENALTY = 100.0  # of squared shares of limits and margins, beside the measure as a part of what it was
RATE = 0.15  # of the trust region, by which a control point moves in the first gradient steps
NO_GAIN = "no better path was found in the trust region"
STALE = ("certificate", "difficulty", "cell", "legs", "eta", "t_min", "binding")  # that do not hold for another path


@dataclass(frozen=True)
class Measures:
    """A motion in figures."""

    duration_s: float
    """s."""
    jerk: float
    """Root mean square over time and joints, as a share of the limits."""
    crowding_m: float
    """By how much distances fall short of 0.1 m, root mean square over the way, m."""
    clearance_m: float
    """Smallest distance of covering spheres on the way, m."""
    error_mm: float | None
    """Tracking error of the controller in the twin, mean over the plants, mm; None without a controller."""
    margins: dict[str, float]
    """Margins of the certificate."""
    valid: bool
    """Whether it is certified."""


@dataclass(frozen=True)
class Improvement:
    """What became of a motion that was to be made better."""

    name: str
    """Of the reference."""
    aim: str
    """One of AIMS."""
    improved: bool
    """Whether a better motion was found; else the motion came back as it was."""
    reason: str
    """Why it was not, else empty."""
    change: float
    """Largest move of a control point, rad or m."""
    before: Measures
    after: Measures

    def measure(self, measures: Measures) -> float:
        """What was to fall, of the motion before or after."""
        return float(getattr(measures, AIMS[self.aim]))

    @property
    def ratio(self) -> float:
        """What was to fall, after over before."""
        before = self.measure(self.before)
        return self.measure(self.after) / before if before else 1.0


def improve(
    references: Sequence[Reference],
    chain: Chain,
    *,
    aim: str = "shorter",
    controller: Controller | None = None,
    scenarios: Sequence[Scenario] = (),
    scene: Scene | None = None,
    trust: float = 0.1,
    steps: int = 30,
    progress: Progress = lambda step: None,
) -> list[tuple[Reference, Improvement]]:
    """Motions made better, all at once, each by itself: a reference that is certified, or the one that was given.

    references: of one sampling time, each a rest-to-rest spline as the generator and the corpus make them. aim: one of
    AIMS; `shorter` keeps the share of the limits that is used, the others keep the duration. controller: whose tracking
    error falls where the aim is `easier`, and is measured for the others too. scenarios: its true plants, the nominal
    one if none. scene: what to keep off. trust: how far an inner control point may move, as a part of half its joint's
    range. steps: gradient steps. progress: called with how many are done. Nothing is drawn at random.
    Raises UsageError for an unknown aim, one without the controller that it needs, a trust region or a number of steps
    that is not positive, motions that are no such splines, and those that were made in another scene.
    """
    check_wishes(aim, trust, steps, len(scenarios) or 1, has_controller=controller is not None)
    check_alike(references)
    check_scenes(references, scene)
    region = Region.around(np.stack([path_of(reference, chain) for reference in references]), chain, trust)
    durations = np.array([reference.duration for reference in references])
    follow = None
    if controller is not None:
        follow = Following(controller, chain, scenarios or [Scenario()], references[0].dt, float(durations.max()))
    with Checker(chain, scene) as checker:
        judge = Judge(chain, scene, checker, follow)
        figures = judge.figures(region.points, durations)
        before = [judge.certified(*pair)[1] for pair in zip(references, figures, strict=True)]
        rolled = follow if aim == "easier" else None
        problem = make_problem(aim, chain, region, before, safe_margin(chain, scene), rolled)
        move = search(problem, scene, rolled, steps, progress)
        return _accepted(aim, judge, region, move, references, before)


def check_wishes(aim: str, trust: float, steps: int, plants: int, *, has_controller: bool) -> None:
    """Raise UsageError for an unknown aim, one that lacks its controller, and numbers that are not positive."""
    if aim not in AIMS:
        raise UsageError(f"Unknown aim {aim!r}; choose one of {', '.join(AIMS)}.")
    if aim == "easier" and not has_controller:
        raise UsageError("A motion can be made easier only for a controller; name the one that shall follow it.")
    if not 0 < trust <= 1:
        raise UsageError(f"trust is {trust:g}, outside (0, 1]; it is the part of half a joint's range to move within.")
    if steps < 1 or plants < 1:
        raise UsageError(f"There are {steps} gradient steps and {plants} plants; give at least 1 of each.")


def check_alike(references: Sequence[Reference]) -> None:
    """Raise UsageError unless there are motions, of one sampling time and each with a name of its own."""
    if not references or np.ptp([reference.dt for reference in references]) > 1e-12:
        raise UsageError("Give at least one motion to improve, and several at one sampling time.")
    double = [name for name, count in Counter(reference.name for reference in references).items() if count > 1]
    if double:
        raise UsageError(f"Two motions are called {double[0]!r}; give each a name of its own.")


def check_scenes(references: Sequence[Reference], scene: Scene | None) -> None:
    """Raise UsageError for a motion that was made in another scene, off whose bodies nothing would keep it."""
    here = None if scene is None else scene.name
    for reference in references:
        there = reference.meta.get("scene")
        if there not in (None, here):
            raise UsageError(
                f"{reference.name} was made in the scene {there!r}; improve motions of one scene at a time, with "
                "--scene (scene=...) that scene, so that they keep off its bodies."
            )


class Problem(NamedTuple):
    """What is searched: paths, where they may go, and what counts."""

    arm: Arm
    ends: tuple[Array, Array]  # (B, n) rad, start and goal
    inner: Array  # (B, C - 6, n) rad, control points as they are
    box: tuple[Array, Array]  # (B, C - 6, n) between which they may move, in radii
    radius: Array  # (n,) rad
    aim: Array  # (4,) one-hot, in the order of AIMS
    unit: Array  # (B,) what is to fall, as it is
    duration: Array  # (B,) s
    margin: Array  # m, to keep from everything
    timing: Any  # of the motions that a controller follows, None without one

    def paths(self, move: Array) -> Array:
        """Paths (B, C, n) rad whose inner control points have moved by so many radii."""
        return spline.control_points(*self.ends, self.inner + move * self.radius)


def search(problem: Problem, scene: Scene | None, follow: Following | None, steps: int, progress: Progress) -> Array:
    """Moves (B, C - 6, n), in radii, with the least cost that projected gradient steps (Adam) come by."""
    move = jnp.zeros(problem.inner.shape, jnp.float32)
    least = jnp.full(len(move), jnp.inf, jnp.float32)
    state, nothing = (move, optax.scale_by_adam().init(move), move, least), (np.zeros_like(problem.unit), move)
    for k in range(steps + 1):  # the last one looks at where the others have led
        rate = np.float32(RATE * (0.55 + 0.45 * np.cos(np.pi * k / steps)))
        followed = nothing if follow is None else _followed(problem, state[0], follow)
        state = _step(problem, state, rate, followed, scene)
        progress(min(k + 1, steps))
    return np.asarray(state[2], float)


@partial(jax.jit, static_argnums=2)
def _followed(problem: Problem, move: jax.Array, follow: Following) -> tuple[jax.Array, jax.Array]:
    """What of the cost (B,) the controller's error is, and its gradient with respect to the move.

    A program of its own, for it takes long to compile, and the other one serves all aims.
    """

    def total(move: jax.Array) -> tuple[jax.Array, jax.Array]:
        each = 1e3 * follow(problem.paths(move), problem.timing) / problem.unit
        return jnp.sum(each), each

    (_, each), slope = jax.value_and_grad(total, has_aux=True)(move)
    return each, slope


@partial(jax.jit, static_argnums=4)
def _step(problem: Problem, state: Any, rate: Array, followed: tuple[Array, Array], scene: Scene | None) -> Any:
    """One gradient step of all paths, each by itself: (move, memory of Adam, best move, its cost) after it."""

    def total(move: jax.Array) -> tuple[jax.Array, jax.Array]:
        each = cost(problem, problem.paths(move), scene)
        return jnp.sum(each), each

    move, memory, best, least = state
    (_, each), slope = jax.value_and_grad(total, has_aux=True)(move)
    each, slope = each + followed[0], slope + followed[1]
    better = each < least
    best, least = jnp.where(better[:, None, None], move, best), jnp.where(better, each, least)
    change, memory = optax.scale_by_adam().update(jnp.where(jnp.isfinite(slope), slope, 0.0), memory)
    return jnp.clip(move - rate * change, *problem.box), memory, best, least


def cost(problem: Problem, points: jax.Array, scene: Scene | None) -> jax.Array:
    """Cost (B,) of paths (B, C, n) rad, a controller's error apart: what is to fall as a part of what it was, and what
    is exceeded. One program serves every aim: what is not aimed at counts nothing.
    """
    times, distances = aims.limit_times(problem.arm, points), aims.gaps(problem.arm, points, scene)
    values = aims.smooth_duration(times), aims.jerk(problem.arm, points, problem.duration), aims.crowding(distances)
    value = sum(weight * x for weight, x in zip(problem.aim, values, strict=False)) / problem.unit
    over = (1 - problem.aim[0]) * aims.overuse(times, problem.duration)
    return value + PENALTY * (over + aims.intrusion(distances, problem.margin))


def make_problem(
    aim: str, chain: Chain, region: Region, before: Sequence[Measures], margin: float, follow: Following | None
) -> Problem:
    """The search for what has less of an aim's measure, in single precision."""
    duration = np.array([was.duration_s for was in before])
    unit = np.array([getattr(was, AIMS[aim]) for was in before])
    box = tuple((bound - region.inner) / region.radius for bound in (region.low, region.high))
    return single(
        Problem(
            arm=Arm.from_chain(chain),
            ends=(region.points[:, 0], region.points[:, -1]),
            inner=region.inner,
            box=box,
            radius=region.radius,
            aim=np.array([aim == name for name in AIMS], float),
            unit=np.maximum(unit, 1e-9),
            duration=duration,
            margin=np.array(margin),
            timing=None if follow is None else follow.timing(duration),
        )
    )


class Judge:
    """Measures motions of one arm."""

    def __init__(self, chain: Chain, scene: Scene | None, checker: Checker, follow: Following | None) -> None:
        self.chain, self.scene, self.checker, self.follow = chain, scene, checker, follow
        self._errors = jax.jit(follow) if follow is not None else None

    def figures(self, points: np.ndarray, durations: np.ndarray) -> list[dict[str, Any]]:
        """What of Measures needs no certificate, of paths (B, C, n) run in durations (B,) s."""
        distances = aims.gaps(self.chain, points, self.scene)
        columns = {
            "duration_s": durations,
            "jerk": aims.jerk(self.chain, points, durations),
            "crowding_m": aims.crowding(distances),
            "clearance_m": distances.min(axis=(-2, -1), initial=np.inf),
        }
        if self.follow is not None and self._errors is not None:
            columns["error_mm"] = 1e3 * np.asarray(self._errors(single(points), self.follow.timing(durations)))
        rows = [{name: float(x[k]) for name, x in columns.items()} for k in range(len(points))]
        return [{"error_mm": None, **row} for row in rows]

    def certified(self, reference: Reference, figures: dict[str, Any]) -> tuple[Certificate, Measures]:
        """The certificate of a motion, and its measures."""
        found = self.checker.certify(reference)
        return found, Measures(**figures, margins=found.margins, valid=found.valid)


def _accepted(
    aim: str, judge: Judge, region: Region, move: np.ndarray, references: Sequence[Reference], before: list[Measures]
) -> list[tuple[Reference, Improvement]]:
    """Every motion at the largest part of its move that is better and certified, else as it was."""
    result: list[tuple[Reference, Improvement]] = [
        (one, Improvement(one.name, aim, False, NO_GAIN, 0.0, was, was))
        for one, was in zip(references, before, strict=True)
    ]
    for part in PARTS:
        left = [k for k, (_, said) in enumerate(result) if not said.improved]
        if not left:
            break
        points = region.moved(part * move)
        timed = _timed(aim, judge.chain, region.points, points, references)
        figures = judge.figures(points, timed.duration)
        for k in left:
            if np.isfinite(timed.t_min[k]) and _better(aim, figures[k], before[k]):
                new = _reference(judge, references[k], points[k], timed, k)
                certificate, after = judge.certified(new, figures[k])
                if certificate.valid:
                    change = float(np.abs(points[k] - region.points[k]).max())
                    facts = {"certificate": certificate.as_dict(), "improved": {"aim": aim, "change": change}}
                    said = Improvement(new.name, aim, True, "", change, before[k], after)
                    result[k] = replace(new, meta={**new.meta, **facts}), said
                else:
                    reason = f"what was better broke {', '.join(certificate.broken)}"
                    result[k] = references[k], replace(result[k][1], reason=reason)
    return result


class Timed(NamedTuple):
    """When paths are run: shortest and given durations (B,) s, and what binds, indices (B,) into CONSTRAINTS."""

    t_min: np.ndarray
    duration: np.ndarray
    binding: np.ndarray


def _timed(aim: str, chain: Chain, before: np.ndarray, after: np.ndarray, references: Sequence[Reference]) -> Timed:
    """Durations of paths (B, C, n): those that they had, or where they shall be shorter at the same share of limits."""
    t_min, binding = path_timing(chain, after)
    duration = np.array([reference.duration for reference in references])
    if aim != "shorter":
        return Timed(t_min, duration, binding)
    first, dt = path_timing(chain, before)[0], references[0].dt
    known = np.isfinite(t_min) & np.isfinite(first)
    steps = np.ceil(duration * np.divide(t_min, first, out=np.ones_like(first), where=known) / dt - 1e-9)
    return Timed(t_min, steps * dt, binding)


def _reference(judge: "Judge", old: Reference, points: np.ndarray, timed: Timed, k: int) -> Reference:
    """The motion of one path (C, n), in place of an old one."""
    t_min, duration = timed.t_min[k], timed.duration[k]
    meta = {name: fact for name, fact in old.meta.items() if name not in STALE}
    meta |= {} if judge.scene is None else {"scene": judge.scene.name}
    binding = spline.CONSTRAINTS[int(timed.binding[k])]
    return path_reference(
        judge.chain, points, t_min, t_min / duration, old.dt, binding=binding, name=old.name, meta=meta
    )


def _better(aim: str, figures: dict[str, Any], was: Measures) -> bool:
    """Whether the measure has fallen and, where a motion was to be clearer, nothing has come nearer than before."""
    if aim == "clearer" and figures["clearance_m"] < was.clearance_m - 1e-6:
        return False
    return bool(figures[AIMS[aim]] < (1 - LEAST) * getattr(was, AIMS[aim]))


def summary(improvements: Sequence[Improvement]) -> dict[str, Any]:
    """Medians before and after of what was to fall, share improved and largest change, of motions of one aim."""
    before = [one.measure(one.before) for one in improvements]
    after = [one.measure(one.after) for one in improvements]
    return {
        "aim": improvements[0].aim,
        "measure": AIMS[improvements[0].aim],
        "motions": len(improvements),
        "improved": float(np.mean([one.improved for one in improvements])),
        "before": float(np.median(before)),
        "after": float(np.median(after)),
        "ratio": float(np.median([one.ratio for one in improvements])),
        "change": float(max(one.change for one in improvements)),
        "certified": float(np.mean([one.after.valid for one in improvements])),
    }
