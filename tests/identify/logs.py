"""Logs of the planar arm made by the twin, and fits that tests share."""

from dataclasses import replace
from functools import lru_cache, partial

import jax
import numpy as np

from armctl.arm import Arm
from armctl.identify.excitation import excitation
from armctl.identify.log import RolloutLog
from armctl.plant import twin
from armctl.plant.observe import measure
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
LOADED = Scenario(payload_mass=0.8, payload_com=(0.04, -0.03, 0.0), viscous=0.05, coulomb=(0.1, 0.05, 0.02))


@lru_cache
def commands(control: str, seconds: float = 2.0) -> np.ndarray:
    """Open-loop commands that keep the planar arm moving within its range."""
    q, qd, qdd = excitation(CHAIN, seconds, 0.01)
    if control == "velocity":
        return qd[:-1]
    from armctl import rigid

    return rigid.inverse_dynamics(CHAIN, q, qd, qdd)[:-1]


@partial(jax.jit, static_argnums=0)
def _rollout(config, params, q, u):
    arm = Arm.from_chain(CHAIN)

    def step(state, command):
        state, _ = twin.step(arm, config, params, state, command, pulses=False)
        return state, (state.q, state.qd)

    return jax.lax.scan(step, twin.reset(arm, config, q, max_latency=2), u)[1]


@lru_cache
def twin_log(scenario: Scenario = LOADED, control: str = "torque") -> RolloutLog:
    """What the arm of a scenario does from the start of an excitation, as its sensors report it."""
    config, u, start = ServoConfig(control=control), commands(control), excitation(CHAIN, 2.0, 0.01)[0][0]
    with jax.enable_x64(True):
        q, qd = (np.asarray(x) for x in _rollout(config, plant_params(CHAIN, scenario), start, u))
    q, qd = np.concatenate([start[None], q]), np.concatenate([0 * start[None], qd])
    params, steps = plant_params(CHAIN, replace(scenario, latency=0)), np.arange(len(q), dtype=np.uint32)
    seen = measure(q, qd, params.noise, np.broadcast_to(params.seed, steps.shape), steps)
    return RolloutLog(seen.q, seen.qd, u, 0.01, control=control, joint_names=CHAIN.joint_names, truth=scenario)
