"""An effect of your own, written once for PyBullet and for the twin: springs that pull the joints to their home.

A torque turns the first joint for 0.3 s. Plant and twin agree where it ends, and how that depends on the stiffness.

    python experiments/examples/09_your_own_effect.py
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import jax
import numpy as np
import tyro

import armctl
from armctl import rigid, twin


@dataclass(frozen=True)
class Spring(armctl.Effect, name="spring"):
    """tau = tau_commanded - k (q - home), joint by joint; known to plants and twins as soon as the class is defined."""

    stiffness: float  # N m/rad

    def prepare(self, chain):
        """Stiffness and rest position, (n,) each: batched, differentiated; all zero must mean no spring."""
        return np.full(chain.n, self.stiffness), chain.home.copy()

    @staticmethod
    def torque(p, memory, tau, q, qd, time, dt):
        """At every physics step, on NumPy arrays in PyBullet's plant and on JAX arrays in the twin."""
        return tau - p[0] * (q - p[1]), memory


def main(robot: str = "panda", stiffness: float = 20.0) -> None:
    """robot: arm by name, or path of a URDF; stiffness: of the springs, N m/rad."""
    env: Any = gym.make("armctl/PandaReach-v1", robot=robot, control="torque").unwrapped
    chain, push = env.chain, rigid.gravity(env.chain, env.chain.home)
    push[0] += 0.05 * chain.effort[0]

    def in_pybullet(k):
        env.reset(seed=0, options={"scenario": armctl.Scenario(effects=(Spring(k),))})
        return [env.step(push / env.action_scale) for _ in range(30)] and env.state()[0][0] - chain.home[0]

    def in_twin(k, arm, plant):
        plant = plant._replace(effects={"spring": (k + 0 * arm.home, arm.home)})
        start = twin.reset(arm, env.config, arm.home, params=plant)
        end, _ = jax.lax.scan(lambda s, _: twin.step(arm, env.config, plant, s, push), start, length=30)
        return end.q[0] - arm.home[0]

    h, said = 1e-4 * stiffness, "{:.6f} rad, changing by {:.4e} rad per N m/rad".format
    by_differences = (in_pybullet(stiffness + h) - in_pybullet(stiffness - h)) / (2 * h)
    print("PyBullet:", said(in_pybullet(stiffness), by_differences), f"({in_pybullet(0.0):.6f} rad without springs)")
    with jax.enable_x64(True):
        nominal = armctl.load_arm(robot), armctl.plant_params(chain, armctl.Scenario())
        print("twin:    ", said(*jax.value_and_grad(in_twin)(stiffness, *nominal)))


tyro.cli(main)
