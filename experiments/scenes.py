"""Goals among obstacles: how many proposals the independent checker certifies, in free space and in scenes.

    python -m experiments.scenes --out runs/scenes --seeds 0 1 2 3 4

For each arm, scene and seed a corpus is made in the scene and a generator is trained on it. Validity is that of the
first proposals, before any is rejected: unguided and guided, same contexts and noise. Beside them the honest rival, to
draw as the corpus draws and to reject: how many of its draws pass, and what a certified reference costs either way.
Released references are looked at again at samples four times denser than those of the checker. The energy distance of
proposals to the corpus's test part says whether guidance distorts.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.chain import Chain
from armctl.generator import FlowConfig, train_flow
from armctl.generator.audit.features import vectors
from armctl.generator.audit.two_sample import energy_distance
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.proposals import Candidate, candidates
from armctl.generator.request import Request
from armctl.motion import gaps
from armctl.motion.certificate import Checker
from armctl.motion.corpus import build_corpus, paths_free, references
from armctl.motion.families import FAMILIES
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_timing
from armctl.scene import Scene, load_scene
from armctl.urdf import load_chain

HEADS: tuple[str, ...] = (
    "arm",
    "scene",
    "unguided",
    "guided",
    "draws of the corpus",
    "s each, guided",
    "s each, corpus",
)
HEADS += ("energy, unguided", "energy, guided", "finer grid")
SHARES = ("unguided_valid", "guided_valid", "corpus_accepted")


def main() -> None:
    """Measure, print each row as it comes and the table in the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robots", nargs="+", default=["panda", "ur5e"])
    parser.add_argument("--scenes", nargs="+", default=["free", "table", "shelf", "pillars"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--motions", type=int, default=4000)
    parser.add_argument("--updates", type=int, default=FlowConfig().steps)
    parser.add_argument("--count", type=int, default=256, help="proposals of each kind")
    parser.add_argument("--out", type=Path, default=Path("runs/scenes"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for robot, name, seed in itertools.product(args.robots, args.scenes, args.seeds):
        chain = load_chain(robot)
        scene = None if name == "free" else load_scene(name, chain)
        row = {"robot": robot, "scene": name, "seed": seed, **measure(chain, scene, seed, args)}
        print({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
        store.append_rows(args.out / "metrics.csv", [row])
    print(table(store.read_rows(args.out / "metrics.csv")))


def measure(chain: Chain, scene: Scene | None, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    began = time.perf_counter()
    corpus = build_corpus(chain, args.motions, seed, scene=scene)
    made = time.perf_counter()
    model = train_flow(corpus, replace(FlowConfig(), steps=args.updates, seed=seed), chain=chain)
    row = {"corpus_s": made - began, "training_s": time.perf_counter() - made}
    row["corpus_accepted"] = accepted(chain, scene, seed)
    held = references(corpus, chain, "test", limit=args.count)
    guidance = ClearanceGuidance.of(chain, model.paths, scene)
    with Checker(chain, scene) as checker:
        passed, seconds = judged(checker, iter(held))[1:]
        row |= {"corpus_valid": float(np.mean(passed))}
        row["corpus_s_each"] = (seconds / len(held) + (made - began) / len(corpus)) / row["corpus_valid"]
        for kind, bend in (("unguided", None), ("guided", guidance)):
            stream = candidates(model, chain, bend, Request(scene=scene, seed=seed))
            next(stream)  # compiles
            found, passed, seconds = judged(checker, itertools.islice(stream, args.count))
            row |= {f"{kind}_valid": float(np.mean(passed)), f"{kind}_s_each": seconds / max(1, sum(passed))}
            whole = [one for one in found if isinstance(one, Reference)]
            row[f"{kind}_energy"] = energy_distance(vectors(held, chain), vectors(whole, chain))[0]
        kept = [one for one, good in zip(found, passed, strict=True) if good and isinstance(one, Reference)]
        row["finer_free"] = float(np.mean([finer(checker, one) for one in kept]))
    return row


def judged(checker: Checker, stream: Iterator[Candidate]) -> tuple[list[Candidate], list[bool], float]:
    """References of a stream, whether each is certified, and the seconds that making and judging them took."""
    found: list[Candidate] = []
    started, passed = time.perf_counter(), []
    for one in stream:
        found.append(one)
        passed.append(isinstance(one, Reference) and checker.certify(one).valid)
    return found, passed, time.perf_counter() - started


def accepted(chain: Chain, scene: Scene | None, seed: int, tried: int = 100) -> float:
    """Share of paths drawn as a corpus draws them, family by family, that keep off everything and can be timed."""
    rng, good = np.random.default_rng(seed + 1000), 0
    for family in FAMILIES.values():
        paths = family(chain, rng, tried)
        free = paths[paths_free(chain, paths, scene)] if len(paths) else paths
        good += int(np.isfinite(path_timing(chain, free)[0]).sum()) if len(free) else 0
    return good / (tried * len(FAMILIES))


def finer(checker: Checker, reference: Reference) -> bool:
    """Whether a reference touches nothing at samples four times denser than those that are checked in any case."""
    step, gaps.STEP = gaps.STEP, gaps.STEP / 4
    try:
        return all(value > 0 for value in checker._gaps.along(checker.dense(reference)).values())
    finally:
        gaps.STEP = step


def table(rows: list[dict[str, str]]) -> str:
    """Means over seeds, one line per arm and scene; shares with their standard deviation."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    for robot, scene in dict.fromkeys((row["robot"], row["scene"]) for row in rows):
        part = [row for row in rows if (row["robot"], row["scene"]) == (robot, scene)]
        column = {
            name: np.array([float(row[name]) for row in part]) for name in part[0] if name not in ("robot", "scene")
        }
        shares = [f"{100 * column[name].mean():.1f} ± {100 * column[name].std():.1f} %" for name in SHARES]
        costs = [f"{column[f'{kind}_s_each'].mean():.3f}" for kind in ("guided", "corpus")]
        energies = [f"{column[f'{kind}_energy'].mean():.4f}" for kind in ("unguided", "guided")]
        cells = [robot, scene, *shares, *costs, *energies, f"{100 * column['finer_free'].mean():.1f} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
