"""What learning in deployment brings, and what harm it can do.

Arms that are not the one that was trained on – their torque ripple has phases of its own – run one episode after the
other, each with another load, friction and delay, with the tracker and with the tracker that learns on and remembers.
The same where there is nothing to learn, and where what happens is not to be learned from. Runs in the twin; writes
runs/online/: summary.json, errors.png.

    python experiments/online.py
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import tyro
from flax import nnx

from armctl import store
from armctl.arm import Arm
from armctl.bench import stats
from armctl.chain import Chain
from armctl.controllers import Controller, shipped
from armctl.controllers.filter_bank import FilterBank
from armctl.learn import rollout
from armctl.learn.losses import Objective
from armctl.learn.tune import TuneConfig, training_setting
from armctl.motion.corpus import build_corpus, references
from armctl.motion.reference import Reference
from armctl.motion.windows import stack_references
from armctl.plant.presets import sample_scenario
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plot_style import figure_style
from armctl.twin.episodes import Task, single
from armctl.urdf import load_chain

CASES = ("another arm", "the arm trained on", "nominal", "pushes", "switch")
SAMPLES = 401


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets with a shipped tracker."""
    arms: int = 24
    """Individuals, each with a series of episodes."""
    episodes: int = 8
    """Episodes of each, one after the other."""
    seed: int = 0
    """Seed of individuals, plants and motions."""
    out: Path = Path("runs/online")
    """Run folder."""
    overwrite: bool = False
    """Replace an earlier run."""


def drawn(case: str, chain: Chain, own: np.random.Generator, rng: np.random.Generator) -> Scenario:
    """A plant of an individual. own: draws what is the individual's; rng: what is the episode's."""
    if case in ("nominal", "pushes", "switch"):
        return sample_scenario(case, chain, rng)
    scenario = sample_scenario("combined", chain, rng)
    if case == "the arm trained on":
        return scenario
    amplitude = chain.effort * own.uniform(0.005, 0.01, chain.n)
    phase = own.uniform(0, 2 * np.pi, chain.n)
    return replace(scenario, ripple=tuple(amplitude), ripple_phase=tuple(phase))


def series(args: Args, chain: Chain, motions: list[Reference], case: str) -> list[Task]:
    """The episodes of all individuals, a task for each turn."""
    tasks = []
    for turn in range(args.episodes):
        rng = np.random.default_rng([args.seed, turn])
        plants = [drawn(case, chain, np.random.default_rng([args.seed, 7, i]), rng) for i in range(args.arms)]
        rows = [motions[(turn * args.arms + i) % len(motions)] for i in range(args.arms)]
        stacked = stack_params([plant_params(chain, scenario) for scenario in plants])
        tasks.append(single(Task(stack_references(rows, SAMPLES), stacked)))
    return tasks


def errors(controller: Controller, tasks: list[Task]) -> np.ndarray:
    """Root mean square of the tip's distance, (episodes, arms) mm; what is learned stays with each arm."""
    setting = training_setting(controller.arm, controller.control, TuneConfig(preview=controller.preview))
    graph, params, *rest = nnx.split(controller, nnx.Param, ...)

    @jax.jit
    def roll(params: Any, task: Task, episodes: Any) -> Any:
        module = nnx.merge(graph, params, *rest)
        return rollout.advance(setting, task, module, episodes, Objective(), 1.0, SAMPLES - 1)

    habit, rows = None, []
    for task in tasks:
        episodes = rollout.whole(setting, task, controller)
        if habit is not None:
            episodes = episodes._replace(carry=episodes.carry._replace(habit=habit))
        after, (_, (position, _)) = roll(params, task, episodes)
        habit = after.carry.habit
        moving = jnp.arange(SAMPLES - 1)[:, None] < task.bank.length - 1
        rows.append(1e3 * np.sqrt(np.sum(np.where(moving, position, 0), axis=0) / np.sum(moving, axis=0)))
    return np.stack(rows)


def compared(found: dict[str, np.ndarray]) -> dict[str, Any]:
    """Errors of the second half of the episodes, with intervals, and by how much learning changes them."""
    last = {name: x[len(x) // 2 :].ravel() for name, x in found.items()}
    one = ["all"] * len(last["tracker"])
    ratio = stats.interval(np.log(last["tracker_online"] / last["tracker"]), one)
    return {
        **{name: stats.interval(x, one) for name, x in last.items()},
        "times": {key: float(np.exp(value)) for key, value in ratio.items()},
        "worst": {name: float(x.max()) for name, x in found.items()},
    }


def draw(curves: dict[str, dict[str, np.ndarray]], titles: dict[str, str], path: Path) -> None:
    """Median error over the episodes of an arm, a panel for each case."""
    with figure_style():
        figure, axes = plt.subplots(1, len(curves), figsize=(14, 3.2), layout="constrained")
        for (case, found), axis in zip(curves.items(), axes, strict=True):
            for name, x in found.items():
                axis.plot(1 + np.arange(len(x)), x, marker="o", label=titles[name])
            axis.set(title=case, xlabel="episode of the arm", ylim=(0, None))
        axes[0].set_ylabel("median RMSE, mm")
        axes[0].legend(loc="lower left", fontsize="small")
        figure.savefig(path, dpi=120)
        plt.close(figure)


def main(args: Args) -> None:
    """Run, print and draw."""
    out = store.create_run(args.out, args, overwrite=args.overwrite)
    chain = load_chain(args.robot)
    arm = Arm.from_chain(chain)
    corpus = build_corpus(chain, 1500, 0)
    motions = [r for r in references(corpus, chain, "test") if len(r.q) <= SAMPLES]
    controllers = {name: shipped.best(name, arm)[0] for name in ("tracker", "tracker_online")}
    assert all(isinstance(controller, FilterBank) for controller in controllers.values())
    table: dict[str, Any] = {}
    curves: dict[str, dict[str, np.ndarray]] = {}
    for case in CASES:
        tasks = series(args, chain, motions, case)
        found = {name: errors(controller, tasks) for name, controller in controllers.items()}
        table[case], curves[case] = compared(found), {name: np.median(x, axis=1) for name, x in found.items()}
        times = table[case]["times"]
        print(
            f"{case}: {table[case]['tracker']['iqm']:.3f} mm, learning {table[case]['tracker_online']['iqm']:.3f} mm, "
            f"{times['iqm']:.2f} [{times['low']:.2f}, {times['high']:.2f}] times; worst {table[case]['worst']}",
            flush=True,
        )
    draw(curves, {name: controller.title for name, controller in controllers.items()}, out / "errors.png")
    facts = {"machine": store.machine(), "versions": store.versions(), "seeds": {"seed": args.seed}}
    store.write_json(out / "summary.json", {"position_rmse_mm": table, **facts})
    store.finish_run(out)


if __name__ == "__main__":
    main(tyro.cli(Args))
