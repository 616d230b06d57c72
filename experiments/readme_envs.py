"""Result blocks about the environments: speed, pictures, reaching."""

from typing import Any

from readme_twin import interval, source, table
from vec_speed import SINGLE

from armctl.report.theme import number


def times_panda_gym(row: dict[str, float]) -> str:
    """The ratio to panda-gym with its range, where it was measured."""
    if "times_panda_gym_cpu" not in row:
        return ""
    ratio, low, high = (row[f"times_panda_gym_cpu{end}"] for end in ("", "_low", "_high"))
    return f"{ratio:.2f} ({low:.2f} to {high:.2f})"


def env_speed_block(summary: dict[str, Any]) -> str:
    """Environment steps per second, with the ratio to panda-gym where it was measured in the same run."""
    rows = [
        [name, f"{row['steps_per_second_cpu']:,.0f}", times_panda_gym(row)] for name, row in summary["rows"].items()
    ]
    facts = (
        f"{summary['substeps']} physics steps of {1000 * summary['physics_dt_s']:g} ms per environment step, random "
        f"actions, all environments in turns within one process; median of {summary['repeats']} blocks, then median "
        f"and range of {summary['processes']} processes. By CPU time."
    )
    head = ["environment", "steps/s", "× panda-gym"]
    return "\n\n".join([table(head, rows), facts, source("python experiments/env_speed.py", summary)])


def vec_speed_block(summary: dict[str, Any]) -> str:
    """Control steps per second of vector environments, and their ratio to one environment."""
    rows = []
    for name, row in summary["rows"].items():
        ratio = "" if name == SINGLE else "{ratio:.2f} ({ratio_low:.2f} to {ratio_high:.2f})".format(**row)
        rows.append([name, f"{row['steps_per_second']:,.0f}", f"{row['cpu_us']:.1f}", ratio])
    facts = (
        f"Control steps of {1000 * summary['control_dt_s']:g} ms ({summary['substeps']} physics steps), random "
        f"actions; in turns, median of {summary['repeats']} blocks, ratio with its quartiles."
    )
    head = ["reaching, velocity control", "arms × steps/s", "processor time, µs", "× one environment"]
    return "\n\n".join([table(head, rows), facts, source("python experiments/vec_speed.py", summary)])


def image_speed_block(summary: dict[str, Any]) -> str:
    """Pictures per second of every arm, by camera and size."""
    kinds = list(dict.fromkeys((row["camera"], row["size"]) for row in summary["rows"]))
    rates = {(row["robot"], row["camera"], row["size"]): row["frames_per_second"] for row in summary["rows"]}
    robots = list(dict.fromkeys(row["robot"] for row in summary["rows"]))
    rows = [[robot, *(f"{rates[robot, *kind]:,.0f}" for kind in kinds)] for robot in robots]
    head = ["frames/s", *(f"{camera}, {size}" for camera, size in kinds)]
    facts = f"Median of {summary['repeats']} blocks of {summary['block']} steps, less the same steps without pictures."
    return "\n\n".join([table(head, rows), facts, source("python experiments/image_speed.py", summary)])


def reach_block(summary: dict[str, Any]) -> str:
    """Who reaches random goals, with a planned way and without."""
    rows = [
        [
            cell["suite"],
            cell["scenario"],
            f"`{cell['controller']}`",
            f"{100 * cell['reached']:.0f} %",
            f"{100 * cell['reached_position']:.0f} %",
            interval(cell["reach_time_s"]),
            interval(cell["goal_error_mm"]),
            number(cell["path_length_m"]["iqm"]),
            f"{cell['joint_limit_violations']}",
            f"{cell['failures']}",
        ]
        for cell in summary["reaching"]
    ]
    head = ["suite", "plant", "controller", "reached", "position alone", "after, s", "error at the end, mm", "way, m"]
    episodes = sorted({cell["episodes"] for cell in summary["reaching"]})
    facts = (
        f"{' to '.join(map(str, episodes))} goals each, PyBullet. In `reach` controllers are shown the shortest "
        "planned way, in `goal` the goal alone. Reached: within 1 cm and 15° at the end of 4 s. Interquartile "
        "means with 95 % bootstrap intervals; the time is that of the episodes that reach."
    )
    command = f"armctl bench --task reach --controllers {','.join(summary['given'])} --scenarios nominal,combined"
    return "\n\n".join(
        [table([*head, "limit violations", "failures"], rows), facts, source(f"{command} --out runs/reach", summary)]
    )


def her_block(summary: dict[str, Any]) -> str:
    """Success in PyBullet against environment steps, of policies trained on either backend."""
    curves, given = summary["curves"], summary["settings"]
    steps = sorted({row["steps"] for curve in curves.values() for row in curve})
    found = {backend: {row["steps"]: row["success"] for row in curve} for backend, curve in curves.items()}
    rows = [
        [f"trained on `{backend}`", *(f"{100 * at[k]:.0f}" if k in at else "" for k in steps)]
        for backend, at in found.items()
    ]
    head = ["success, %, after steps (thousands)", *(f"{k / 1000:g}" for k in steps)]
    facts = (
        f"Share of {given['episodes']} held-out episodes in PyBullet that end within {100 * given['tolerance']:g} cm "
        f"of their goal, sparse reward, one seed, {given['arms']} arms at once."
    )
    command = " && ".join(f"python experiments/her.py --backend {backend}" for backend in curves)
    return "\n\n".join([table(head, rows), facts, source(command, summary)])
