"""The audit of `armctl doctor --twin` on every shipped arm and on arms that PyBullet's own data package ships.

And of every effect by itself, and all of them together, on every shipped arm.

python experiments/twin_audit.py     # prints two tables, writes runs/twin_audit/summary.json and growth.png
"""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from armctl import store
from armctl.audit.effects import audit_effects
from armctl.audit.verdict import audit_twin
from armctl.commands.console import say, table
from armctl.urdf import load_chain, robots

FOREIGN = {
    "pybullet_data Panda": "franka_panda/panda.urdf",
    "pybullet_data iiwa": "kuka_iiwa/model.urdf",
    "pybullet_data xArm 6": "xarm/xarm6_robot.urdf",
    "pybullet_data two joints": "TwoJointRobot_w_fixedJoints.urdf",
}


@dataclass
class Args:
    """Where to write."""

    out: Path = Path("runs/twin_audit")
    """Folder of summary.json and growth.png."""


def arms() -> dict[str, str]:
    """Name -> arm or path of everything that is audited."""
    import pybullet_data

    root = pybullet_data.getDataPath()
    return {**{name: name for name in robots()}, **{name: f"{root}/{path}" for name, path in FOREIGN.items()}}


def worst(found: dict[str, Any], figure: str, modes: tuple[str, ...] | None = None, motor: str | None = None) -> float:
    """Largest figure after 1 s among the rollouts of some control modes and motors, all of them when None."""
    rows = [row for row in found["rollouts"] if row["seconds"] == 1.0]
    return max(
        row[figure]
        for row in rows
        if (modes is None or row["control"] in modes) and (motor is None or row["motor"] == motor)
    )


def row(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """One arm's line of the table."""
    servo = ("velocity", "position", "ee_twist")
    return {
        "arm": name,
        "functions": max(found["states"].values()),
        "torque_rad": worst(found, "error_float64_rad", ("torque",)),
        "servo_rad": worst(found, "error_float64_rad", servo, "servo"),
        "bullet_rad": worst(found, "error_float64_rad", None, "bullet"),
        "servo_float32_rad": worst(found, "error_float32_rad", servo),
        "torque_float32_rad": worst(found, "error_float32_rad", ("torque",)),
        "growth": found["growth"]["torque"]["1"],
        "cosine": min(gradient["cosine"] for gradient in found["gradients"]),
        "gradient_error": max(gradient["relative_error"] for gradient in found["gradients"]),
        "oddities": len(found["pybullet_reads_differently"]),
        "ok": found["ok"],
    }


def worst_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst figures of every effect over the arms."""
    return [
        {
            "effect": effect,
            "torque_rad": max(row["torque_error_rad"] for row in rows if row["effect"] == effect),
            "velocity_rad": max(row["velocity_error_rad"] for row in rows if row["effect"] == effect),
            "cosine": min(row["cosine"] for row in rows if row["effect"] == effect),
            "ok": all(row["ok"] for row in rows if row["effect"] == effect),
        }
        for effect in dict.fromkeys(row["effect"] for row in rows)
    ]


def draw(audits: dict[str, dict[str, Any]], path: Path) -> None:
    """Growth of a perturbation over time under held torques, one line per arm."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from armctl.plot_style import GRID, INK, MUTED, SERIES

    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    for colour, (name, found) in zip(SERIES, audits.items(), strict=False):
        points = [(float(t), x) for t, x in found["growth"]["torque"].items() if float(t) <= 2]
        line = "o--" if name in FOREIGN else "o-"
        axes.loglog(*zip(*points, strict=True), line, color=colour, ms=4, lw=1.6, label=name)
    axes.set_title("Growth of a perturbation under held torques", loc="left", color=INK, fontweight="bold")
    axes.set_xlabel("time, s", color=MUTED)
    axes.set_ylabel("factor", color=MUTED)
    axes.grid(color=GRID, lw=0.8)
    axes.tick_params(colors=MUTED, which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(args: Args) -> None:
    """Audit, print, save and draw."""
    warnings.simplefilter("ignore")  # what the reader repaired stands in the notes of each audit
    audits = {name: audit_twin(load_chain(arm), say) for name, arm in arms().items()}
    rows = [row(name, found) for name, found in audits.items()]
    print(table(rows))
    for name, found in audits.items():
        for sentence in (*found["notes"], *found["pybullet_reads_differently"]):
            print(f"{name}: {sentence}")
    args.out.mkdir(parents=True, exist_ok=True)
    effects = [found for name in robots() for found in audit_effects(load_chain(name), say)]
    print(table(worst_of_each(effects)))
    for found in audits.values():
        found["source"] = Path(found["source"]).name
    summary = {
        "rows": rows,
        "audits": audits,
        "effects": effects,
        "machine": store.machine(),
        "versions": store.versions(),
    }
    store.write_json(args.out / "summary.json", summary)
    draw(audits, args.out / "growth.png")
    sys.exit(0 if all(found["ok"] for found in (*audits.values(), *effects)) else 1)


if __name__ == "__main__":
    main(tyro.cli(Args))
