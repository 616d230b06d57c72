"""Over-sensitivity: the small disturbance that moves the tip most, found by the gradient through the twin.

Projected gradient ascent (Madry et al. 2018) within a box: every number of the disturbance, at every control step, may
lie between plus and minus its size. Where a controller takes measurements for data it lets no gradient pass, so what is
found is a lower bound of the worst.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl.bench import stats
from armctl.controller_audit.closed_loop import WINDOW, Disturbance, Loop, Run
from armctl.controller_audit.subject import Finding, Subject
from armctl.twin.episodes import Episodes, Task
from armctl.typing import Array

STEPS = 40
"""Length of a disturbance, control steps."""
RANDOM, ITERATIONS, RATE = 4, 6, 0.5
"""Random disturbances that it is compared with, steps of ascent, and their length in sizes of the disturbance."""
POSITION, VELOCITY, COMMAND = 1e-4, 1e-2, 0.01
"""Sizes: rad, rad/s, and a share of the effort limit (of the velocity limit for commands of velocity)."""
CHANNELS = ("measured positions", "measured velocities", "commands")
UNITS = ("0.1 mrad", "0.01 rad/s", "1 % of the limit")

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""evaluate(x (H, E, n)) -> objective (E,), its gradient (H, E, n), what else is kept (..., E)."""


class Worst(NamedTuple):
    """The best of an ascent, episode by episode."""

    value: np.ndarray  # (E,)
    kept: np.ndarray  # (..., E)
    x: np.ndarray  # (H, E, n)


def ascend(evaluate: Evaluate, start: np.ndarray, iterations: int = ITERATIONS, rate: float = RATE) -> Worst:
    """The largest objective met on the way up along the gradient's signs, within [-1, 1].

    start: (H, E, n); never less than it has there. Where there is no finite gradient it stays.
    """
    x = np.clip(start, -1, 1)
    value, slope, kept = evaluate(x)
    best = Worst(value, kept, x)
    for k in range(iterations):
        step = rate * (1 - 0.5 * k / iterations)
        x = np.clip(x + step * np.sign(np.nan_to_num(slope)), -1, 1).astype(start.dtype)
        value, slope, kept = evaluate(x)
        higher = value > best.value
        best = Worst(*(np.where(_along(higher, a, axis), a, b) for a, b, axis in (
            (value, best.value, 0), (kept, best.kept, kept.ndim - 1), (x, best.x, 1),
        )))  # fmt: skip
    return best


def _along(mask: np.ndarray, like: np.ndarray, axis: int) -> np.ndarray:
    return mask.reshape([-1 if i == axis else 1 for i in range(like.ndim)])


def measure(subject: Subject, base: Run) -> Finding:
    """Deviation of the tip by disturbances of each kind, random and worst, on held-out motions under way."""
    loop, task = subject.loop, subject.held_out
    windows = len(base.steps.error) // WINDOW
    episodes = base.begun[windows // 4]
    shape = (STEPS, len(base.alive), loop.arm.n)
    deviation = jax.jit(jax.value_and_grad(_deviation(loop), argnums=4, has_aux=True))
    still, none = np.zeros((*shape[:2], 3), np.float32), np.zeros((3, loop.arm.n), np.float32)
    calm = deviation(loop.params, loop.arm, task, episodes, np.zeros(shape, np.float32), none, still)[0][1][1]
    rng, found, series = np.random.default_rng(subject.config.seed), {}, {}
    for i, channel in enumerate(CHANNELS):
        scale = np.zeros((3, loop.arm.n), np.float32)
        scale[i] = (POSITION, VELOCITY, COMMAND * _limit(subject))[i]

        def evaluate(x: np.ndarray, scale: np.ndarray = scale) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            (_, (value, tip)), slope = deviation(loop.params, loop.arm, task, episodes, x, scale, calm)
            away = np.asarray(jnp.linalg.norm(tip - calm, axis=-1))
            return np.nan_to_num(np.asarray(value), nan=-1.0), np.asarray(slope), away

        drawn = [rng.choice(np.array([-1, 1], np.float32), shape) for _ in range(RANDOM)]
        random = [evaluate(x) for x in drawn]
        first = np.argmax([value for value, _, _ in random], axis=0)
        start = np.stack([drawn[k][:, e] for e, k in enumerate(first)], axis=1)
        worst = ascend(evaluate, start)
        found[channel] = _numbers(random, worst, UNITS[i])
        series[f"sensitivity/{i}/random"] = 1e3 * np.median([away for _, _, away in random], axis=0)
        series[f"sensitivity/{i}/worst"] = 1e3 * worst.kept
    return Finding(found, _sentences(found), series)


def _limit(subject: Subject) -> np.ndarray:
    arm, control = subject.loop.arm, subject.loop.controller.control
    return np.asarray(arm.effort if control == "torque" else arm.velocity)


def _deviation(loop: Loop) -> Callable[..., tuple[Array, tuple[Array, Array]]]:
    """Mean square by which a disturbance moves the tip, mm^2: sum over the episodes, (each, tip (H, E, 3) m)."""

    def deviation(
        params: Any, arm: Any, task: Task, episodes: Episodes, x: Array, scale: Array, calm: Any
    ) -> tuple[Array, tuple[Array, Array]]:
        step = loop.stepper(params, arm, task, episodes)
        added = Disturbance(*(row * x for row in scale))
        _, row = jax.lax.scan(step, episodes, added)
        square = 1e6 * jnp.mean(jnp.sum((row.tip - calm) ** 2, axis=-1), axis=0)
        return jnp.sum(square), (square, row.tip)

    return deviation


def _numbers(random: list[Any], worst: Worst, unit: str) -> dict[str, Any]:
    usual = np.sqrt(np.mean([value for value, _, _ in random], axis=0))
    most = np.sqrt(worst.value)
    return {
        "size": unit,
        "random_mm": float(stats.iqm(usual)),
        "worst_mm": float(stats.iqm(most)),
        "worst_episode_mm": float(np.max(most)),
        "ratio": float(np.median(most / np.maximum(usual, 1e-9))),
    }


def _sentences(found: dict[str, Any]) -> list[str]:
    return [
        f"Disturbances of {name} by {row['size']} move the tip by {row['worst_mm']:.3g} mm (rms) where they are chosen "
        f"against it, {row['ratio']:.3g} times what random ones of that size do ({row['random_mm']:.3g} mm)."
        for name, row in found.items()
    ]
