"""What a long window costs: horizon against memory and time of one gradient, with and without checkpointing.

For every horizon the gradient of the training loss is compiled with the whole window kept for the backward
pass (segment 0), with the state kept at every control step only (segment 1), and at every sqrt(horizon)-th. Memory is
what XLA reserves for the gradient's intermediate values, which it knows exactly; variants of a horizon take turns.

    python experiments/rollout_memory.py   # prints the table, writes runs/rollout_memory/summary.json and memory.png
"""

import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro

from armctl import store
from armctl.arm import Arm
from armctl.controllers.registry import make
from armctl.learn.learner import TrainConfig, begin
from armctl.learn.train import make_gradient
from armctl.learn.tune import TuneConfig, make_task, training_setting
from armctl.motion.corpus import build_corpus, references
from armctl.urdf import load_chain


@dataclass
class Args:
    """What is measured and where it is written."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    controller: str = "computed_torque"
    """Controller by name."""
    batch: int = 32
    """Episodes."""
    horizons: tuple[int, ...] = (16, 64, 256)
    """Control steps of the windows; square numbers, so that their roots divide them."""
    repeats: int = 3
    """Gradients timed per variant; the median counts."""
    out: Path = Path("runs/rollout_memory")
    """Folder of summary.json and memory.png."""
    overwrite: bool = False
    """Replace an earlier run."""


def segments(horizon: int) -> tuple[int, ...]:
    """Keep everything, every step, or the steps at the divisor nearest to the root."""
    root = min((k for k in range(1, horizon + 1) if horizon % k == 0), key=lambda k: abs(k - math.sqrt(horizon)))
    return tuple(dict.fromkeys((0, 1, root)))


def compiled(args: Args, task: Any, config: TuneConfig, horizon: int, segment: int):
    """The gradient of one window as a compiled program and its arguments."""
    train = TrainConfig(batch=args.batch, horizon=horizon, segment=segment)
    arm = Arm.from_chain(load_chain(args.robot))
    controller = make(args.controller, arm)
    setting = training_setting(arm, controller.control, config)
    one = jax.devices()[:1]
    learner = begin(controller, setting, task, train)
    arguments = learner.params, task, learner.episodes, 1.0
    return jax.jit(make_gradient(controller, setting, train, one)).lower(*arguments).compile(), arguments


def measure(args: Args, task: Any, config: TuneConfig, horizon: int) -> list[dict[str, float]]:
    """Rows of one horizon."""
    programs, rows = [], []
    for segment in segments(horizon):
        began = time.perf_counter()
        program, arguments = compiled(args, task, config, horizon, segment)
        programs.append((program, arguments, list[float]()))
        memory = program.memory_analysis().temp_size_in_bytes / 1e6
        rows.append({"horizon": horizon, "segment": segment, "memory_mb": memory})
        rows[-1]["compile_s"] = time.perf_counter() - began
    for turn in range(args.repeats + 1):
        for program, arguments, seconds in programs:
            began = time.perf_counter()
            jax.block_until_ready(program(*arguments))
            if turn:  # the first is a warm-up
                seconds.append(time.perf_counter() - began)
    kept = programs[0][2]
    for row, (_, _, seconds) in zip(rows, programs, strict=True):
        row["update_s"] = statistics.median(seconds)
        row["times_unsegmented"] = statistics.median(s / k for s, k in zip(seconds, kept, strict=True))
        row["memory_share"] = row["memory_mb"] / rows[0]["memory_mb"]
    return rows


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Memory against horizon, a line per way of keeping."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    names = {0: "everything kept (segment 0)", 1: "every step kept (segment 1)", 2: "every √horizon-th step kept"}
    for kind, name in names.items():
        line = [row for row in rows if min(row["segment"], 2) == kind]
        axes.loglog([r["horizon"] for r in line], [r["memory_mb"] for r in line], "o-", label=name)
    axes.set(xlabel="horizon, control steps", ylabel="memory of the gradient, MB")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main(args: Args) -> None:
    """Measure, print and save."""
    out = store.create_run(args.out, args, overwrite=args.overwrite)
    chain = load_chain(args.robot)
    longest = max(args.horizons)
    config = TuneConfig(
        args.robot,
        args.controller,
        references=20,
        plants=16,
        seconds=0.01 * (longest + 2),
        train=TrainConfig(horizon=1),
    )
    task = make_task(chain, references(build_corpus(chain, 40, 0), chain, "train", config.control_dt, 20), config)
    rows = []
    for horizon in args.horizons:
        rows += measure(args, task, config, horizon)
        for row in rows[-len(segments(horizon)) :]:
            text = f"horizon {row['horizon']:4g}  segment {row['segment']:3g}  {row['memory_mb']:8.1f} MB"
            text += f" ({row['memory_share']:5.3f})  {row['update_s']:6.2f} s ({row['times_unsegmented']:4.2f})"
            print(text, flush=True)
    summary = {"rows": rows, "robot": args.robot, "controller": args.controller, "batch": args.batch}
    summary |= {"repeats": args.repeats, "machine": store.machine(), "versions": store.versions(), "seeds": {"seed": 0}}
    store.write_json(out / "summary.json", summary)
    plot(rows, out / "memory.png")
    store.finish_run(out)


if __name__ == "__main__":
    main(tyro.cli(Args))
