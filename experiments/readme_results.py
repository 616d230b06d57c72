"""Write the README's result tables from the run folders that `make demo` and the scripts here leave behind.

    make demo && for s in env_speed twin_audit twin_speed ablation readme_results; do python experiments/$s.py; done

Everything between `<!-- results:NAME -->` and `<!-- /results -->` is replaced; a missing run folder leaves its block as
it is and says so.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from armctl import store
from armctl.errors import UsageError


@dataclass
class Args:
    """Where the runs are and which file is rewritten."""

    demo: Path = Path("runs/demo")
    """Run folder of `make demo`."""
    env_speed: Path = Path("runs/env_speed")
    """Folder of env_speed.py."""
    twin_audit: Path = Path("runs/twin_audit")
    """Folder of twin_audit.py."""
    twin_speed: Path = Path("runs/twin_speed")
    """Folder of twin_speed.py."""
    ablation: Path = Path("runs/ablation")
    """Folder of ablation.py."""
    identify: Path = Path("runs/identify")
    """Folder of identify.py."""
    rollout_memory: Path = Path("runs/rollout_memory")
    """Folder of rollout_memory.py."""
    readme: Path = Path("README.md")
    """File whose marked blocks are rewritten."""


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, first column left, the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(block: dict[str, float], digits: int = 2) -> str:
    """Interquartile mean with its interval."""
    return "{iqm:.{d}f} [{low:.{d}f}, {high:.{d}f}]".format(d=digits, **block)


def source(command: str, summary: dict[str, Any]) -> str:
    """The line under a table: command, machine, versions."""
    machine = summary.get("machine") or store.machine()
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    return f"`{command}` on {machine['cpu']}, {machine['cores']} cores; {versions}."


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
        f"Interquartile mean over episodes with 95 % bootstrap interval. Twin and PyBullet differ by at most "
        f"{summary['twin_parity']['max_joint_error_rad']:.1e} rad. Generated goals: "
        f"{100 * generator['validity_before']:.0f} % valid before guidance inside the flow, "
        f"{100 * generator['validity_after']:.0f} % after (64 proposals each). Of the {certified['total']} candidate "
        f"references, generated and held out, the independent checker certifies {certified['certified']}; only those "
        f"are run. Wall time {seconds['total']:.0f} s: "
        f"generator {seconds['train_generator']:.0f} s, tracker {seconds['train_tracker']:.0f} s, "
        f"bench {seconds['bench']:.0f} s."
    ]
    return "\n\n".join([table(head, rows), *facts, source("make demo", summary)])


def env_speed_block(summary: dict[str, Any]) -> str:
    """Environment steps per second, with the ratio to panda-gym where it was measured in the same run."""
    rows = [
        [name, f"{row['steps_per_second']:,.0f}", f"{row['times_panda_gym']:.1f}" if "times_panda_gym" in row else "–"]
        for name, row in summary["rows"].items()
    ]
    facts = (
        f"One process, {summary['substeps']} physics steps of {1000 * summary['physics_dt_s']:g} ms per environment "
        f"step, random actions, all environments in turns within one run; median of {summary['repeats']} blocks."
    )
    head = ["environment", "steps/s", "× panda-gym"]
    return "\n\n".join([table(head, rows), facts, source("python experiments/env_speed.py", summary)])


def twin_speed_block(summary: dict[str, Any]) -> str:
    """Throughput of armctl and how many times longer the others take, at the largest batch that most can do."""
    functions = summary["rows"]["float32"]
    batches = [batch for batch in next(iter(functions.values())) if 256 <= int(batch) < 20000]
    peers = list(dict.fromkeys(label for by_batch in functions.values() for b in batches for label in by_batch[b]))

    def cell(cells: dict[str, Any], peer: str) -> str:
        if peer not in cells:
            return "–"
        if peer == "armctl":
            return f"{cells[peer]['per_second'] / 1e6:.2f} M/s"
        return f"{cells[peer]['times_slower']:.1f}"

    rows = [
        [f"{name}, batch {batch}", *(cell(by_batch[batch], peer) for peer in peers)]
        for name, by_batch in functions.items()
        for batch in batches
    ]
    seconds = summary["compile_seconds"].get("armctl", {}).get("rollout gradient")
    facts = [
        "Columns right of armctl: how many times longer, median over the rounds of one run, in float32 (pinocchio and "
        "MuJoCo: float64); each result was first compared with ours."
    ]
    if seconds:
        facts.append(
            "The gradient of a closed loop of 50 control steps of 5 physics steps is compiled in "
            f"{seconds['cold']:.1f} s, in {seconds['warm']:.1f} s from the persistent cache."
        )
    lines = [table(["function", *peers], rows), " ".join(facts), source("python experiments/twin_speed.py", summary)]
    return "\n\n".join(lines)


def ablation_block(summary: dict[str, Any]) -> str:
    """Position error of each controller on each preset of the plant."""
    presets = summary["position_rmse_mm"]
    names = list(next(iter(presets.values())))
    rows = [[f"`{name}`", *(interval(row[name], 3) for row in presets.values())] for name in names]
    head = ["position RMSE, mm", *(f"`{preset}`" for preset in presets)]
    return "\n\n".join([table(head, rows), source("python experiments/ablation.py", summary)])


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


def twin_audit_block(summary: dict[str, Any]) -> str:
    """How far every arm's twin is from PyBullet, and its gradient from finite differences of PyBullet."""
    errors = ("functions", "torque_rad", "servo_rad", "bullet_rad", "servo_float32_rad")
    rows = [
        [
            row["arm"],
            *(f"{row[name]:.0e}" for name in errors),
            f"{row['torque_float32_rad']:.0e}",
            f"{row['growth']:.0e}",
            f"{row['gradient_error']:.0e}",
            "as PyBullet" if not row["oddities"] else "differs, reported",
        ]
        for row in summary["rows"]
    ]
    head = ["arm", "functions", "torque", "servo modes", "bullet motors", "float32, servo", "float32, torque"]
    head += ["growth in 1 s", "gradient", "raw file"]
    cosine = min(row["cosine"] for row in summary["rows"])
    facts = (
        "Functions: largest relative difference of kinematics, dynamics and one step. Next five: largest joint error "
        "to PyBullet after 1 s, rad, in double and single precision; held torques amplify rounding by the growth given "
        "beside. Gradient: relative error of `jax.grad` over 20 control steps against finite differences of PyBullet "
        f"(smallest cosine {cosine:.9f}). Raw file: whether PyBullet makes the same arm of the URDF as it stands."
    )
    return "\n\n".join([table(head, rows), facts, source("python experiments/twin_audit.py", summary)])


BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "demo": demo_block,
    "env_speed": env_speed_block,
    "twin_audit": twin_audit_block,
    "twin_speed": twin_speed_block,
    "ablation": ablation_block,
    "identify": identify_block,
    "rollout_memory": rollout_memory_block,
}


def replace_block(text: str, name: str, content: str) -> str:
    """The text with one marked block renewed; UsageError where the markers are missing."""
    pattern = rf"(<!-- results:{name} -->\n).*?(<!-- /results -->)"
    new, count = re.subn(pattern, lambda match: f"{match[1]}{content}\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise UsageError(
            f"There are {count} blocks '<!-- results:{name} -->' … '<!-- /results -->'; there must be one."
        )
    return new


def main(args: Args) -> None:
    """Rewrite every block whose run folder exists."""
    text = args.readme.read_text(encoding="utf-8")
    for name, block in BLOCKS.items():
        path = getattr(args, name) / "summary.json"
        if path.exists():
            text = replace_block(text, name, block(store.read_json(path)))
        else:
            print(f"{path} is missing; its block stays as it is.", file=sys.stderr)
    store.write_text(args.readme, text)


if __name__ == "__main__":
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
