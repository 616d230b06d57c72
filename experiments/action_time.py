"""What one action of a controller takes on one core: through JAX, called in several ways, and through its exports.

taskset -c 0 python experiments/action_time.py      # prints a table, writes runs/action_time/summary.json
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

from armctl import store
from armctl.arm import load_arm
from armctl.commands.console import say, show, table
from armctl.controllers import make
from armctl.export import export
from armctl.export.standalone import Controller as Exported
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant.observe import Measurement
from armctl.urdf import load_chain


@dataclass
class Args:
    """What is measured."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    controllers: tuple[str, ...] = ("tracker", "operational_space_integral", "computed_torque")
    """Names, with default gains."""
    actions: int = 500
    """Actions of each form; the median counts."""
    out: Path = Path("runs/action_time")
    """Folder of summary.json."""


def micros(act: Callable[[], Any], actions: int) -> dict[str, float]:
    """Median and fastest time of an action, and the seconds that the first one took, compilation included."""
    started = time.perf_counter()
    act()
    first, times = time.perf_counter() - started, []
    for _ in range(actions):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return {"median_us": 1e6 * float(np.median(times)), "best_us": 1e6 * min(times), "first_s": first}


def through_jax(controller: Any, m: Measurement, w: Any) -> dict[str, Callable[[], Any]]:
    """Ways to call the compiled controller, from NumPy arrays to a NumPy command; memory stays on the device."""
    graph, state = nnx.split(controller)

    def step(carry: Any, m: Measurement, w: Any) -> Any:
        return nnx.merge(graph, state)(carry, m, w)

    def flat(carry: list[Any], numbers: Any) -> Any:
        parts = jnp.split(numbers, ends[:-1])
        m, w = jax.tree.unflatten(kind, [x.reshape(y.shape) for x, y in zip(parts, leaves, strict=True)])
        after, command = step(jax.tree.unflatten(memory, carry), m, w)
        return jax.tree.leaves(after), command

    leaves, kind = jax.tree.flatten((m, w))
    ends, start = np.cumsum([x.size for x in leaves]).tolist(), controller.init_carry(())
    flat_start, memory = jax.tree.flatten(start)
    numbers = np.concatenate([x.ravel() for x in leaves])
    plain = jax.jit(step)
    ahead = jax.jit(flat, keep_unused=True).lower(flat_start, numbers).compile()
    donated = jax.jit(flat, donate_argnums=0, keep_unused=True).lower(flat_start, numbers).compile()
    held = {"plain": start, "ahead": flat_start, "donated": [jnp.asarray(np.array(x)) for x in flat_start]}

    def call(name: str, function: Any, *given: Any) -> Callable[[], Any]:
        def act() -> np.ndarray:
            held[name], command = function(held[name], *given)
            return np.asarray(command)

        return act

    return {
        "jax.jit": call("plain", plain, m, w),
        "jax, compiled ahead, flat": call("ahead", ahead, numbers),
        "jax, the same, memory donated": call("donated", donated, numbers),
    }


def main(args: Args) -> None:
    """Measure, print and write."""
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        say(f"{cores} cores may be used; 'taskset -c 0' in front measures one")
    chain, arm, rows = load_chain(args.robot), load_arm(args.robot), []
    forms = ("numpy", "c", *(("onnx",) if find_spec("onnx") and find_spec("onnxruntime") else ()))
    for name in args.controllers:
        controller = make(name, arm)
        motion = random_reference(chain, np.random.default_rng(0), dt=0.01, duration=0.3)
        w = windows(stack_references([motion]), np.zeros(1, int), np.full(1, 10), controller.preview)
        w = type(w)(*(np.asarray(x[0], np.float32) for x in w))
        m = Measurement(w.q[0] + np.float32(0.01), w.qd[0])
        calls = through_jax(controller, m, w)
        with tempfile.TemporaryDirectory() as folder:
            for form in forms:
                exported = Exported(export(controller, Path(folder) / form, form))
                calls[form] = partial(exported, *m, w._asdict())
            for call, act in calls.items():
                say(f"{name}: {call}")
                rows.append({"controller": name, "form": call, **micros(act, args.actions)})
    where = {"machine": store.machine(), "versions": store.versions(), "robot": args.robot}
    store.write_json(args.out / "summary.json", {**where, "actions": args.actions, "rows": rows})
    show(rows, table(rows), False)


if __name__ == "__main__":
    main(tyro.cli(Args))
