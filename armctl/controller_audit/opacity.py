"""Opacity: whether what a controller says of the plant is so, and what each of its parts is good for."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.bench import stats
from armctl.controller_audit.closed_loop import Run
from armctl.controller_audit.subject import Finding, Subject
from armctl.controllers import saved
from armctl.controllers.base import OUT_OF_DEPTH, Controller
from armctl.controllers.feedback import mixed
from armctl.controllers.tracker import Tracker
from armctl.plant.effects.dry_friction import DryFriction, DryFrictionParams
from armctl.plant.presets import rated_payload
from armctl.plant.scenario import PlantParams
from armctl.twin.episodes import Episodes

SETTLED = 0.1
"""From when on a belief is held to its word, s."""
NEAR = 0.02
"""Share of the load within which its mass counts as found."""
LIKELY = 0.05
"""Probability that the true delay has where the belief covers it."""
SPEED, ANGLES = 0.2, 181
"""Joint velocity at which learned torques are compared with the true ones, rad/s, and at how many angles."""


def measure(subject: Subject, base: Run) -> Finding:
    """Beliefs against the truth, learned torques against the true ones, and the error without each part."""
    controller = subject.loop.controller
    if base.steps.estimates is None:
        said = f"{controller.title} estimates nothing of the plant, so there is nothing to hold against the truth."
        return Finding({"estimates": False}, [said])
    parts = [_beliefs(subject, base), _torques(subject, base), _parts(subject, base)]
    return Finding(
        {"estimates": True, **{name: value for part in parts for name, value in part.numbers.items()}},
        [sentence for part in parts for sentence in part.sentences],
        {name: value for part in parts for name, value in part.series.items()},
    )


def coverage(
    estimate: np.ndarray, deviation: np.ndarray, truth: np.ndarray, counted: np.ndarray | None = None
) -> float:
    """Share of estimates, all of one shape with the truth, within two standard deviations of it.

    counted: bool, of that shape or broadcast to it; all when None. 0.95 where errors are normal and deviations right.
    """
    inside = np.abs(estimate - truth) <= 2 * deviation
    return float(np.mean(inside if counted is None else inside[np.broadcast_to(counted, inside.shape)]))


def _beliefs(subject: Subject, base: Run) -> Finding:
    told, dt, n = base.steps.estimates, subject.config.control_dt, subject.loop.arm.n
    time = dt * np.arange(1, len(base.steps.error) + 1)
    plants, count = subject.held_out.plants, len(base.alive)
    mass = _mass(subject, time)
    dry = np.broadcast_to(_moving(plants, count, n), told.dry.shape)
    viscous = np.broadcast_to(np.asarray(plants.effects.get("viscous", np.zeros((count, n)))), told.viscous.shape)
    delay = np.asarray(plants.effects["latency"].least)
    late = (time >= SETTLED)[:, None] & base.counted & base.alive
    first = int(np.argmax(time >= SETTLED - 1e-9))
    tolerance = NEAR * np.where(mass[first] > 0, mass[first], rated_payload(subject.chain))
    near = np.abs(told.payload_mass[first] - mass[first]) <= tolerance
    right = np.argmax(told.delay_probability[first], axis=-1) == delay
    weight = _probability(told.delay_probability, delay)
    miss = np.abs(told.payload_mass - mass)[late]
    numbers = {
        "mass_coverage": coverage(told.payload_mass, told.payload_mass_deviation, mass, late),
        "dry_coverage": coverage(told.dry, told.dry_deviation, dry, late[..., None]),
        "viscous_coverage": coverage(told.viscous, told.viscous_deviation, viscous, late[..., None]),
        "delay_coverage": float(np.mean(weight[late] >= LIKELY)),
        "mass_error_median_kg": float(np.median(miss)),
        "mass_found_share": float(np.mean(near)),
        "delay_found_share": float(np.mean(right)),
        "caution_median": float(np.median(told.caution[late])),
        "flagged_share": float(np.mean(told.caution[late] > OUT_OF_DEPTH)),
    }
    said = [
        f"The true load lies within two of its standard deviations in {_share(numbers['mass_coverage'])} of the time "
        f"after {SETTLED:g} s (at least 90 % is wanted), dry friction in {_share(numbers['dry_coverage'])}, viscous "
        f"friction in {_share(numbers['viscous_coverage'])}; the true delay has a probability of {_share(LIKELY)} or "
        f"more in {_share(numbers['delay_coverage'])}.",
        f"Within {SETTLED:g} s of motion it knows the load to {_share(NEAR)} in {_share(numbers['mass_found_share'])} "
        f"of the episodes and the delay in {_share(numbers['delay_found_share'])}; later its load is off by "
        f"{1e3 * numbers['mass_error_median_kg']:.3g} g (median).",
        f"It calls itself out of its depth in {_share(numbers['flagged_share'])} of the time.",
    ]
    series = {
        "opacity/time": time, "opacity/mass": told.payload_mass, "opacity/mass_deviation": told.payload_mass_deviation,
        "opacity/mass_truth": mass, "opacity/dry": told.dry, "opacity/dry_deviation": told.dry_deviation,
        "opacity/dry_truth": dry[0], "opacity/delay": told.delay_probability, "opacity/delay_truth": delay,
        "opacity/counted": base.counted,
    }  # fmt: skip
    return Finding(numbers, said, series)


def _mass(subject: Subject, time: np.ndarray) -> np.ndarray:
    """The load at every time, (T, E) kg."""
    rows = []
    for scenario in subject.scenarios:
        switch = np.inf if scenario.payload_switch is None else scenario.payload_switch
        rows.append(np.where(time > switch, scenario.next_payload_mass, scenario.payload_mass))
    return np.stack(rows, axis=1)


def _moving(plants: PlantParams, count: int, n: int) -> np.ndarray:
    rubbing = plants.effects.get("dry_friction")
    return np.zeros((count, n)) if rubbing is None else np.asarray(rubbing.moving)


def _probability(posterior: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """That of the true delay, 0 where it is none of the hypotheses. (T, E, H), (E,) -> (T, E)."""
    known = posterior.shape[-1]
    found = np.take_along_axis(posterior, np.minimum(delay, known - 1)[None, :, None], axis=-1)[..., 0]
    return np.where(delay < known, found, 0.0)


def _torques(subject: Subject, base: Run) -> Finding:
    """Learned torques, times the weights believed at the end, against what no model has, over each joint's range."""
    controller: Any = subject.loop.module(subject.loop.params)
    carry = base.after.carry
    weights = controller.filter.plant(mixed(controller.posterior(carry.evidence), carry.mean)).learned
    if not weights.shape[-1]:
        return Finding({}, ["It has no learned torques."])
    arm, plants, count = subject.loop.arm, subject.held_out.plants, len(base.alive)
    lower, upper = (np.where(np.isfinite(x), x, s * np.pi) for x, s in ((arm.lower, -1), (arm.upper, 1)))
    angle = np.linspace(lower, upper, ANGLES).astype(np.float32)
    q, qd = angle[:, None], np.full((ANGLES, 1, arm.n), SPEED, np.float32)
    features = np.asarray(controller.learned(jnp.asarray(q), jnp.asarray(qd)))
    learned = np.sum(features * np.asarray(weights), axis=-1)
    truth = unmodelled(plants, q, qd, count)
    alike = correlation(learned, truth)
    amount = np.sqrt(np.mean((learned - truth) ** 2)) / max(float(np.sqrt(np.mean(truth**2))), 1e-9)
    numbers: dict[str, Any] = {
        "torque_correlation": [float(x) for x in np.nanmedian(alike, axis=0)],
        "torque_missed": float(amount),
    }
    if not np.any(truth):
        said = f"These plants have no ripple; the learned torques are {np.sqrt(np.mean(learned**2)):.2g} N m (rms)."
    else:
        said = (
            f"Over the joints' ranges the learned torques correlate with the true ripple and Stribeck friction by "
            f"{np.nanmedian(alike):.2f} (median of joints and episodes, {min(numbers['torque_correlation']):.2f} at "
            f"the worst joint) and leave {_share(amount)} of it (rms)."
        )
    series = {"opacity/angle": angle, "opacity/learned": learned, "opacity/unmodelled": truth}
    return Finding({"torques": numbers}, [said], series)


def unmodelled(plants: PlantParams, q: np.ndarray, qd: np.ndarray, count: int) -> np.ndarray:
    """Torque (A, E, n) N m that ripple, and friction beyond Coulomb's, take from a motion at q, qd (A, 1, n)."""
    torque = np.zeros((len(q), count, q.shape[-1]))
    if "ripple" in plants.effects:
        p = plants.effects["ripple"]
        torque = torque - p.amplitude * np.sin(p.harmonic * q + p.phase)
    if "dry_friction" in plants.effects:
        p = DryFrictionParams(*(np.asarray(x) for x in plants.effects["dry_friction"]))
        torque = torque + (DryFriction.dry_friction(p, qd) - p.moving) * np.sign(qd)
    return torque


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's, over the first axis; not a number where one of them is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    size = np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2, axis=0))
    return np.where(size > 1e-12, np.sum(a * b, axis=0) / np.maximum(size, 1e-12), np.nan)


def _parts(subject: Subject, base: Run) -> Finding:
    """The same episodes without each part."""
    loop, task = subject.loop, subject.held_out
    rows: dict[str, Run] = {"whole": base}
    if isinstance(loop.controller, Tracker):
        rows["without learned torques"] = loop.run(task, params=without_torques(loop.controller))
    rows["without the filter"] = loop.run(task, params=without_walk(loop.controller), change=_certain)
    rows["without the delay bank"] = loop.run(task, params=without_bank(loop.controller))
    numbers = {
        name: {"iqm_mm": float(stats.iqm(run.rms_mm)), "diverged": int(np.sum(~run.alive))}
        for name, run in rows.items()
    }
    whole, count = numbers["whole"]["iqm_mm"], len(base.alive)
    said = []
    for name, row in numbers.items():
        if name != "whole":
            lost = f" and {row['diverged']} of {count} episodes diverge" if row["diverged"] else ""
            said.append(f"{name.capitalize()} its error is {row['iqm_mm']:.3g} mm in place of {whole:.3g} mm{lost}.")
    return Finding({"parts": numbers}, said)


def _changed(controller: Controller, change: Callable[[str, np.ndarray], np.ndarray]) -> Any:
    """Parameters with some of them changed by name."""
    arrays = {name: np.asarray(change(name, value)) for name, value in saved.parameters(controller).items()}
    return nnx.state(saved.with_parameters(nnx.clone(controller), arrays), nnx.Param)


def without_torques(controller: Controller) -> Any:
    """Parameters with which the learned torques are zero whatever the filter weighs them by."""
    return _changed(controller, lambda name, x: 0 * x if name.startswith("torques/") else x)


def without_walk(controller: Controller) -> Any:
    """Parameters with which a filter that is certain stays so."""
    return _changed(controller, lambda name, x: x - 20.0 if name == "filter/log_walk" else x)


def without_bank(controller: Controller) -> Any:
    """Parameters with which evidence for a delay counts for nothing."""
    return _changed(controller, lambda name, x: x + 30.0 if name == "bank/log_temperature" else x)


def _certain(episodes: Episodes) -> Episodes:
    """Nothing is to be learnt: no covariance."""
    return episodes._replace(carry=episodes.carry._replace(covariance=0 * episodes.carry.covariance))


def _share(x: float) -> str:
    return f"{100 * x:.0f} %"
