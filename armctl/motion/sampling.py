"""Random configurations and reference trajectories without JAX, cheap enough to draw one per episode."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.motion import spline
from armctl.motion.collision import clearance
from armctl.motion.free import is_free
from armctl.motion.reference import Reference
from armctl.scene.body import Scene
from armctl.typing import Array

CANDIDATES = 8
CLEARANCE_SAMPLES = 25
SCENE_SAMPLES = 100  # bodies are thinner than arms
EASIEST = 0.01  # share of the limits; at less a motion of a second takes minutes, and its checks hours
ETA_RANGE = (0.3, 0.9)
WIGGLE = 0.12  # standard deviation of a via point off the straight line, as a part of each joint's range


def check_eta(eta: float, name: str = "speed") -> None:
    """Raise UsageError unless a share of the limits lies in (0, 1] and is not so small that motions never end."""
    if not 0 < eta <= 1:
        raise UsageError(f"{name} is {eta:g}, outside (0, 1]; it is the share of the arm's limits to use.")
    if eta < EASIEST:
        raise UsageError(
            f"{name} is {eta:g}; motions would last {1 / eta:.0f} times their shortest: give at least {EASIEST}."
        )


def random_configuration(
    chain: Chain, rng: np.random.Generator, size: int | None = None, *, margin: float = 0.05, scene: Scene | None = None
) -> np.ndarray:
    """Configurations uniform within the limits, each clear of the arm itself, of the floor and of a scene.

    size: None for one (n,) rad, or a count for (size, n) rad. margin: part of each range kept from the limits.
    Raises UsageError for a scene that leaves hardly any room.
    """
    lower, upper = joint_box(chain, margin)
    wanted, found = 1 if size is None else size, np.empty((0, chain.n))
    for _ in range(50):
        q = rng.uniform(lower, upper, (max(CANDIDATES, 2 * wanted), chain.n))
        found = np.concatenate([found, q[is_free(chain, q, scene)]])
        if len(found) >= wanted:
            break
    else:
        if scene is not None:
            raise UsageError(f"Scene {scene.name!r} leaves {chain.name} hardly any room; move its bodies apart.")
        # an arm whose shapes always touch: better any configuration than none
        found = np.concatenate([found, rng.uniform(lower, upper, (wanted, chain.n))])
    return found[0] if size is None else found[:wanted]


def split_torque(chain: Chain, q: np.ndarray, dq: np.ndarray, d2q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gravity torque g(q) and the dynamic torque of (q, dq/ds, d2q/ds2), both (..., n) N·m, for minimal_duration."""
    gravity, total = rigid.inverse_dynamics(chain, q[None], *(np.stack([0 * x, x]) for x in (dq, d2q)))
    return gravity, total - gravity


def path_timing(chain: Chain, control_points: np.ndarray, samples: int = spline.TIMING_SAMPLES) -> tuple[Array, Array]:
    """T_min (...,) s and index (...,) of the binding constraint, torque included, of control_points (..., C, n) rad."""
    q, dq, d2q, d3q = spline.evaluate(control_points, samples)
    return spline.minimal_duration(chain, (dq, d2q, d3q), *split_torque(chain, q, dq, d2q))


def time_samples(control_points: np.ndarray, duration: float, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion q, qd, qdd (K, n) of one path (C, n) run in `duration` s, stretched to a whole number of steps dt s."""
    steps = max(1, int(np.ceil(duration / dt - 1e-9)))
    T = steps * dt
    q, dq, d2q = spline.evaluate(control_points, np.linspace(0.0, 1.0, steps + 1), derivatives=2)
    return q, dq / T, d2q / T**2


def path_reference(
    chain: Chain,
    control_points: np.ndarray,
    t_min: float,
    eta: float,
    dt: float,
    *,
    binding: str | None = None,
    name: str = "path",
    meta: dict[str, Any] | None = None,
) -> Reference:
    """Reference of one path (C, n) rad run in t_min / eta s on a grid of dt s; meta gains eta, t_min and binding."""
    facts = {"eta": float(eta), "t_min": float(t_min), "binding": binding, **(meta or {})}
    motion = time_samples(control_points, float(t_min) / float(eta), dt)
    return Reference.from_joints(chain, dt, *motion, name=name, meta=facts)


def random_path(
    chain: Chain, rng: np.random.Generator, start: ArrayLike | None = None, scene: Scene | None = None
) -> np.ndarray:
    """Control points (C, n) of a random point-to-point or via-point path within the limits that stays clear if it can.

    start: (n,) rad, random if absent. Half the paths are straight lines in joint space, half bend through a via point.
    """
    lower, upper = joint_box(chain)
    start = random_configuration(chain, rng, scene=scene) if start is None else np.asarray(start, float)
    goals = rng.uniform(lower, upper, (CANDIDATES, chain.n))
    count = spline.CONTROL_POINTS - 2 * spline.TIED
    bump = np.sin(np.pi * np.linspace(0, 1, count + 2)[1:-1]) ** 2
    bends = rng.integers(0, 2, (CANDIDATES, 1, 1))
    offset = bends * WIGGLE * (upper - lower) * rng.normal(size=(CANDIDATES, 1, chain.n))
    starts = np.broadcast_to(start, goals.shape)
    inner = spline.straight_inner(starts, goals) + bump[:, None] * offset
    paths = spline.control_points(starts, goals, np.clip(inner, lower, upper))
    for _ in range(6):
        q = spline.evaluate(paths, CLEARANCE_SAMPLES if scene is None else SCENE_SAMPLES, derivatives=0)[0]
        free = is_free(chain, q, scene).all(axis=-1)
        if free.any():
            return paths[np.argmax(free)]
        paths = start + 0.6 * (paths - start)  # shorter motions from a clear start are clear sooner or later
    return paths[np.argmax(clearance(chain, q, scene).min(axis=-1))]


def _keeps_off(chain: Chain, path: np.ndarray, scene: Scene) -> bool:
    """Whether a path (C, n) keeps clear of a scene."""
    return bool(is_free(chain, spline.evaluate(path, SCENE_SAMPLES, derivatives=0)[0], scene).all())


def _timed_path(
    chain: Chain,
    rng: np.random.Generator,
    start: np.ndarray | None,
    eta: float | None,
    limit: float,
    scene: Scene | None,
) -> tuple[np.ndarray, float, dict[str, Any]]:
    """A random path, contracted towards its start until it fits into `limit` s; its duration s; its meta data."""
    eta = float(rng.uniform(*ETA_RANGE) if eta is None else eta)
    found = None
    for _ in range(20):
        path = random_path(chain, rng, start, scene)
        shortest, binding = path_timing(chain, path)
        while np.isfinite(shortest) and shortest / eta > limit:
            path = path[0] + 0.7 * (path - path[0])
            shortest, binding = path_timing(chain, path)
        if np.isfinite(shortest):
            leg = {"eta": eta, "t_min": float(shortest), "binding": spline.CONSTRAINTS[int(binding)]}
            found = path, float(shortest) / eta, leg
            if scene is None or _keeps_off(chain, path, scene):  # a part of a way that does need not do so
                return found
    if found is not None:
        return found
    raise UsageError(
        f"Arm {chain.name} cannot hold itself against gravity in most configurations; raise its effort limits."
    )


def random_reference(
    chain: Chain,
    rng: np.random.Generator,
    *,
    dt: float,
    eta: float | None = None,
    duration: float | None = None,
    name: str = "random",
    scene: Scene | None = None,
) -> Reference:
    """A random rest-to-rest reference within position, velocity, acceleration, jerk and torque limits.

    dt: s. eta: speed in (0, 1], drawn from 0.3 to 0.9 if absent; the motion takes T_min / eta.
    duration: s; when given, motions follow one another and the last goal is held, so that the reference has exactly
    round(duration / dt) + 1 samples. scene: what it keeps clear of if it can.
    """
    total = None if duration is None else round(duration / dt)
    if not dt > 0:
        raise UsageError(f"A reference needs dt > 0, not dt = {dt}.")
    if eta is not None:
        check_eta(eta, "eta")
    parts: list[list[np.ndarray]] = []
    legs: list[dict[str, Any]] = []
    start, steps = None, 0
    while True:
        limit = np.inf if total is None else max(total, 1) * dt
        path, T, leg = _timed_path(chain, rng, start, eta, limit, scene)
        motion = time_samples(path, T, dt)
        if total is not None and steps + len(motion[0]) - 1 > total:
            break
        parts.append([part[1:] if parts else part for part in motion])
        legs.append(leg)
        steps, start = steps + len(motion[0]) - 1, path[-1]
        if total is None:
            break
    hold = 0 if total is None else total - steps
    q, qd, qdd = (np.concatenate([part[k] for part in parts]) for k in range(3))
    q, qd, qdd = np.pad(q, ((0, hold), (0, 0)), mode="edge"), *(np.pad(x, ((0, hold), (0, 0))) for x in (qd, qdd))
    meta = {"family": "random", "eta": max(leg["eta"] for leg in legs), "legs": legs}
    return Reference.from_joints(chain, dt, q, qd, qdd, name=name, meta=meta)
