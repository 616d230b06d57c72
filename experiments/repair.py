"""What repair brings: motions of a generator before and after, for every aim; what was made easier is run in PyBullet.

Every seed has its corpus, small flow, proposals and plants. What was made easier in the twin is benched before
and after, on the same plants, which are others than those that the gradient saw. Resumable: what is done is kept.

    python experiments/repair.py      # prints the tables, writes runs/repair/summary.json
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from armctl import store
from armctl.arm import Arm
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.chain import Chain
from armctl.commands.console import say, show, table
from armctl.controllers.shipped import best
from armctl.generator import FlowConfig, propose, train_flow
from armctl.generator.repair import AIMS, Improvement, Measures, improve, summary
from armctl.motion.corpus import build_corpus
from armctl.motion.reference import Reference
from armctl.plant.presets import sample_scenario
from armctl.plant.scenario import Scenario
from armctl.urdf import load_chain

CERTAIN = 0.95  # of the bootstrap intervals
RESAMPLES = 2000
FREE = tuple(aim for aim in AIMS if aim != "easier")


@dataclass
class Args:
    """What is improved, and for whom."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of corpus, flow, proposals and plants."""
    controllers: tuple[str, ...] = ("computed_torque_integral", "tracker")
    """For whom motions are made easier, with what is shipped for the arm."""
    scenario: str = "payload"
    """Preset of the plants."""
    count: int = 16
    """Proposals of a seed."""
    longest: float = 2.5
    """Longest proposal that is used, s."""
    plants: int = 4
    """Plants in the twin, and as many others in PyBullet."""
    motions: int = 400
    """Motions of a corpus."""
    flow_updates: int = 500
    """Gradient updates of a flow."""
    trust: float = 0.1
    """Part of half a joint's range within which control points may move."""
    updates: int = 30
    """Gradient steps of an improvement."""
    out: Path = Path("runs/repair")
    """Folder of summary.json."""


def proposals(chain: Chain, seed: int, args: Args) -> list[Reference]:
    """Certified proposals of a small flow that are not too long."""
    corpus = build_corpus(chain, args.motions, seed)
    model = train_flow(corpus, FlowConfig(seed=seed, steps=args.flow_updates, width=128, batch=128), chain=chain)
    found, _ = propose(model, chain, 3 * args.count, seed=seed)
    return [one for one in found if one.duration <= args.longest][: args.count]


def plants(chain: Chain, seed: int, args: Args) -> tuple[list[Scenario], dict[str, Scenario]]:
    """Plants for the twin, and other ones for PyBullet by name."""
    rng = np.random.default_rng(seed)
    drawn = [sample_scenario(args.scenario, chain, rng) for _ in range(2 * args.plants)]
    return drawn[: args.plants], {f"{args.scenario}_{k}": one for k, one in enumerate(drawn[args.plants :])}


def one_seed(seed: int, args: Args) -> dict[str, Any]:
    """Improvements of every aim, and errors in PyBullet (motions, plants) mm before and after for every controller."""
    file = args.out / f"seed-{seed}.json"
    found: dict[str, Any] = store.read_json(file) if file.is_file() else {"aims": {}, "bullet": {}}
    chain = load_chain(args.robot)
    wanted = [("", aim) for aim in FREE] + [(name, "easier") for name in args.controllers]
    if all(aim_label(*pair) in found["aims"] for pair in wanted):
        return found
    say(f"seed {seed}: corpus, flow and proposals")
    motions, (seen, unseen) = proposals(chain, seed, args), plants(chain, seed, args)
    for controller, aim in wanted:
        label = aim_label(controller, aim)
        if label in found["aims"]:
            continue
        say(f"seed {seed}: {label}")
        given = best(controller, Arm.from_chain(chain), motions[0].dt)[0] if controller else None
        made = improve(motions, chain, aim=aim, controller=given, scenarios=seen, trust=args.trust, steps=args.updates)
        if given is not None:
            after = [motion for motion, _ in made]
            found["bullet"][label] = in_bullet(controller, given, motions, after, unseen, args, seed)
        found["aims"][label] = store.plain([improvement for _, improvement in made])
        store.write_json(file, found)
    return found


def aim_label(controller: str, aim: str) -> str:
    """Aim, and for whom."""
    return f"{aim} for {controller}" if controller else aim


def in_bullet(
    name: str, controller: Any, before: list[Reference], after: list[Reference], unseen: dict[str, Scenario],
    args: Args, seed: int,
) -> dict[str, list[float]]:  # fmt: skip
    """Position errors in PyBullet, mm, mean over the plants, of every motion before and after."""
    out = args.out / f"bench-{seed}-{name}"
    run_bench(
        {name: controller}, {"before": before, "after": after}, unseen, out, config=BenchConfig(args.robot, seed=seed),
        overwrite=out.exists(),
    )  # fmt: skip
    rows = store.read_rows(out / "episodes.csv")
    return {
        when: [
            float(np.mean([float(row["position_rmse_mm"]) for row in rows if about(row) == (when, one.name)]))
            for one in before
        ]
        for when in ("before", "after")
    }


def about(row: dict[str, str]) -> tuple[str, str]:
    """Suite and reference of an episode."""
    return row["suite"], row["reference"]


def interval(ratios: Sequence[float]) -> list[float]:
    """Median of ratios with its bootstrap interval."""
    drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    edges = np.quantile(np.median(drawn, axis=1), [(1 - CERTAIN) / 2, (1 + CERTAIN) / 2])
    return [float(np.median(ratios)), *edges.tolist()]


def _improvement(plain: dict[str, Any]) -> Improvement:
    """An improvement from its JSON."""
    return Improvement(**{**plain, **{when: Measures(**plain[when]) for when in ("before", "after")}})


def rows_of(seeds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per aim over all seeds: medians before and after, share improved, ratio in twin and in PyBullet."""
    rows = []
    for label in seeds[0]["aims"]:
        parts = [_improvement(one) for seed in seeds for one in seed["aims"][label]]
        row = {**summary(parts), "aim": label, "ratio": interval([one.ratio for one in parts])}
        if label in seeds[0]["bullet"]:
            pairs = [seed["bullet"][label] for seed in seeds]
            before, after = (np.concatenate([pair[when] for pair in pairs]) for when in ("before", "after"))
            row |= {"bullet_before_mm": float(np.median(before)), "bullet_after_mm": float(np.median(after))}
            row |= {"bullet_ratio": interval(after / before), "bullet_better": float(np.mean(after < before))}
        rows.append(row)
    return rows


def text(rows: Sequence[dict[str, Any]]) -> str:
    """A table of the rows."""

    def cell(value: Any) -> Any:
        if isinstance(value, list):
            return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]"
        return value

    names = list(dict.fromkeys(name for row in rows for name in row))
    return table([{name: cell(row.get(name)) for name in names} for row in rows])


def main(args: Args) -> None:
    """Improve all, and write the summary after each seed."""
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {name: str(x) if isinstance(x, Path) else x for name, x in asdict(args).items()}
    seeds: list[dict[str, Any]] = []
    for seed in args.seeds:
        seeds.append(one_seed(seed, args))
        rows = rows_of(seeds)
        about_it = {"config": settings, "machine": store.machine(), "versions": store.versions()}
        store.write_json(args.out / "summary.json", {**about_it, "seeds": len(seeds), "aims": rows})
    show(rows, text(rows), False)


if __name__ == "__main__":
    main(tyro.cli(Args))
