"""Write the result tables of the README and of docs/results.md from the run folders that the scripts here leave behind.

    make demo && python experiments/env_speed.py && ... && python experiments/readme_results.py

Everything between `<!-- results:NAME -->` and `<!-- /results -->` is replaced in the one page that has these marks; a
missing run folder leaves its block as it is and says so.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro
from cotrain import markdown as markdown_of_curricula
from readme_envs import env_speed_block, her_block, image_speed_block, reach_block, vec_speed_block
from readme_rl import rl_bench_block, rl_block
from readme_twin import (
    effect_cost_block,
    effects_block,
    interval,
    scenarios_block,
    source,
    table,
    twin_audit_block,
    twin_speed_block,
)

from armctl import store
from armctl.bench.grid import TITLES, markdown
from armctl.errors import UsageError
from armctl.report.theme import number


@dataclass
class Args:
    """Where the runs are and which pages are rewritten."""

    demo: Path = Path("runs/demo")
    """Run folder of `make demo`."""
    grid: Path = Path("runs/grid")
    """Run folder of grid.py."""
    full_grid: Path = Path("runs/grid")
    """The same, for all controllers."""
    env_speed: Path = Path("runs/env_speed")
    """Folder of env_speed.py."""
    vec_speed: Path = Path("runs/vec_speed")
    """Folder of vec_speed.py."""
    image_speed: Path = Path("runs/image_speed")
    """Folder of image_speed.py."""
    her: Path = Path("runs/her")
    """Folder of her.py."""
    reach: Path = Path("runs/reach")
    """Folder of `armctl bench --task reach`."""
    rl: Path = Path("runs/rl_vs_control")
    """Folder of rl_vs_control.py."""
    rl_bench: Path = Path("runs/rl_vs_control")
    """The same, for policies beside controllers."""
    twin_audit: Path = Path("runs/twin_audit")
    """Folder of twin_audit.py."""
    effects: Path = Path("runs/twin_audit")
    """The same, for what it says of effects."""
    effect_cost: Path = Path("runs/effect_cost")
    """Folder of effect_cost.py."""
    scenarios: Path = Path("runs/scenarios")
    """Folder of scenarios.py."""
    twin_speed: Path = Path("runs/twin_speed")
    """Folder of twin_speed."""
    seeds: Path = Path("runs/seeds")
    """Folder of seeds.py."""
    seeds_settled: Path = Path("runs/seeds_settled")
    """The same, from the settled start."""
    seeds_ur5e: Path = Path("runs/seeds_ur5e")
    """The same, of the ur5e."""
    online: Path = Path("runs/online")
    """Folder of online.py."""
    identify: Path = Path("runs/identify")
    """Folder of identify.py."""
    rollout_memory: Path = Path("runs/rollout_memory")
    """Folder of rollout_memory.py."""
    cotrain: Path = Path("runs/cotrain")
    """Folder of cotrain.py."""
    pages: tuple[Path, ...] = (Path("README.md"), Path("docs/results.md"))
    """Files whose marked blocks are rewritten; each block stands in one of them."""


GRID_COMMAND = "python experiments/grid.py"


def demo_block(summary: dict[str, Any]) -> str:
    """Tracking errors of every controller, what the generator's proposals are worth, and the time it took."""
    ranked = sorted(summary["controllers"].items(), key=lambda item: item[1]["position_rmse_mm"]["iqm"])
    rows = [
        [
            f"`{name}`",
            interval(result["position_rmse_mm"]),
            interval(result["orientation_rmse_deg"]),
            f"{result['joint_limit_violations']:g}",
        ]
        for name, result in ranked
    ]
    head = ["controller", "position RMSE, mm", "orientation RMSE, deg", "joint-limit violations"]
    generator, seconds = summary["generator"], summary["wall_seconds"]
    certified = summary["certified_references"]
    facts = [
        f"Interquartile mean over episodes with 95 % bootstrap interval. "
        f"{' '.join(summary.get('caveats', []))} Twin and PyBullet differ by at most "
        f"{summary['twin_parity']['max_joint_error_rad']:.1e} rad. Generated goals: "
        f"{100 * generator['validity_before']:.0f} % valid before guidance inside the flow, "
        f"{100 * generator['validity_after']:.0f} % after (64 proposals each). Of the {certified['total']} candidate "
        f"references, generated and held out, the independent checker certifies {certified['certified']}; only those "
        f"are run. Wall time {seconds['total']:.0f} s: "
        f"generator {seconds['train_generator']:.0f} s, tracker {seconds['train_tracker']:.0f} s, "
        f"bench {seconds['bench']:.0f} s."
    ]
    return "\n\n".join([table(head, rows), *facts, source("make demo", summary)])


FILTERS = ("filter_bank", "adaptive")
"""Controllers that estimate parameters as the tracker does; the best of the others stands for all of them."""


def grid_block(summary: dict[str, Any]) -> str:
    """The subject of the grid on every plant, beside its limit, its ablations and the best of all others."""
    grid, subject = summary["grid"], summary["comparison"]["subject"]
    filters = [name for name in FILTERS if name in grid["cells"]]
    others = [name for name in grid["cells"] if name not in (*filters, subject, grid["oracle"])]

    def entry(name: str, plant: str) -> str:
        cell = grid["cells"][name][plant]
        if cell["failures"] == cell["episodes"]:
            return "†all"
        block = cell["position_rmse_mm"]
        text = number(block["iqm"], 2)
        text = f"**{text}**" if grid["plants"][plant]["best"] == name else text
        if name == subject:
            text += f" [{number(block['low'], 2)}, {number(block['high'], 2)}]"
        return f"{text} †{cell['failures']}" if cell["failures"] else text

    def order(name: str, plant: str) -> tuple[int, float]:
        cell = grid["cells"][name][plant]
        return cell["failures"], cell["position_rmse_mm"]["iqm"]

    rows = []
    for plant, facts in grid["plants"].items():
        row = [facts["title"], entry(subject, plant)]
        if grid["oracle"]:
            times = grid["cells"][subject][plant]["times_oracle"]["iqm"]
            row += [f"×{number(times, 2)}", entry(grid["oracle"], plant)]
        row += [entry(name, plant) for name in filters]
        best = min((order(name, plant), name) for name in others)[1]
        rows.append([*row, f"{entry(best, plant)} `{best}`"])
    limit = ["to the oracle", f"`{grid['oracle']}`"] if grid["oracle"] else []
    head = ["position RMSE, mm", f"`{subject}`", *limit, *(f"`{name}`" for name in filters), "best of the others"]
    behind = [facts["title"] for facts in grid["plants"].values() if facts["best"] != subject]
    counts = sorted({facts["episodes"] for facts in grid["plants"].values()})
    caution = [facts["title"] for p, facts in grid["plants"].items() if grid["cells"][subject][p]["flagged"]]
    facts = [
        f"Interquartile mean [95 % interval] over {' to '.join(map(str, counts))} episodes per plant. Bold: the best "
        "on the plant, with the fewest failures and then the smallest error; an oracle is told the plant and is the "
        f"limit. †: failed episodes, which count as 1000 mm. {summary['caveats'][0]}",
        f"`{subject}` is not the best on: {', '.join(behind)}." if behind else f"`{subject}` is the best on all.",
        f"It took itself to be out of its depth in episodes of: {', '.join(caution)}." if caution else "",
        f"The others are {', '.join(f'`{name}`' for name in others)}.",
    ]
    return "\n\n".join([table(head, rows), " ".join(filter(None, facts)), source(GRID_COMMAND, summary)])


def full_grid_block(summary: dict[str, Any]) -> str:
    """Every controller on every plant, and what they were tuned on."""
    trained = {name: facts["trained_on"] for name, facts in summary["given"].items() if facts["trained_on"]}
    told = ", ".join(f"`{name}` on {preset}" for name, preset in trained.items())
    facts = f"Tuned or trained: {told}; the others have their default gains." if told else "All have default gains."
    return "\n\n".join([markdown(summary["grid"]).strip(), facts, source(GRID_COMMAND, summary)])


def seeds_block(summary: dict[str, Any], options: str = "") -> str:
    """What several training seeds make of the tracker and of its ablation, on every plant."""
    plants = summary["plants"]
    names = list(next(iter(plants.values())))

    def entry(block: dict[str, Any]) -> str:
        text = f"{number(block['iqm'], 2)} [{number(block['low'], 2)}, {number(block['high'], 2)}]"
        return f"{text} †{block['failures']}" if block["failures"] else text

    first = names[0]
    rows = []
    for plant, row in plants.items():
        own = row[first]
        without = [f"×{interval(own['times_without'])}"] if "times_without" in own else []
        rest = [f"×{number(own['times_oracle'], 2)}", number(own["max"], 2), spread(own["seeds"])]
        rows.append([TITLES[plant], *(entry(row[name]) for name in names), *without, *rest])
    beside = [f"to `{names[1]}`"] if "times_without" in next(iter(plants.values()))[first] else []
    columns = [*beside, "to the oracle", "worst episode", "seeds"]
    head = ["position RMSE, mm", *(f"`{name}`" for name in names), *columns]
    counts = {name: len(block["seeds"]) for name, block in next(iter(plants.values())).items()}
    several = ", ".join(f"{count} of `{name}`" for name, count in counts.items() if count > 1 or name == first)
    facts = (
        f"Interquartile mean [95 % interval] over the episodes of all training seeds ({several}; one of the others). "
        f"The last {len(columns)} columns are `{first}`'s: how many times the others' errors its own are on the same "
        "episodes, its worst episode of all, and the best and worst seed. †: failed episodes, which count as 1000 mm."
    )
    return "\n\n".join([table(head, rows), facts, source(f"python experiments/seeds.py{options}", summary)])


def spread(seeds: dict[str, float]) -> str:
    """The smallest and the largest of the seeds' figures."""
    return f"{number(min(seeds.values()), 2)} to {number(max(seeds.values()), 2)}"


def online_block(summary: dict[str, Any]) -> str:
    """Error with and without learning in deployment, and the worst episodes of both."""
    rows = [
        [
            case,
            interval(row["tracker"], 3),
            interval(row["tracker_online"], 3),
            interval(row["times"]),
            f"{number(row['worst']['tracker'], 2)}, {number(row['worst']['tracker_online'], 2)}",
        ]
        for case, row in summary["position_rmse_mm"].items()
    ]
    head = ["position RMSE, mm", "`tracker`", "`tracker_online`", "ratio", "worst episodes"]
    return "\n\n".join([table(head, rows), source("python experiments/online.py", summary)])


def identify_block(summary: dict[str, Any]) -> str:
    """Errors of the identified payload, and how often the stated intervals hold the truth."""
    rows = [
        [
            name,
            f"{row['seeds']}",
            *(
                "{median:.2g}, {max:.2g}".format(**{key: factor * x for key, x in row[figure].items()})
                for figure, factor in (("mass_error_percent", 10 * summary["payload_kg"]), ("centre_error_mm", 1000))
            ),
            f"{100 * row['coverage_overall']:.1f} %",
            f"{100 * min(row['coverage'].values()):.0f} %",
            f"{row['seconds_median']:.1f} s",
        ]
        for name, row in summary["rows"].items()
    ]
    head = ["estimated, sensor noise", "seeds", "mass, g", "centre, µm", "intervals hold", "worst parameter", "one fit"]
    first = max(row["seconds_first"] for row in summary["rows"].values())
    facts = (
        f"Deviations from the truth: median, largest; every seed has its own noise and excitation of "
        f"{summary['seconds']:g} s. 'Intervals hold': share of 95 % intervals that contain the truth, over all "
        f"parameters and for the worst one. The first fit of a kind compiles and took up to {first:.0f} s."
    )
    return "\n\n".join([table(head, rows), facts, source("python experiments/identify.py", summary)])


def rollout_memory_block(summary: dict[str, Any]) -> str:
    """Memory and time of the gradient of a window, kept whole and in segments."""
    rows = [
        [
            f"{row['horizon']}",
            f"{row['segment']}",
            f"{row['memory_mb']:.1f}",
            f"{row['memory_share']:.2f}",
            f"{row['times_unsegmented']:.2f}",
        ]
        for row in summary["rows"]
    ]
    head = ["horizon, control steps", "segment", "memory, MB", "share of segment 0", "time / segment 0"]
    facts = (
        f"`{summary['controller']}` on {summary['robot']}, {summary['batch']} episodes; memory is what XLA reserves "
        f"for the gradient's intermediate values, time the median of {summary['repeats']} gradients, segments in turns."
    )
    return "\n\n".join([table(head, rows), facts, source("python experiments/rollout_memory.py", summary)])


def cotrain_block(summary: dict[str, Any]) -> str:
    """What steers proposals, against uniform ones."""
    settings = summary["settings"]
    facts = (
        f"{settings['rounds']} rounds of {settings['updates']} updates with {settings['batch']} episodes under way, "
        f"{settings['references']} motions a round; errors in the twin, of the best parameters by validation. Ratios "
        "to uniform proposals are geometric means over the seeds, with Student's 95 % intervals of their logarithms; "
        "the last column is regret on the motions that were steered to over that on the others of their round."
    )
    lists = {name: " ".join(map(str, settings[name])) for name in ("robots", "controllers", "curricula", "seeds")}
    options = {**lists, "references": settings["references"], "rounds": settings["rounds"]}
    command = " ".join(["python experiments/cotrain.py", *(f"--{name} {value}" for name, value in options.items())])
    return "\n\n".join([markdown_of_curricula(summary["rows"]), facts, source(command, summary)])


BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "grid": grid_block,
    "full_grid": full_grid_block,
    "demo": demo_block,
    "env_speed": env_speed_block,
    "vec_speed": vec_speed_block,
    "image_speed": image_speed_block,
    "her": her_block,
    "rl": rl_block,
    "rl_bench": rl_bench_block,
    "reach": reach_block,
    "twin_audit": twin_audit_block,
    "effects": effects_block,
    "effect_cost": effect_cost_block,
    "scenarios": scenarios_block,
    "twin_speed": twin_speed_block,
    "seeds": seeds_block,
    "seeds_settled": partial(seeds_block, options=" --settle 0.5 --out runs/seeds_settled"),
    "seeds_ur5e": partial(
        seeds_block,
        options=" --robot ur5e --trained tracker --out runs/seeds_ur5e --beside oracle adaptive disturbance_observer "
        "diff_ik operational_space_integral",
    ),
    "online": online_block,
    "identify": identify_block,
    "rollout_memory": rollout_memory_block,
    "cotrain": cotrain_block,
}


def replace_block(pages: dict[Path, str], name: str, content: str) -> dict[Path, str]:
    """The pages, by path, with one marked block renewed; UsageError unless its markers stand once, in one of them."""
    pattern = rf"(<!-- results:{name} -->\n).*?(<!-- /results -->)"
    count = sum(len(re.findall(pattern, text, flags=re.DOTALL)) for text in pages.values())
    if count != 1:
        raise UsageError(
            f"There are {count} blocks '<!-- results:{name} -->' … '<!-- /results -->' in "
            f"{', '.join(map(str, pages))}; there must be one."
        )
    new = lambda match: f"{match[1]}{content}\n{match[2]}"  # noqa: E731
    return {path: re.sub(pattern, new, text, flags=re.DOTALL) for path, text in pages.items()}


def main(args: Args) -> None:
    """Rewrite every block whose run folder exists."""
    pages = {path: path.read_text(encoding="utf-8") for path in args.pages}
    for name, block in BLOCKS.items():
        path = getattr(args, name) / ("seeds.json" if name.startswith("seeds") else "summary.json")
        if path.exists():
            pages = replace_block(pages, name, block(store.read_json(path)))
        else:
            print(f"{path} is missing; its block stays as it is.", file=sys.stderr)
    for path, text in pages.items():
        store.write_text(path, text)


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
