"""Logs of the planar arm made by the twin, and fits that tests share."""

from functools import lru_cache, partial

import jax
import numpy as np

from armctl import dynamics, twin
from armctl.arm import Arm
from armctl.identify.excitation import excitation
from armctl.identify.log import RolloutLog
from armctl.plant.effects.acting import Acting
from armctl.plant.observe import Measurement
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
LOADED = Scenario(payload_mass=0.8, payload_com=(0.04, -0.03, 0.0), viscous=0.05, coulomb=(0.1, 0.05, 0.02))


@partial(jax.jit, static_argnums=0)
def _rollout(config, params, motion):
    """The arm follows a motion by computed torque, or is told its velocities -> commands, q, qd (K, n)."""
    arm = Arm.from_chain(CHAIN)

    def step(state, wanted):
        q, qd, qdd = wanted
        pull = qdd + 300 * (q - state.q) + 25 * (qd - state.qd)
        command = qd if config.control == "velocity" else dynamics.inverse_dynamics(arm, state.q, state.qd, pull)
        state, _ = twin.step(arm, config, params, state, command, stops=False)
        return state, (command, state.q, state.qd)

    start = twin.reset(arm, config, motion[0][0], params=params)
    return jax.lax.scan(step, start, tuple(x[:-1] for x in motion))[1]


@lru_cache
def twin_log(scenario: Scenario = LOADED, control: str = "torque") -> RolloutLog:
    """What the arm of a scenario does along an excitation, as its sensors report it."""
    motion, config = excitation(CHAIN, 2.0, 0.01), ServoConfig(control=control)
    with jax.enable_x64(True):
        u, q, qd = (np.asarray(x) for x in _rollout(config, plant_params(CHAIN, scenario), motion))
    q, qd = np.concatenate([motion[0][:1], q]), np.concatenate([np.zeros((1, CHAIN.n)), qd])
    params, steps = plant_params(CHAIN, scenario), np.arange(len(q), dtype=np.uint32)
    seeds = np.broadcast_to(params.seed, steps.shape)
    seen = Acting(params.effects).measured(Measurement(q, qd), seeds, steps)
    return RolloutLog(seen.q, seen.qd, u, 0.01, control=control, joint_names=CHAIN.joint_names, truth=scenario)
