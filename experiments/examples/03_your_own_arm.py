"""Load an arm from a URDF, read what was assumed about it, and hold its twin against PyBullet under random commands.

python experiments/examples/03_your_own_arm.py
python experiments/examples/03_your_own_arm.py --urdf my_arm.urdf  # yours: any serial chain of moving joints
armctl doctor --twin --robot my_arm.urdf  # goes on: every control mode, gradients, growth of perturbations, a verdict
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import numpy as np
import tyro

import armctl
from armctl import twin
from armctl.plant.scenario import plant_params

LAMP = """<robot name="lamp"><link name="base"/><link name="bulb"/>
  <link name="leg"><inertial><origin xyz="0 0 0.2"/><mass value="2"/>
    <inertia ixx="0.03" iyy="0.03" izz="0.003" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="arm"><inertial><origin xyz="0 0 0.15"/><mass value="1"/>
    <inertia ixx="0.01" iyy="0.01" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="roll" type="continuous"><parent link="base"/><child link="leg"/><limit velocity="2" effort="30"/></joint>
  <joint name="bend" type="revolute"><parent link="leg"/><child link="arm"/><origin xyz="0 0 0.4"/>
    <axis xyz="0 1 0"/><limit lower="-2" upper="2" velocity="2" effort="30"/></joint>
  <joint name="socket" type="fixed"><parent link="arm"/><child link="bulb"/><origin xyz="0 0 0.3"/></joint>
</robot>"""


@dataclass
class Args:
    """Which arm."""

    urdf: Path | None = None
    """Your own file; the lamp above if absent."""
    tip: str | None = None
    """Link that is tracked; the end of the longest chain if absent."""


args = tyro.cli(Args)
with tempfile.TemporaryDirectory() as folder:
    lamp = Path(folder, "lamp.urdf")
    lamp.write_text(LAMP)
    chain = armctl.load_chain(args.urdf or lamp, args.tip)
    env: Any = gym.make("armctl/PandaReach-v1", robot=args.urdf or lamp, tip=args.tip, control="velocity")
print(f"{chain.name}: {chain.n} joints from {chain.base} to {chain.tip}", *chain.notes, sep="\n")
env.reset(seed=0)
arm, config, plant = armctl.Arm.from_chain(chain), env.unwrapped.config, plant_params(chain, armctl.Scenario())
with jax.enable_x64(True):  # double precision, as PyBullet
    step = jax.jit(lambda state, velocity: twin.step(arm, config, plant, state, velocity)[0])
    state = twin.reset(arm, config, chain.home)
    for action in np.random.default_rng(3).uniform(-0.5, 0.5, (4, chain.n)).repeat(25, axis=0):
        env.step(action)
        state = step(state, action * env.unwrapped.action_scale)  # rad/s, held for 10 ms
q, q_twin = env.unwrapped.state()[0], np.asarray(state.q)
print(f"PyBullet's joints are at {q.round(3)} rad after 1 s, the twin's {np.abs(q_twin - q).max():.0e} rad from there")
