"""The audit of a twin as text for people."""

from typing import Any

from armctl.commands.console import table


def text(found: dict[str, Any]) -> str:
    """Tables of the findings of `armctl.audit.verdict.audit_twin`, oddities and the verdict."""
    parts = [f"{found['robot']}  ({found['source']})", *_oddities(found)]
    parts += [table([{"check": name, "largest difference": value} for name, value in found["states"].items()])]
    parts += [table([_rollout(row) for row in found["rollouts"]])]
    parts += [table([_gradient(row) for row in found["gradients"]])]
    parts += ["growth of a perturbation over time, s\n" + table(_growth(found["growth"]))]
    verdict = "\n".join(f"* {sentence}" for sentence in found["verdict"])
    end = "The twin is PyBullet's arm." if found["ok"] else "The twin is NOT PyBullet's arm: see the rows marked WRONG."
    return "\n\n".join([*parts, f"{verdict}\n{end}"])


def _oddities(found: dict[str, Any]) -> list[str]:
    said = [*found["notes"], *found["pybullet_reads_differently"]]
    return ["how the file was read\n" + "\n".join(f"* {sentence}" for sentence in said)] if said else []


def _rollout(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "rollout": f"{row['control']} ({row['motor']})",
        "seconds": row["seconds"],
        "error rad": row["error_float64_rad"],
        "float32": row["error_float32_rad"],
        "limits": "reached" if row["limits_reached"] else "-",
        "result": "ok" if row["ok"] else "WRONG",
    }


def _gradient(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "gradient": row["control"],
        "cosine": f"{row['cosine']:.9f}",
        "relative error": row["relative_error"],
        "of the differences": row["difference_error"],
        "result": "ok" if row["ok"] else "WRONG",
    }


def _growth(growth: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    return [{"control": control, **{f"{t}": f"{x:.3g}" for t, x in row.items()}} for control, row in growth.items()]
