"""The same commands through PyBullet and through the twin, for the tests that hold one to the other."""

from functools import lru_cache

import jax
import numpy as np

from armctl import rigid, twin
from armctl.envs.bullet.plant import Plant
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.quick import users_jit
from tests.robots import plain_arm

STRESS = Scenario(
    payload_mass=0.8,
    payload_com=(0.02, -0.03, 0.05),
    viscous=0.02,
    coulomb=0.02,
    inertia_scale=1.05,
    actuator_strength=0.97,
    latency=2,
    gravity_tilt=0.02,
    wrench=(3.0, -2.0, 4.0, 0.1, 0.2, -0.1),
    wrench_start=0.1,
    wrench_duration=0.15,
)


def params_as_of_stress(chain, scenario):
    """A scenario's plant with zeros, which do nothing, in place of what STRESS has besides: all share one program."""
    both = stack_params([plant_params(chain, scenario), plant_params(chain, STRESS)])
    return jax.tree.map(lambda x: x[0], both)


@lru_cache
def runner(control, compiled):
    """Compiled rollouts of one control mode, shared by all arms of as many joints and by all scenarios."""
    config = ServoConfig(control=control)

    def run(arm, params, q, commands):
        def step(state, command):
            state, info = twin.step(arm, config, params, state, command)
            return state, {"q": state.q, "qd": state.qd, "limit": info.limit, "saturation": info.saturation}

        return jax.lax.scan(step, twin.reset(arm, config, q, params=params), commands)[1]

    return compiled(run)


def twin_rollout(robot, control, scenario, commands, dtype=np.float64):
    """What the twin does from home under commands (K, m): q, qd (K, n), limit, saturation (K,)."""
    chain = load_chain(robot)
    params = params_as_of_stress(chain, scenario)
    compiled = jax.jit if dtype == np.float64 else users_jit  # in single precision, rounding is the law
    said = runner(control, compiled)(plain_arm(robot), params, chain.home.astype(dtype), commands.astype(dtype))
    return {name: np.asarray(x) for name, x in said.items()}


def plant_rollout(robot, control, scenario, policy, steps=100, q0=None):
    """Drive the PyBullet plant from q0 or home by policy(k, q, qd) -> states q, qd (K, n) and the commands (K, m)."""
    chain = load_chain(robot)
    plant = Plant(chain, ServoConfig(control=control))
    plant.reset(scenario, chain.home if q0 is None else q0, np.zeros(chain.n))
    said = {"q": [], "qd": [], "saturation": []}
    commands = []
    for k in range(steps):
        commands.append(policy(k, plant.q, plant.qd))
        plant.step(commands[-1])
        for name, values in said.items():
            values.append(np.copy(getattr(plant, name)))
    plant.close()
    return {name: np.array(values) for name, values in said.items()}, np.array(commands)


def random_torque(chain, stiffness=8.0):
    """Random bounded torques that keep the arm inside its limits: random accelerations with a pull towards home."""
    rng = np.random.default_rng(0)

    def policy(k, q, qd):
        wanted = rng.uniform(-6, 6, chain.n) - stiffness * (q - chain.home) - 0.7 * stiffness**0.5 * qd
        tau = rigid.inverse_dynamics(chain, q, qd, wanted)
        return np.clip(tau, -chain.effort, chain.effort)

    return policy
