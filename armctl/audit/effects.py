"""Every effect on its own, and all of them together: is the twin PyBullet's arm with it, and are its gradients?"""

from collections.abc import Callable
from typing import Any

import numpy as np

from armctl.audit.exercise import make_swing, policy
from armctl.audit.gradients import gradient_parity
from armctl.audit.rollouts import record, replay
from armctl.chain import Chain
from armctl.plant.presets import sample_scenario
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig

STEPS = 100
"""Control steps of the rollouts, 1 s."""
WINDOW = 8
"""Control steps of the audited gradient."""
STEP = 1e-7
"""Of the differences, of full scale: a joint may begin to slip within a hundred thousandth."""
ERROR_LIMIT, COSINE_LIMIT = 1e-7, 0.9999


def effect_scenarios(chain: Chain) -> dict[str, Scenario]:
    """A scenario for each effect, at a size at which it matters to the arm."""
    hundredth = tuple((0.01 * chain.effort).tolist())
    harmonics = tuple(6.0 + i % 7 for i in range(chain.n))
    return {
        "viscous friction": Scenario(viscous=tuple((0.02 * chain.effort).tolist())),
        "dry friction": Scenario(coulomb=hundredth),
        "Stribeck friction": Scenario(coulomb=hundredth, stiction=2.0, stribeck_velocity=0.05),
        "torque ripple": Scenario(ripple=hundredth, ripple_harmonic=harmonics, ripple_phase=1.0),
        "actuator lag": Scenario(actuator_lag=0.005),
        "torque constant": Scenario(actuator_strength=tuple(np.linspace(0.9, 1.1, chain.n).tolist())),
        "varying latency": Scenario(latency=1, latency_jitter=2, seed=3),
        "payload picked up": Scenario(payload_switch=0.05, next_payload_mass=0.5, next_payload_com=(0.02, 0.0, 0.05)),
        "payload dropped": Scenario(payload_mass=0.5, payload_com=(0.02, 0.0, 0.05), payload_switch=0.05),
        "push": Scenario(wrench=(3.0, -2.0, 4.0, 0.1, 0.2, -0.1), wrench_start=0.03, wrench_duration=0.1),
        "encoder": Scenario(encoder_step=1e-3, encoder_offset=2e-4),
        "everything": sample_scenario("everything", chain, np.random.default_rng(1)),
    }


def audit_effects(chain: Chain, say: Callable[[str], object] = lambda text: None) -> list[dict[str, Any]]:
    """One row per effect: error after 1 s in torque and velocity control (float64, rad), gradient against PyBullet's.

    say: told what is going on. The policy is told what the encoders say, so that they matter too; where dry friction
    acts, PyBullet's differences are of a function with kinks, and `difference_error` says how far they can be trusted.
    """
    rows = []
    for name, scenario in effect_scenarios(chain).items():
        say(f"{chain.name}: {name}")
        row: dict[str, Any] = {"arm": chain.name, "effect": name}
        for control in ("torque", "velocity"):
            config, swing = ServoConfig(control=control), make_swing(chain)
            episode = record(chain, config, scenario, policy(chain, config, swing), STEPS, q0=swing.q0)
            row[f"{control}_error_rad"] = float(np.abs(replay(chain, episode)[0] - episode.q).max())
        found = gradient_parity(chain, ServoConfig(control="torque"), WINDOW, scenario=scenario, step=STEP)
        row |= {"cosine": found["cosine"], "difference_error": found["difference_error"]}
        within = max(row["torque_error_rad"], row["velocity_error_rad"]) <= ERROR_LIMIT
        rows.append({**row, "ok": bool(within and found["cosine"] >= COSINE_LIMIT)})
    return rows
