"""Find out what an arm carries from its own motion: record a log in PyBullet, fit the twin to it, compare.

The fit is given measured joints and commands. Load, delay of the commands and noise of the sensors it has to find; of
your own arm, `armctl.identify.log.RolloutLog(q, qd, command, control_dt)` takes the arrays.

    python experiments/examples/07_identify_a_payload.py
    python experiments/examples/07_identify_a_payload.py --robot ur5e --payload 3 --latency 2
"""

from dataclasses import dataclass

import tyro

import armctl
from armctl.identify.fit import FitConfig, identify
from armctl.identify.record import record


@dataclass
class Args:
    """What is carried."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""
    payload: float = 1.5
    """Mass, kg."""
    centre: tuple[float, float, float] = (0.03, -0.02, 0.06)
    """Its centre in the tip frame, m."""
    latency: int = 1
    """Control steps of 10 ms from a command to its effect."""
    seconds: float = 3.0
    """Length of the motion, s."""


args = tyro.cli(Args)
chain = armctl.load_chain(args.robot)
truth = armctl.Scenario(
    payload_mass=args.payload,
    payload_com=args.centre,
    latency=args.latency,
    position_noise=1e-5,  # rad
    velocity_noise=1e-3,  # rad/s
)
log = record(chain, truth, seconds=args.seconds)
print(f"{chain.name} has moved for {args.seconds:g} s: {len(log.q)} samples of {chain.n} joints")

found = identify(chain, [log], FitConfig(groups=("payload",)))
for item, value, low, true in zip(found.items, found.values, found.interval[0], found.known(chain, truth), strict=True):
    print(f"{item.name}: {value:.6f} ± {value - low:.6f} {item.unit} (95 %), in truth {true:.6f} {item.unit}")
print(f"delay of the commands: {found.latency} control steps, in truth {truth.latency}")
noise_q, noise_qd = found.noise[: chain.n].mean(), found.noise[chain.n :].mean()
print(f"noise: {noise_q:.1e} rad and {noise_qd:.1e} rad/s, in truth {truth.position_noise} and {truth.velocity_noise}")
print(*found.warnings(), sep="\n")
