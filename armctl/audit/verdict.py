"""The audit of a twin: is it PyBullet's arm, are its gradients PyBullet's, and how far may one roll it out?"""

from collections.abc import Callable
from typing import Any

import numpy as np

from armctl.audit.exercise import make_swing, policy
from armctl.audit.gradients import gradient_parity, growth
from armctl.audit.raw_file import raw_differences
from armctl.audit.rollouts import record, replay, state_parity
from armctl.chain import Chain
from armctl.plant.scenario import Scenario
from armctl.plant.servo import CONTROLS, ServoConfig

SECONDS = (0.1, 1.0, 5.0)
DRIVES = (*((control, "servo") for control in CONTROLS), ("velocity", "bullet"), ("position", "bullet"))
GRADED = ("torque", "velocity")
"""Control modes of which gradients and growth are audited."""
WINDOW = 20
"""Control steps of the audited gradient."""
STATE_LIMIT, COSINE_LIMIT = 1e-9, 0.9999
ERROR_LIMIT = {"float64": 1e-7, "float32": 1e-4}
"""Largest joint error to PyBullet, rad, where a rollout does not amplify rounding beyond it."""
ROUNDING = {"float64": 2.0**-53, "float32": 2.0**-24}

STAGES = 1 + len(DRIVES) + len(GRADED)
"""How often an audit says what begins."""
Say = Callable[[str], object]


def audit_twin(chain: Chain, say: Say = lambda text: None) -> dict[str, Any]:
    """Compare the twin of an arm with PyBullet in every respect that training through it relies on.

    say: told what begins, STAGES times -> plain JSON: robot, source, ok (whether everything is as it should be),
    verdict (sentences), notes (how the file was read), pybullet_reads_differently (sentences), states, rollouts,
    gradients (lists of rows) and growth (control mode -> {seconds: factor}).
    """
    say(f"kinematics, dynamics and one step of {chain.name} at random states")
    states = state_parity(chain)
    rollouts, factors = [], {}
    for control, motor in DRIVES:
        say(f"rollout of {SECONDS[-1]:g} s in {control} control, {motor} motors")
        rows, grown = _rollouts(chain, control, motor)
        rollouts += rows
        if grown:
            factors[control] = grown
    gradients = []
    for control in GRADED:
        say(f"gradient over {WINDOW} steps of {control} control, by differences of PyBullet")
        row = gradient_parity(chain, ServoConfig(control=control), WINDOW)
        gradients.append({"control": control, **row, "ok": row["cosine"] >= COSINE_LIMIT})
    found = {"states": states, "rollouts": rollouts, "gradients": gradients, "growth": factors}
    ok = max(states.values()) < STATE_LIMIT and all(row["ok"] for row in rollouts + gradients)
    return {
        "robot": chain.name,
        "source": chain.source,
        "ok": bool(ok),
        "verdict": verdict(found),
        "notes": list(chain.notes),
        "pybullet_reads_differently": raw_differences(chain),
        **found,
    }


def _rollouts(chain: Chain, control: str, motor: str) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Rows of one control mode, one per duration, and how perturbations grow in it (GRADED modes only)."""
    config, swing = ServoConfig(control=control), make_swing(chain)
    steps = round(SECONDS[-1] / config.control_dt)
    episode = record(chain, config, Scenario(), policy(chain, config, swing), steps, q0=swing.q0, motor=motor)
    finite = bool(np.isfinite(episode.q).all())
    grown = growth(chain, episode) if finite and motor == "servo" and control in GRADED else {}
    errors = {}
    for dtype in (np.float64, np.float32):
        q, _ = replay(chain, episode, dtype)
        errors[dtype.__name__] = np.maximum.accumulate(np.abs(q - episode.q).max(axis=1))
    rows = []
    for seconds in SECONDS:
        last = round(seconds / config.control_dt)
        row: dict[str, Any] = {"control": control, "motor": motor, "seconds": seconds}
        row["limits_reached"] = bool(np.any((episode.q < chain.lower) | (episode.q > chain.upper), axis=1)[:last].any())
        row["finite"] = bool(np.isfinite(episode.q[:last]).all())
        row["growth"] = grown.get(last)
        for name, error in errors.items():
            row[f"error_{name}_rad"] = float(error[last - 1])
        row["ok"] = all(row[f"error_{name}_rad"] <= allowed(row, name) for name in errors)
        rows.append(row)
    return rows, {f"{k * config.control_dt:g}": factor for k, factor in grown.items()}


def allowed(row: dict[str, Any], precision: str) -> float:
    """Joint error, rad, that a rollout may have: the limit, or one rounding of the state grown as the rollout grows."""
    return max(ERROR_LIMIT[precision], ROUNDING[precision] * (row["growth"] or 1.0))


def verdict(found: dict[str, Any]) -> list[str]:
    """What the figures mean, in sentences."""
    return [_on_states(found["states"]), *_on_rollouts(found), _on_gradients(found["gradients"]), *_on_growth(found)]


def _on_states(states: dict[str, float]) -> str:
    name, worst = max(states.items(), key=lambda item: item[1])
    if worst < STATE_LIMIT:
        return (
            f"Kinematics, dynamics and the physics step are PyBullet's to rounding error (worst: {name}, {worst:.1e})."
        )
    return f"{name} differs from PyBullet by {worst:.1e}: this twin is another arm; do not train through it."


def _on_rollouts(found: dict[str, Any]) -> list[str]:
    rows = found["rollouts"]
    second = [row for row in rows if row["seconds"] == 1.0 and row["finite"]]
    if not second:
        return ["No rollout stayed finite for 1 s."]
    double, single = (max(row[f"error_{name}_rad"] for row in second) for name in ("float64", "float32"))
    said = [
        f"After 1 s the joints are within {double:.1e} rad of PyBullet in every control mode (float32: {single:.1e})."
    ]
    for row in rows:
        where = f"After {row['seconds']:g} s of {row['control']} control ({row['motor']} motors)"
        if not row["finite"]:
            said.append(f"{where} PyBullet's own arm has left all bounds: its links are too light for such a step.")
            continue
        for name in ERROR_LIMIT:
            error = row[f"error_{name}_rad"]
            if not error <= allowed(row, name):
                said.append(
                    f"{where} the {name} twin is {error:.1e} rad off PyBullet, which rounding does not explain."
                )
            elif error > ERROR_LIMIT[name] and name == "float64":
                said.append(
                    f"{where} it is {error:.1e} rad off: open loop this motion amplifies any difference "
                    f"{row['growth']:.0e}-fold, so that the last bit of a number explains it."
                )
    return said


def _on_gradients(rows: list[dict[str, Any]]) -> str:
    worst = min(rows, key=lambda row: row["cosine"])
    error = max(row["relative_error"] for row in rows)
    if worst["ok"]:
        return (
            f"jax.grad through {WINDOW} control steps is PyBullet's own gradient: cosine {worst['cosine']:.7f} with "
            f"its finite differences, relative error at most {error:.1e}."
        )
    return (
        f"jax.grad in {worst['control']} control disagrees with finite differences of PyBullet (cosine "
        f"{worst['cosine']:.4f}); the differences themselves are good to {worst['difference_error']:.1e}."
    )


def _on_growth(found: dict[str, Any]) -> list[str]:
    said = []
    for control, factors in found["growth"].items():
        second = factors["1"]
        if second < 2:
            said.append(f"In {control} control a perturbation of the joints does not grow: windows may be long.")
            continue
        time = 1 / np.log(second)
        said.append(
            f"Under held commands in {control} control a perturbation grows {second:.1e}-fold in 1 s, e-fold every "
            f"{1e3 * time:.0f} ms: beyond windows of about {5 * time:.1f} s gradients say more about that than about "
            "the controller, unless it closes the loop."
        )
    return said
