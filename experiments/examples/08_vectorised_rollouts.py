"""A thousand arms in one JAX program and a few PyBullet processes: one interface, one control law, alike in accuracy.

All follow the same circle, and each carries a load of its own that the law is not told of.

    python experiments/examples/08_vectorised_rollouts.py
    python experiments/examples/08_vectorised_rollouts.py --robot iiwa14 --twins 4096 --processes 4
"""

import time
from dataclasses import dataclass

import numpy as np
import tyro

import armctl
from armctl.motion.shapes import make_shape


@dataclass
class Args:
    """How many arms."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""
    twins: int = 1024
    """Arms of the twin, in this process."""
    processes: int = 2
    """Arms in PyBullet, each in a process of its own where there are as many cores."""
    gain: float = 10.0
    """Joint velocity per joint error, 1/s."""


def roll(args: Args, backend: str, count: int) -> None:
    """Let `count` arms draw the circle and print how well and how fast."""
    chain = armctl.load_chain(args.robot)
    circle = make_shape("circle", chain, dt=0.01)
    settings = {"robot": args.robot, "control": "velocity", "reference": circle, "scenario": "payload_ideal"}
    env = armctl.make_vec("armctl/PandaTrack-v1", count, backend=backend, **settings)
    observation, _ = env.reset(seed=0)  # compiles the twin
    errors, began = [], time.perf_counter()
    for k in range(len(circle.q) - 1):
        q = observation["observation"][:, : chain.n]  # (count, n) rad, as measured
        velocity = circle.qd[k + 1] + args.gain * (circle.q[k] - q)  # rad/s
        action = np.clip(velocity / chain.velocity, -1.0, 1.0).astype(np.float32)
        observation, _, _, _, info = env.step(action)
        errors.append(1000 * info["position_error"])  # (count,) mm
    rate = count * len(errors) / (time.perf_counter() - began)
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    print(f"{backend}: {count} arms, {rate:,.0f} control steps/s, ", end="")
    print(f"errors from {rms.min():.1f} to {rms.max():.1f} mm rms, in the median {np.median(rms):.1f} mm")
    env.close()


if __name__ == "__main__":  # the processes of PyBullet import this file
    arguments = tyro.cli(Args)
    roll(arguments, "twin", arguments.twins)
    roll(arguments, "bullet", arguments.processes)
