"""Two episodes in PyBullet: an arm follows a moving pose, empty-handed and with a load that nobody has told it of.

The environments speak Gymnasium; `help(armctl.envs.TrackEnv)` says what every entry of action, observation and info
means. The control law is three lines of NumPy: the reference's joint velocity plus a correction.

    python experiments/examples/01_step_an_environment.py
    python experiments/examples/01_step_an_environment.py --robot ur5e --payload 3
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

import armctl


@dataclass
class Args:
    """What is stepped."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""
    payload: float = 1.0
    """Mass at the tip in the second episode, kg."""
    gain: float = 10.0
    """Joint velocity per joint error, 1/s."""
    seed: int = 0
    """Of the motion to follow."""


args = tyro.cli(Args)
env: Any = gym.make("armctl/PandaTrack-v1", robot=args.robot, control="velocity")
for payload in (0.0, args.payload):
    scenario = armctl.Scenario(payload_mass=payload, payload_com=(0.0, 0.0, 0.05))  # kg; m in the tip frame
    observation, info = env.reset(seed=args.seed, options={"scenario": scenario})
    inner, reference = env.unwrapped, env.unwrapped.reference  # inner: without Gymnasium's wrappers
    errors, rewards, truncated = [], [], False
    while not truncated:
        q, _ = inner.measure()  # rad
        k = inner.step_index
        velocity = reference.qd[k + 1] + args.gain * (reference.q[k] - q)  # rad/s
        action = np.clip(velocity / inner.action_scale, -1.0, 1.0)
        observation, reward, _, truncated, info = env.step(action.astype(np.float32))
        errors.append(1000 * info["position_error"])  # m -> mm
        rewards.append(reward)
    rms, seconds = np.sqrt(np.mean(np.square(errors))), inner.step_index * inner.dt
    print(f"{args.robot} with {payload:g} kg: {rms:.2f} mm rms and {max(errors):.2f} mm at most in {seconds:.1f} s")

p_world_tip, p_world_target = observation["achieved_goal"][:3], observation["desired_goal"][:3]
print(f"it ends at {p_world_tip.round(4)} m, the target at {p_world_target.round(4)} m, world frame")
print("the last step's reward is the sum of", {name: round(x, 4) for name, x in info["reward_terms"].items()})
env.close()
