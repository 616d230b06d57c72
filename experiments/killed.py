"""A bench that is killed with -9 at random moments and resumed ends in the summary of one that was not, each time.

The moments are uniform over the time that the whole bench takes, start and report included; times per action differ.

    python experiments/killed.py                 # two local processes; writes runs/killed/summary.json
    python experiments/killed.py --nodes 2       # a Ray cluster of two nodes, started for it on this machine
"""

import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from armctl import store

TIMES = ("action_us", "wall_seconds", "jobs", "ray")
"""What differs between two benches that are the same."""
BENCH = (
    "--robot planar3 --controllers diff_ik,computed_torque --suite corpus --limit 6 --scenarios nominal,payload "
    "--draws 2 --batch 4 --no-animation"
)


@dataclass
class Args:
    """What is killed, how often, and where to write."""

    kills: int = 20
    """Benches that are killed."""
    bench: str = BENCH
    """Options of `armctl bench`."""
    jobs: int = 2
    """Its worker processes."""
    nodes: int = 0
    """Nodes of a Ray cluster to run on, of one CPU each, started on this machine; 0 for local processes."""
    seed: int = 0
    """Of the moments."""
    out: Path = Path("runs/killed")
    """Folder of summary.json and of the benches."""


def bench(options: list[str], out: Path, seconds: float | None = None) -> bool:
    """Run or resume a bench, killed after so many seconds; whether it came to its end."""
    command = [sys.executable, "-m", "armctl", "bench", *options, "--out", str(out), "--resume"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    if process.returncode:
        raise RuntimeError(f"The bench in {out} failed: {said}")
    return True


def comparable(value: Any) -> Any:
    """A summary without times."""
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items() if name not in TIMES}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def result(out: Path) -> Any:
    """What must be the same."""
    return comparable(store.read_json(out / "summary.json"))


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """A Ray cluster on this machine, of nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    options: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
    one = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            one.add_node(**options)
        yield one
    finally:
        one.shutdown()


def killed(options: list[str], whole: Path, out: Path, seconds: float) -> dict[str, Any]:
    """Kill a bench at one moment, resume it, and say what it had recorded by then and whether it ended as the whole."""
    over = bench(options, out, seconds)
    recorded = len(store.read_rows(out / "episodes.csv"))
    bench(options, out)
    return {"seconds": seconds, "over": over, "episodes": recorded, "same": result(out) == result(whole)}


def main(args: Args) -> None:
    """Kill, resume, compare, save."""
    shutil.rmtree(args.out, ignore_errors=True)
    moments = random.Random(args.seed)
    with cluster(args.nodes) if args.nodes else contextlib.nullcontext() as one:
        where = ["--ray", one.address] if one else ["--jobs", str(args.jobs)]
        options = [*args.bench.split(), *where]
        bench(options, args.out / "first")  # compiles
        began = time.perf_counter()
        bench(options, args.out / "whole")
        lasted = time.perf_counter() - began
        found = []
        for k in range(args.kills):
            found.append(killed(options, args.out / "whole", args.out / f"{k:02d}", moments.uniform(0, lasted)))
            print(", ".join(f"{name} {value}" for name, value in found[-1].items()), flush=True)
    same = sum(one["same"] for one in found)
    print(f"{same} of {args.kills} ended as the bench that was not killed, of {lasted:.0f} s")
    facts = {"where": "Ray" if args.nodes else "local", "lasted_s": lasted, "versions": store.versions()}
    store.write_json(args.out / "summary.json", {"same": same, "kills": found, **facts})


if __name__ == "__main__":
    main(tyro.cli(Args))
