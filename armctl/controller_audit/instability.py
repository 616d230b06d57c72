"""Instability: whether disturbances die out, and how much delay, load and pushing the loop bears."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from armctl.bench import stats
from armctl.controller_audit.closed_loop import WINDOW, Run
from armctl.controller_audit.subject import LONGEST, Finding, Subject
from armctl.learn import stability
from armctl.learn.validation import WINDOWS
from armctl.plant.presets import rated_payload
from armctl.plant.scenario import Scenario
from armctl.twin.episodes import Episodes

HEAVIEST, HALVINGS = 5.0, 6
"""Largest load that is tried, times the payload range, and steps of bisection."""
KICK = 0.2
"""Joint velocity that is added to every joint, rad/s, with a sign drawn for each."""
BACK = 1e-3
"""How near to where it would have been the tip has to be again, m."""


def measure(subject: Subject, base: Run) -> Finding:
    """Contraction, margins and recovery on held-out motions on the scenario's plants."""
    parts = [_contraction(subject, base), _delay(subject), _payload(subject), _kick(subject, base)]
    return Finding(
        {name: value for part in parts for name, value in part.numbers.items()},
        [sentence for part in parts for sentence in part.sentences],
        {name: value for part in parts for name, value in part.series.items()},
    )


def delay_margin(diverged: np.ndarray) -> int:
    """The largest delay up to which no episode diverged, -1 where one did without any. diverged: (D,) counts."""
    return int(np.argmax(np.append(diverged, 1) > 0)) - 1


def bisect(
    holds: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, halvings: int = HALVINGS
) -> np.ndarray:
    """Largest values (E,) between low and high at which something holds, each by bisection, from below.

    holds: (E,) -> (E,) bool. high where it holds there; low where it holds nowhere that was tried.
    """
    low = np.where(holds(high), high, low)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        good = holds(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low


def recovery(away: np.ndarray, dt: float, within: float = BACK) -> np.ndarray:
    """Time until the tip stays within some distance, (E,) s; infinite where it does not. away: (T, E) m, each dt."""
    outside = ~(away <= within)
    last = np.where(outside.any(axis=0), len(away) - np.argmax(outside[::-1], axis=0), 0)
    return np.where(outside[-1], np.inf, last * dt)


def _contraction(subject: Subject, base: Run) -> Finding:
    """Rates of the closed loop from a quarter, half and three quarters of the time on, while motions last."""
    task, last = stability.without_dry_friction(subject.held_out), len(base.steps.error) // WINDOW - WINDOWS
    places = sorted({max(last, 0) * k // 4 for k in (1, 2, 3)})

    def forward(episodes: Episodes) -> Episodes:
        return subject.loop.window(task, episodes)[0]

    slopes = [stability.jacobians(forward, base.begun[k], WINDOWS) for k in places]
    found = [stability.rates(x, WINDOWS * WINDOW) for x in slopes]
    moving = np.stack([base.counted[min((k + WINDOWS) * WINDOW, len(base.counted)) - 1] for k in places])
    radius, growth = (np.stack(x)[moving] for x in zip(*found, strict=True))
    lost = int(np.sum(~(radius < 1)))
    numbers = {
        "contraction_median": float(np.nanmedian(radius)),
        "contraction_worst": float(np.nanmax(radius, initial=0.0)),
        "amplification_worst": float(np.nanmax(growth, initial=0.0)),
        "not_contracting": lost,
        "places": int(radius.size),
    }
    said = (
        f"What disturbs the joints dies out by a factor of {numbers['contraction_median']:.3f} per control step "
        f"(worst {numbers['contraction_worst']:.3f}) along the references; at {lost} of {radius.size} places it does "
        "not."
    )
    return Finding({"contraction": numbers}, [said], {"instability/contraction": radius})


def _delay(subject: Subject) -> Finding:
    """The same plants with a constant delay of each length."""
    runs = []
    for delay in range(LONGEST + 1):
        plants = [replace(scenario, latency=delay, latency_jitter=0) for scenario in subject.scenarios]
        runs.append(subject.loop.run(subject.task(subject.motions["test"], plants)))
    diverged = np.array([np.sum(~run.alive) for run in runs])
    rms = np.stack([run.rms_mm for run in runs])
    margin = delay_margin(diverged)
    numbers = {
        "margin_steps": margin,
        "margin_ms": 1e3 * margin * subject.config.control_dt if margin >= 0 else None,
        "diverged": diverged.tolist(),
        "iqm_mm": stats.iqm(rms).tolist(),
    }
    if margin < 0:
        said = f"Even without delay {diverged[0]} of {rms.shape[1]} episodes diverge: it has no delay margin."
    elif margin == LONGEST:
        said = f"No episode diverges with any constant delay up to {LONGEST} control steps, the longest that was tried."
    else:
        said = (
            f"No episode diverges up to a constant delay of {margin} control steps ({numbers['margin_ms']:.0f} ms); at "
            f"{margin + 1}, {diverged[margin + 1]} of {rms.shape[1]} do."
        )
    return Finding({"delay": numbers}, [said], {"instability/delay": rms})


def _payload(subject: Subject) -> Finding:
    """The heaviest load under which each episode stays on its way."""
    rated = rated_payload(subject.chain)

    def holds(factors: np.ndarray) -> np.ndarray:
        plants = [loaded(s, float(f) * rated) for s, f in zip(subject.scenarios, factors, strict=True)]
        return subject.loop.run(subject.task(subject.motions["test"], plants)).alive

    count = len(subject.scenarios)
    margin = bisect(holds, np.zeros(count), np.full(count, HEAVIEST))
    numbers = {
        "margin_times_rated": float(margin.min()),
        "median_times_rated": float(np.median(margin)),
        "rated_kg": rated,
        "resolution": HEAVIEST / 2**HALVINGS,
    }
    more = " (the most that was tried)" if margin.min() >= HEAVIEST else ""
    lost = int(np.sum(margin == 0))
    if lost:
        said = f"{lost} of {count} episodes do not even stay within 0.3 m with next to no load"
    else:
        said = f"Every episode stays within 0.3 m with loads of up to {margin.min():.2g} times the payload range{more}"
    said += f"; half of them do with {np.median(margin):.2g} times the payload range of {rated:.2g} kg."
    return Finding({"payload": numbers}, [said], {"instability/payload": margin})


def loaded(scenario: Scenario, mass: float) -> Scenario:
    """The scenario with another load, kept to the end."""
    return replace(
        scenario, payload_mass=mass, payload_switch=None, next_payload_mass=0.0, next_payload_com=(0.0, 0.0, 0.0)
    )


def kicked(subject: Subject, base: Run, size: float) -> tuple[np.ndarray, Run]:
    """Distance of the tip (T, E) m from where it would be, after a kick of so many rad/s in mid-motion; and the run."""
    at = len(base.steps.error) // WINDOW // 4
    signs = np.random.default_rng(subject.config.seed).choice([-1, 1], (len(base.alive), subject.loop.arm.n))

    def kick(episodes: Episodes) -> Episodes:
        state: Any = episodes.state
        return episodes._replace(state=state._replace(qd=state.qd + np.float32(size) * signs.astype(np.float32)))

    run = subject.loop.run(subject.held_out, begun=base.begun[at], at=at, change=kick)
    return np.linalg.norm(run.steps.tip - base.steps.tip[at * WINDOW :], axis=-1), run


def _kick(subject: Subject, base: Run) -> Finding:
    away, run = kicked(subject, base, KICK)
    time = recovery(away, subject.config.control_dt)
    back = np.isfinite(time)
    lost = int(np.sum(base.alive & ~run.alive))
    numbers = {
        "kick_rad_s": KICK,
        "median_s": float(np.median(time)) if np.isfinite(np.median(time)) else None,
        "slowest_s": float(time[back].max()) if back.any() else None,
        "not_back": int(np.sum(~back)),
        "diverged": lost,
        "furthest_mm": float(1e3 * np.median(np.max(np.nan_to_num(away), axis=0))),
    }
    took = (
        f"after {numbers['median_s']:.2f} s (median)"
        if numbers["median_s"] is not None
        else "in a minority of episodes"
    )
    said = (
        f"Kicked by {KICK:g} rad/s at every joint, which moves the tip by {numbers['furthest_mm']:.2g} mm, it is back "
        f"within {1e3 * BACK:g} mm {took}; {numbers['not_back']} of {len(time)} episodes do not come back, "
        f"{lost} diverge."
    )
    return Finding({"kick": numbers}, [said], {"instability/kick": 1e3 * away})
