"""How fast a corpus is made, a generator trained on it, and certified references are proposed by it.

Everything is warm before it is timed: each request is made once at another seed. CPU time is that of all threads of the
process: on a machine that others use too, wall time is theirs as well.

    python experiments/generator_speed.py      # prints the table, writes runs/generator_speed/summary.json
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from armctl import store
from armctl.commands.console import say, show, table
from armctl.generator import FlowConfig, FlowModel, propose, train_flow
from armctl.motion.certificate import Checker
from armctl.motion.corpus import build_corpus
from armctl.urdf import load_chain


@dataclass
class Args:
    """What is measured."""

    robots: tuple[str, ...] = ("panda", "ur5e")
    """Names of arms in the assets, or paths of URDFs."""
    motions: int = 4000
    """Motions of the corpus."""
    count: int = 500
    """Certified references of one request."""
    repeats: int = 5
    """Requests that are timed; medians count."""
    seed: int = 0
    """Seed of corpus, training and requests."""
    out: Path = Path("runs/generator_speed")
    """Folder of summary.json."""


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """A result with the wall and CPU seconds that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def proposals(model: FlowModel, robot: str, args: Args) -> dict[str, float]:
    """Certified references a minute, medians over the requests, and where a reference's CPU time goes, ms."""
    chain = load_chain(robot)
    propose(model, chain, 1, seed=args.seed)
    seeds = range(args.seed + 1, args.seed + 1 + args.repeats)
    found = [timed(partial(propose, model, chain, args.count, seed=seed)) for seed in seeds]
    wall, cpu = ([run[place] for run in found] for place in (1, 2))
    stats = [run[0][1] for run in found]
    with Checker(chain) as checker:
        certified = timed(lambda: [checker.certify(reference) for reference in found[0][0][0]])[2]
    return {
        "references_per_minute": 60 * args.count / statistics.median(wall),
        "slowest_per_minute": 60 * args.count / max(wall),
        "fastest_per_minute": 60 * args.count / min(wall),
        "cpu_ms": 1e3 * statistics.median(cpu) / args.count,
        "of_which_certificate_cpu_ms": 1e3 * certified / args.count,
        "acceptance": statistics.mean(one.acceptance_rate for one in stats),
        "samples": statistics.mean(len(reference.q) for reference in found[0][0][0]),
    }


def measure(robot: str, args: Args) -> dict[str, Any]:
    """The row of one arm."""
    chain = load_chain(robot)
    say(f"{chain.name}: corpus of {args.motions} motions")
    corpus, corpus_s, corpus_cpu = timed(lambda: build_corpus(chain, args.motions, args.seed))
    say(f"{chain.name}: training, {corpus_s:.0f} s after")
    config = FlowConfig(seed=args.seed)
    model, training_s, training_cpu = timed(lambda: train_flow(corpus, config, chain=chain))
    say(f"{chain.name}: proposing, {training_s:.0f} s after")
    times = {"corpus_s": corpus_s, "corpus_cpu_s": corpus_cpu, "training_s": training_s, "training_cpu_s": training_cpu}
    return {"robot": chain.name, **times, **proposals(model, robot, args)}


def main(args: Args) -> None:
    """Measure every arm and write the summary."""
    machine = {**store.machine(), "load_before": os.getloadavg()[0]}
    rows = [measure(robot, args) for robot in args.robots]
    settings = {name: str(x) if isinstance(x, Path) else x for name, x in asdict(args).items()}
    summary = {"config": settings, "machine": machine, "versions": store.versions(), "rows": rows}
    store.write_json(args.out / "summary.json", summary)
    shown = [{name: round(x, 2) if isinstance(x, float) else x for name, x in row.items()} for row in rows]
    show(rows, f"{table(shown)}\n\n{machine}", False)


if __name__ == "__main__":
    main(tyro.cli(Args))
