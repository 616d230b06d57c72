"""How far the twin is from PyBullet: the same torques through both, side by side."""

import jax
import numpy as np

from armctl import rigid
from armctl.arm import Arm
from armctl.plant import twin
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import Chain


def torque_parity(chain: Chain, scenario: Scenario | None = None, steps: int = 100, seed: int = 0) -> dict[str, float]:
    """Largest difference between twin (float64) and PyBullet under random torques that keep the arm inside its limits.

    chain: the arm; scenario: the true plant, nominal when None; steps: control steps of 5 physics steps of 2 ms.
    Returns max_joint_error_rad, max_joint_velocity_error_rad_s, the number of physics steps and largest motion, rad.
    """
    scenario = scenario or Scenario()
    config = ServoConfig(control="torque")
    q, qd, commands = _plant_rollout(chain, config, scenario, steps, seed)
    with jax.enable_x64(True):
        arm, params = Arm.from_chain(chain), plant_params(chain, scenario)

        def step(state, command):
            state, _ = twin.step(arm, config, params, state, command, pulses=bool(params.wrench.any()))
            return state, (state.q, state.qd)

        start = twin.reset(arm, config, chain.home, max_latency=scenario.latency)
        _, (twin_q, twin_qd) = jax.jit(lambda s, c: jax.lax.scan(step, s, c))(start, commands)
    return {
        "max_joint_error_rad": float(np.abs(np.asarray(twin_q) - q).max()),
        "max_joint_velocity_error_rad_s": float(np.abs(np.asarray(twin_qd) - qd).max()),
        "physics_steps": steps * config.substeps,
        "largest_motion_rad": float(np.abs(q - chain.home).max()),
    }


def _plant_rollout(chain, config, scenario, steps, seed):
    """Drive PyBullet by random accelerations with a pull towards home -> q, qd (K, n) and the torques given (K, n)."""
    from armctl.envs.plant import Plant

    rng, plant = np.random.default_rng(seed), Plant(chain, config)
    states, commands = [], []
    try:
        plant.reset(scenario, chain.home, np.zeros(chain.n))
        for _ in range(steps):
            wanted = rng.uniform(-20, 20, chain.n) - 2 * (plant.q - chain.home) - 0.5 * plant.qd
            tau = rigid.inverse_dynamics(chain, plant.q, plant.qd, wanted)
            commands.append(np.clip(tau, -chain.effort, chain.effort))
            plant.step(commands[-1])
            states.append((plant.q.copy(), plant.qd.copy()))
    finally:
        plant.close()
    q, qd = (np.array(x) for x in zip(*states, strict=True))
    return q, qd, np.array(commands)
