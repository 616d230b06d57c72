"""Scenarios from anywhere in their range: does PyBullet's plant stay bounded, and does the twin do the same?"""

from dataclasses import dataclass

import jax
import numpy as np

from armctl.audit.rollouts import replay_batch
from armctl.chain import Chain
from armctl.envs.bullet.plant import Plant
from armctl.plant.action import action_scale
from armctl.plant.scenario import (
    RANGES,
    SIZES,
    WHOLE,
    Scenario,
    as_scenario,
    plant_params,
    stack_params,
)
from armctl.plant.servo import TOP_SPEED, ServoConfig

DECADES = 6
"""How many powers of ten below its largest value a field is drawn from."""
NUDGE = 1e-13
"""What a start is displaced by to see how much a rollout multiplies the last bit of a number, rad."""
NEAR = 1e-7
"""Difference of a joint that counts as none, rad."""
ROUNDINGS = 1e3
"""A difference is put down to rounding up to so many times the effect of one nudge: two solvers round at every step."""
SHARED = ("payload_mass", "next_payload_mass", "gravity_tilt", "position_noise", "velocity_noise")
"""Fields with one number for the whole arm, besides times and whole numbers."""


def random_scenario(chain: Chain, rng: np.random.Generator) -> Scenario:
    """Every field off or, as often, log-uniform over its range; per joint or for all joints at once, of either sign."""
    found: dict[str, object] = {}
    for name, (low, high) in RANGES.items():
        if name == "seed" or rng.random() < 0.5:
            continue
        whole, time = name in WHOLE, name in ("payload_switch", "wrench_start", "wrench_duration")
        size = SIZES.get(name, 1 if whole or time or name in SHARED or rng.random() < 0.5 else chain.n)
        least = low if low > 0 else high * 10.0**-DECADES
        drawn = np.exp(rng.uniform(np.log(least), np.log(high), size))
        if time:
            drawn = rng.uniform(0.0, 0.2, size)  # within the rollout, where it shows
        if low < 0:
            drawn *= rng.choice([-1.0, 1.0], size)
        values = tuple(np.clip(drawn, low, high).tolist())
        found[name] = round(values[0]) if whole else values[0] if size == 1 else values
    if not found.get("wrench_duration"):
        found.pop("wrench", None)
    if "payload_switch" not in found:
        found = {name: value for name, value in found.items() if not name.startswith("next_payload")}
    return as_scenario({**found, "seed": int(rng.integers(2**32))})


@dataclass(frozen=True)
class Agreement:
    """What became of scenarios in both worlds; (S,) each."""

    bounded: np.ndarray  # PyBullet's joints finite and no faster than TOP_SPEED
    speed: np.ndarray  # rad/s, the fastest joint
    error: np.ndarray  # rad, the largest difference of a joint between twin and PyBullet
    rounding: np.ndarray  # rad, how far apart two twins end up that begin NUDGE apart

    @property
    def agrees(self) -> np.ndarray:
        """Whether both did the same, but for what the last bit of a number explains."""
        return self.error <= np.maximum(NEAR, ROUNDINGS * self.rounding)


def agreement(
    chain: Chain, config: ServoConfig, scenarios: list[Scenario], steps: int, rng: np.random.Generator
) -> Agreement:
    """Roll out scenarios from near the home posture under random commands of up to half of full scale, on both sides.

    steps: control steps. The twin computes in float64, all scenarios at once.
    """
    low, high = np.maximum(chain.lower, chain.home - 0.5), np.minimum(chain.upper, chain.home + 0.5)
    q0 = rng.uniform(low, high, (len(scenarios), chain.n))
    scale = action_scale(chain, config)
    commands = 0.5 * scale * rng.uniform(-1, 1, (len(scenarios), steps, len(scale)))
    q, qd = _in_pybullet(chain, config, scenarios, q0, commands)
    full = as_scenario({name: _some(name) for name in RANGES})
    params = [plant_params(chain, scenario) for scenario in (*scenarios, full)]
    plants = jax.tree.map(lambda x: x[:-1], stack_params(params))  # of one structure, whatever the scenarios are
    said, nudged = (replay_batch(chain, config, plants, start, commands) for start in (q0, q0 + NUDGE))
    speed = np.abs(qd).max(axis=(1, 2))
    bounded = np.isfinite(q).all(axis=(1, 2)) & (speed <= TOP_SPEED)
    return Agreement(bounded, speed, np.abs(said - q).max(axis=(1, 2)), np.abs(nudged - said).max(axis=(1, 2)))


def _some(name: str) -> object:
    """A value of a field that switches its effect on, as the largest latency where that sizes an array."""
    high = RANGES[name][1]
    value = int(high) if name in WHOLE else high
    return (value,) * SIZES[name] if name in SIZES else value


def _in_pybullet(
    chain: Chain, config: ServoConfig, scenarios: list[Scenario], q0: np.ndarray, commands: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joint states after every control step, (S, K, n) each."""
    plant, states = Plant(chain, config), []
    try:
        for scenario, start, row in zip(scenarios, q0, commands, strict=True):
            plant.reset(scenario, start, np.zeros(chain.n))
            for command in row:
                plant.step(command)
                states.append((plant.q, plant.qd))
    finally:
        plant.close()
    q, qd = (np.array(x).reshape(*commands.shape[:2], -1) for x in zip(*states, strict=True))
    return q, qd
