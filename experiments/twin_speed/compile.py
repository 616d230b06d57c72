"""Seconds until a function of armctl or frax is compiled, in a process of its own; run.py calls it twice.

    python -m experiments.twin_speed.compile --peer armctl --cache DIR     # first: cold; again: from that cache

Tracing, lowering and compiling (or loading) at a batch of 256 in single precision, and the same for the gradient of a
closed loop: 50 control steps of 5 physics steps under tau = bias + Kp (home - q) - Kd qd, with respect to Kp, Kd and
bias, of the mean squared distance of the tip from a point. JSON on stdout.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from armctl import dynamics, kinematics, twin
from armctl.arm import Arm
from armctl.chain import Chain
from armctl.plant import servo
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from experiments.twin_speed.peer import FD, FK, Peer
from experiments.twin_speed.peers import armctl_peer, frax_peer

BATCH, STEPS, ROLLOUT = 256, 50, "rollout gradient"


@dataclass
class Args:
    """What to compile and where compiled programs are kept."""

    peer: str = "armctl"
    """armctl or frax."""
    robot: str = "panda"
    """Arm by name."""
    cache: Path = Path("/nonexistent")
    """Folder of the persistent compilation cache."""


def twin_step(arm: Arm, chain: Chain) -> Callable:
    """One control step of the twin under a held torque, as in training: (q, qd, tau) -> (q, qd)."""
    config, plant = ServoConfig(control="torque"), plant_params(chain, Scenario())

    def step(q, qd, tau):
        queue, count = jnp.zeros((*q.shape[:-1], 0, arm.n), q.dtype), jnp.zeros(q.shape[:-1], jnp.uint32)
        start = twin.TwinState(q, qd, q, queue, count, jnp.zeros_like(q), jnp.zeros_like(q), {})
        state, _ = twin.step(arm, config, plant, start, tau, stops=False)
        return state.q, state.qd

    return step


def frax_step(peer: Peer, arm: Arm, chain: Chain) -> Callable:
    """The same control step with frax's forward dynamics."""
    config = ServoConfig(control="torque")
    forward = peer.functions[FD]

    def physics(state, tau):
        q, qd = state
        qd = qd + config.physics_dt * forward(q, qd, servo.saturated(tau, arm.effort))
        return (q + config.physics_dt * qd, qd), None

    return lambda q, qd, tau: jax.lax.scan(lambda s, _: physics(s, tau), (q, qd), length=config.substeps)[0]


def rollout_gradient(step: Callable, tip: Callable, home: np.ndarray) -> Callable:
    """Gradient of the closed loop's loss with respect to (Kp, Kd, bias), each (n,)."""

    def loss(gains, q, qd, target):
        def control(state, _):
            q, qd = step(*state, gains[2] + gains[0] * (home - state[0]) - gains[1] * state[1])
            return (q, qd), jnp.mean(jnp.sum((tip(q)[..., :3, 3] - target) ** 2, axis=-1))

        return jnp.mean(jax.lax.scan(control, (q, qd), length=STEPS)[1])

    return jax.grad(loss)


def timed(f: Callable, *args) -> tuple[float, Callable]:
    """Seconds until f is compiled for some arguments, and the compiled function."""
    start = time.perf_counter()
    compiled = jax.jit(f).lower(*args).compile()
    return time.perf_counter() - start, compiled


def main(args: Args) -> None:
    """Compile everything once and print the seconds."""
    jax.config.update("jax_compilation_cache_dir", str(args.cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    chain = load_chain(args.robot)
    arm = Arm.from_chain(chain)
    rng = np.random.default_rng(0)
    q = jnp.asarray(chain.home + rng.uniform(-0.3, 0.3, (BATCH, chain.n)), jnp.float32)
    start = q, 0 * q
    inertia = np.diag(dynamics.mass_matrix(arm, chain.home))  # gains in proportion to it, so that every joint is stable
    gains = jnp.asarray([25 * inertia, 10 * inertia, dynamics.gravity(arm, chain.home)], jnp.float32)
    target = kinematics.forward_kinematics(arm, chain.home)[:3, 3] + 0.1
    with tempfile.TemporaryDirectory() as folder:
        if args.peer == "armctl":
            peer = armctl_peer(chain)
            tip: Callable = partial(kinematics.forward_kinematics, arm)
            step = twin_step(arm, chain)
        else:
            peer = frax_peer(chain, Path(folder))
            pose = peer.functions[FK]
            tip = lambda q: pose(q, q, q)  # noqa: E731
            step = frax_step(peer, arm, chain)
    seconds = {name: timed(f, q, q, q)[0] for name, f in peer.functions.items()}
    seconds[ROLLOUT], run = timed(rollout_gradient(step, tip, arm.home), gains, *start, target)
    gradient = jax.block_until_ready(run(gains, *start, target))
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        jax.block_until_ready(run(gains, *start, target))
        times.append(time.perf_counter() - begin)
    found = {"seconds": seconds, "run": min(times), "gradient": np.asarray(gradient).tolist()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(tyro.cli(Args))
