"""Kinematics and dynamics of the twin against frax, MJX, pinocchio and MuJoCo on the same arm, in one run.

Every peer's result is compared with ours on the same inputs before its time counts; a peer that computes something
else ends the program. The peers take turns round by round, so that load on the machine falls on all alike; the ratio to
ours is the median over the rounds, the throughput that of the best round. Compile times come from processes of their
own (compile.py), first with an empty persistent cache, then with a full one. JAX functions also run on a GPU if
JAX has one. Peers are no dependencies of armctl: pip install frax mujoco mujoco-mjx pin; what is missing is left out.

    python -m experiments.twin_speed.run     # prints the table, writes runs/twin_speed/summary.json and twin_speed.png

From the checkout and as a module: run as a file, mujoco.py beside it would stand in the way of MuJoCo itself.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

if not __package__:
    sys.exit("Run it from the checkout, as a module: python -m experiments.twin_speed.run")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else pinocchio's threads spin on the cores after their turn

import jax
import numpy as np
import tyro

from armctl import store
from armctl.chain import Chain
from armctl.urdf import load_chain
from experiments.twin_speed.compile import ROLLOUT
from experiments.twin_speed.output import draw, print_table
from experiments.twin_speed.peer import FUNCTIONS, Peer
from experiments.twin_speed.peers import installed

TOLERANCE = {"float32": 2e-2, "float64": 1e-8}
"""Largest deviation of a peer from us over the largest entry. Single precision costs forward dynamics many digits."""
GRADIENT_TOLERANCE = 2e-2
"""The same of the gradient of a rollout."""
TURN = 5e-3
"""Least length of a peer's turn, s: short calls are repeated."""
PACKAGES = ("armctl", "jax", "jaxlib", "numpy", "frax", "mujoco", "mujoco-mjx", "pin")


@dataclass
class Args:
    """What to time, for how long, and where to write."""

    robot: str = "panda"
    """Arm by name."""
    batches: tuple[int, ...] = (1, 16, 256, 8192, 65536)
    """Batch sizes in single precision."""
    batches_float64: tuple[int, ...] = (256, 8192)
    """Batch sizes in double precision."""
    mjx_batches: tuple[int, ...] = (256, 8192)
    """Batch sizes of MJX, which compiles for half a minute each time; single precision only."""
    rounds: int = 7
    """Rounds per function and batch."""
    budget: float = 1.0
    """Seconds that one call may take; a peer leaves out the batches for which it would need more."""
    compile: bool = True
    """Measure compile times and the gradient of a rollout too."""
    out: Path = Path("runs/twin_speed")
    """Folder of summary.json and twin_speed.png."""


def inputs(chain: Chain, batch: int, dtype: str) -> tuple[np.ndarray, ...]:
    """Positions inside the limits, velocities up to 1 rad/s, torques (or accelerations) up to 10, each (batch, n)."""
    rng = np.random.default_rng(batch)
    low, high = np.maximum(chain.lower, -3.0), np.minimum(chain.upper, 3.0)
    drawn = [rng.uniform(a, b, (batch, chain.n)) for a, b in ((low, high), (-1.0, 1.0), (-10.0, 10.0))]
    return tuple(x.astype(dtype) for x in drawn)


def deviation(result: Any, reference: Any) -> float:
    """Largest difference over the largest entry, over the arrays of two results."""
    pairs = zip(*(x if isinstance(x, tuple) else (x,) for x in (result, reference)), strict=True)
    return max(float(np.abs(np.asarray(a) - b).max() / np.abs(b).max()) for a, b in pairs)


def entries(peers: list[Peer], name: str, batch: int, dtype: str) -> list[tuple[str, Peer, Any]]:
    """(label, peer, device) of everything that is to be timed; a device of None is plain Python."""
    found: list[tuple[str, Peer, Any]] = []
    for peer in peers:
        restricted = peer.batches is not None and (batch not in peer.batches or dtype != "float32")
        if name not in peer.functions or restricted:
            continue
        if not peer.jax:
            found.append((peer.name, peer, None))
            continue
        for kind in dict.fromkeys(("cpu", jax.devices()[0].platform)):
            found.append((peer.name if kind == "cpu" else f"{peer.name}, {kind}", peer, jax.devices(kind)[0]))
    return found


def prepare(peer: Peer, device: Any, name: str, arguments: tuple) -> Callable:
    """A call without arguments, compiled and on its device, that ends when the result is there."""
    f = peer.functions[name]
    if device is None:
        doubles = [x.astype(float) for x in arguments]
        return lambda: f(*doubles)
    placed = [jax.device_put(x, device) for x in arguments]
    options = peer.cpu_options if device.platform == "cpu" else {}
    compiled = jax.jit(f).lower(*placed).compile(compiler_options=options)
    return lambda: jax.block_until_ready(compiled(*placed))


def first_call(call: Callable, peer: Peer, name: str, arguments: tuple) -> tuple[Any, float]:
    """Result in the form that is compared, and the seconds of a call."""
    call()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    if name in peer.comparable:
        result = peer.comparable[name](result, *arguments)
    return result, seconds


def measure(peers: list[Peer], chain: Chain, name: str, batch: int, dtype: str, slow: dict, args: Args) -> dict:
    """Throughput and ratio to ours by label, of one function at one batch. slow: label -> seconds per state so far."""
    arguments = inputs(chain, batch, dtype)
    calls: dict[str, Callable] = {}
    reference = None
    for label, peer, device in entries(peers, name, batch, dtype):
        if slow.get(label, 0.0) * batch > args.budget:
            continue
        call = prepare(peer, device, name, arguments)
        result, seconds = first_call(call, peer, name, arguments)
        reference = jax.tree.map(np.asarray, result) if reference is None else reference
        if not (error := deviation(result, reference)) < TOLERANCE[dtype]:
            sys.exit(f"{label} computes another {name}: it differs by {error:.1e} of the largest entry in {dtype}.")
        calls[label] = call
        if batch >= 256:  # below, the call itself costs more than its states
            slow[label] = seconds / batch
    seconds_of: dict[str, list[float]] = {label: [] for label in calls}
    for _ in range(args.rounds):
        for label, call in calls.items():
            seconds_of[label].append(turn(call))
    ours = next(iter(seconds_of.values()))
    return {
        label: {
            "per_second": batch / min(times),
            "times_slower": statistics.median(t / o for t, o in zip(times, ours, strict=True)),
        }
        for label, times in seconds_of.items()
    }


def turn(call: Callable) -> float:
    """Seconds per call of one peer's turn, in which it is called at least once."""
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < TURN:
        call()
        count += 1
    return (time.perf_counter() - start) / count


def compile_times(args: Args, names: list[str]) -> dict[str, Any]:
    """Cold and warm seconds until compiled, by peer and function, and seconds of a rollout's gradient."""
    module, checkout = "experiments.twin_speed.compile", Path(__file__).parents[2]
    found: dict[str, Any] = {}
    first: np.ndarray | None = None
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, "-m", module, "--peer", name, "--robot", args.robot, "--cache", cache]
            done = [subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=checkout) for _ in range(2)]
        runs = [json.loads(one.stdout) for one in done]
        cold, warm = (run["seconds"] for run in runs)
        found[name] = {f: {"cold": cold[f], "warm": warm[f]} for f in cold}
        found[name][ROLLOUT]["run"] = min(run["run"] for run in runs)
        gradient = np.array(runs[0]["gradient"])
        first = gradient if first is None else first
        if not deviation(gradient, first) < GRADIENT_TOLERANCE:
            sys.exit(f"{name} computes another gradient of the rollout: {gradient} instead of {first}")
    return found


def versions() -> dict[str, str]:
    """Of Python and of every package that took part."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main(args: Args) -> None:
    """Measure, print, save and draw."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # every result is waited for, of all JAX peers alike
    chain, threads = load_chain(args.robot), int(store.machine()["cores"])
    args.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    for dtype, batches in (("float32", args.batches), ("float64", args.batches_float64)):
        # made anew for each type: frax rounds its constants as it is made
        with jax.enable_x64(dtype == "float64"), tempfile.TemporaryDirectory() as folder:
            peers = installed(chain, Path(folder), threads, args.mjx_batches)
            for name in FUNCTIONS:
                slow: dict[str, float] = {}
                for batch in batches:
                    print(f"{dtype} {name}, batch {batch}", file=sys.stderr, flush=True)
                    cells = measure(peers, chain, name, batch, dtype, slow, args)
                    rows.setdefault(dtype, {}).setdefault(name, {})[batch] = cells
    names = [peer.name for peer in peers if peer.name in ("armctl", "frax")]
    compiled = compile_times(args, names) if args.compile else {}
    notes = {peer.name: peer.notes for peer in peers}
    print_table(rows, compiled, notes)
    draw(rows["float32"], args.out / "twin_speed.png", args.robot)
    summary = {"robot": args.robot, "rows": rows, "compile_seconds": compiled, "notes": notes, "threads": threads}
    devices = [f"{d.platform}: {d.device_kind}" for d in jax.devices()]
    summary |= {"rounds": args.rounds, "devices": devices, "machine": store.machine(), "versions": versions()}
    store.write_json(args.out / "summary.json", summary)


if __name__ == "__main__":
    main(tyro.cli(Args))
