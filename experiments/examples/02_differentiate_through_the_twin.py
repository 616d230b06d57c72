"""Find the torques of a whole motion with derivatives through the plant, then play them to PyBullet: the same end.

A loaded arm has to come to rest in another posture after 0.3 s. Newton's method asks jax.jacrev how the end of the
motion depends on every torque before it, through all physics steps of the twin, and takes a handful of steps.

    python experiments/examples/02_differentiate_through_the_twin.py
    python experiments/examples/02_differentiate_through_the_twin.py --robot ur5e
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import tyro

import armctl
from armctl import dynamics, twin
from armctl.plant.scenario import plant_params
from armctl.plant.servo import ServoConfig


@dataclass
class Args:
    """What moves."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""


args = tyro.cli(Args)
arm, load = armctl.load_arm(args.robot), armctl.Scenario(payload_mass=1.0)
plant, servo = plant_params(armctl.load_chain(args.robot), load), ServoConfig(control="torque")
loaded = arm.with_params(plant.mass, plant.first_moment, plant.inertia)
hold = dynamics.gravity(loaded, arm.home)  # (n,) N m
M = dynamics.mass_matrix(loaded, arm.home)  # (n, n) kg m^2
q_goal = arm.home + 0.1  # rad


def miss(x):
    """What is left of rest at the goal, (2n,) rad and rad/s. x: (30, n) accelerations, rad/s^2, that become torques."""
    start = twin.reset(arm, servo, arm.home)
    end, _ = jax.lax.scan(lambda s, tau: twin.step(arm, servo, plant, s, tau, stops=False), start, hold + x @ M)
    return jnp.concatenate([end.q - q_goal, end.qd])


newton = jax.jit(lambda x: (miss(x), jnp.linalg.pinv(jax.jacrev(miss)(x).reshape(2 * arm.n, -1))))
x = jnp.zeros((30, arm.n))
for k in range(6):
    error, inverse = newton(x)
    print(f"twin after {k} Newton steps: {jnp.abs(error[: arm.n]).max():.1e} rad from the goal")
    x = x - (inverse @ error).reshape(x.shape)
env: Any = gym.make("armctl/PandaReach-v1", robot=args.robot, control="torque", scenario=load)
env.reset(seed=0)
for tau in np.asarray(hold + x @ M):  # N m, each held for 10 ms
    env.step(tau / env.unwrapped.action_scale)
q, qd = env.unwrapped.state()
print(f"PyBullet under these torques: {np.abs(q - q_goal).max():.1e} rad from it, at {np.abs(qd).max():.1e} rad/s")
