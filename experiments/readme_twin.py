"""The result tables on the twin, and how all of them are written."""

from typing import Any

from armctl import store


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
    lines = [
        table(["function", *peers], rows),
        " ".join(facts),
        source("python -m experiments.twin_speed.run", summary),
    ]
    return "\n\n".join(lines)


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


def effects_block(summary: dict[str, Any]) -> str:
    """How far the twin is from PyBullet under every effect: the worst over the shipped arms, of twin_audit.py."""
    rows = []
    for effect in dict.fromkeys(row["effect"] for row in summary["effects"]):
        found = [row for row in summary["effects"] if row["effect"] == effect]
        errors = (max(row[f"{control}_error_rad"] for row in found) for control in ("torque", "velocity"))
        cosine = min(row["cosine"] for row in found)
        rows.append([effect, *(f"{error:.0e}" for error in errors), f"{min(cosine, 1.0):.9f}"])
    head = ["effect", "torque control", "velocity control", "cosine of the gradient"]
    facts = (
        "Largest joint error to PyBullet after 1 s, rad, in float64, and smallest cosine between `jax.grad` and finite "
        "differences of PyBullet, over the six shipped arms."
    )
    return "\n\n".join([table(head, rows), facts, source("python experiments/twin_audit.py", summary)])


def effect_cost_block(summary: dict[str, Any]) -> str:
    """What every effect costs in twin and plant."""
    rows = [
        [
            row["effect"],
            f"{row['twin_compile_s']:.1f} s",
            f"{row['twin_us']:.1f}",
            f"{row['twin_ratio']:.2f}",
            f"{row['bullet_us']:.0f}",
            f"{row['bullet_ratio']:.2f}",
        ]
        for row in summary["rows"]
    ]
    head = ["effect", "twin, compile", "twin, µs", "× none", "PyBullet, µs", "× none"]
    facts = (
        "Per control step of five physics steps in torque control: in the twin with its gradient, per arm of a batch; "
        "medians of turns within one run. Each is compiled by itself: what is off is not in the program."
    )
    return "\n\n".join([table(head, rows), facts, source("python experiments/effect_cost.py", summary)])


def scenarios_block(summary: dict[str, Any]) -> str:
    """What became of random scenarios."""
    names = ("scenarios", "unbounded", "at_the_cap", "within_1e-7_rad", "amplified_rounding", "disagree")
    rows = [
        [f"{row['arm']}, {row['control']}", *(f"{row[name]:,}" for name in names), f"{row['median_error_rad']:.0e}"]
        for row in summary["rows"]
    ]
    total = [sum(row[name] for row in summary["rows"]) for name in names]
    rows.append(["all", *(f"{count:,}" for count in total), ""])
    head = ["arm, control", *(name.replace("_", " ") for name in names), "median, rad"]
    facts = (
        "Every field off or, as often, log-uniform over its whole range; 0.2 s under random commands. At the cap: a "
        "joint reached 100 rad/s. Amplified rounding: twin and PyBullet are more than 1e-7 rad apart, but no more than "
        "1000 times what a nudge of 1e-13 rad at the start makes of the same rollout."
    )
    return "\n\n".join([table(head, rows), facts, source("python experiments/scenarios.py", summary)])
