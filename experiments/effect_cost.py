"""What every effect costs, in PyBullet's plant and in the twin, against the same step without any.

python experiments/effect_cost.py            # prints a table, writes runs/effect_cost/summary.json
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from armctl import store, twin
from armctl.arm import Arm
from armctl.audit.effects import effect_scenarios
from armctl.commands.console import say, table
from armctl.envs.bullet.plant import Plant
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin.episodes import single
from armctl.urdf import load_chain

CONFIG = ServoConfig(control="torque")


@dataclass
class Args:
    """What is measured."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    batch: int = 64
    """Arms of the twin."""
    horizon: int = 32
    """Control steps of its rollout."""
    rounds: int = 15
    """Measurements of each, in turn with those of the others; the median counts."""
    out: Path = Path("runs/effect_cost")
    """Folder of summary.json."""


def twin_gradient(args: Args, scenario: Scenario) -> tuple[Callable[[], Any], float]:
    """A compiled call of loss and gradient of a closed loop over the horizon, and the seconds that compiling took."""
    chain = load_chain(args.robot)
    arm, home = Arm.from_chain(chain).astype(np.float32), chain.home.astype(np.float32)
    params = single(stack_params([plant_params(chain, scenario)] * args.batch))
    q0 = home + 0.1 * np.random.default_rng(0).normal(size=(args.batch, chain.n)).astype(np.float32)

    def loss(gain: jax.Array, q0: jax.Array, params: Any) -> jax.Array:
        def step(state: Any, _: None) -> tuple[Any, jax.Array]:
            m = twin.measured(params, state)
            state, _info = twin.step(arm, CONFIG, params, state, -gain * (m.q - home) - 5 * m.qd, stops=False)
            return state, jnp.mean(state.q**2)

        return jax.lax.scan(step, twin.reset(arm, CONFIG, q0, params=params), length=args.horizon)[1].mean()

    started = time.perf_counter()
    compiled = jax.jit(jax.value_and_grad(loss)).lower(jnp.float32(50.0), q0, params).compile()
    return lambda: jax.block_until_ready(compiled(jnp.float32(50.0), q0, params)), time.perf_counter() - started


def plant_steps(args: Args, scenario: Scenario) -> Callable[[], Any]:
    """A call of a hundred control steps of PyBullet's plant."""
    chain = load_chain(args.robot)
    plant = Plant(chain, CONFIG)
    plant.reset(scenario, chain.home, np.zeros(chain.n))
    hold = plant.model.mass_and_gravity(chain.home)[1].tolist()

    def steps() -> None:
        plant.reset(scenario, chain.home, np.zeros(chain.n))
        for _ in range(100):
            plant.step(hold)

    return steps


def medians(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of every call, measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if k:  # the first round warms up
                times[name].append(time.perf_counter() - started)
    return {name: float(np.median(row)) for name, row in times.items()}


def main(args: Args) -> None:
    """Measure, print, save."""
    scenarios = {"none": Scenario(), **effect_scenarios(load_chain(args.robot))}
    compiled = {}
    for name, scenario in scenarios.items():
        say(f"compiling the twin with {name}")
        compiled[name] = twin_gradient(args, scenario)
    rolled = medians({name: call for name, (call, _) in compiled.items()}, args.rounds)
    stepped = medians({name: plant_steps(args, scenario) for name, scenario in scenarios.items()}, args.rounds)
    rows = [
        {
            "effect": name,
            "twin_compile_s": compiled[name][1],
            "twin_us": 1e6 * rolled[name] / (args.batch * args.horizon),
            "twin_ratio": rolled[name] / rolled["none"],
            "bullet_us": 1e6 * stepped[name] / 100,
            "bullet_ratio": stepped[name] / stepped["none"],
        }
        for name in scenarios
    ]
    print(table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    store.write_json(
        args.out / "summary.json", {"rows": rows, "machine": store.machine(), "versions": store.versions()}
    )


if __name__ == "__main__":
    main(tyro.cli(Args))
