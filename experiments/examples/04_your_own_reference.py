"""Draw a circle as tip poses in a CSV file, have it certified, and follow it with a control law of your own.

Inverse kinematics finds the joints, or says where the path leaves the workspace. The bench runs the law in PyBullet,
beside a shipped controller, on the nominal arm and with a load that neither is told of.

    python experiments/examples/04_your_own_reference.py
    python experiments/examples/04_your_own_reference.py --robot ur5e --radius 0.1
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

import armctl
from armctl import geometry, kinematics
from armctl.bench.plan import BenchConfig
from armctl.controllers import make


@dataclass
class Args:
    """Which circle."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""
    radius: float = 0.06
    """Radius, m."""


class Mine(armctl.Controller):
    """The reference's joint velocity at the end of this control step, plus a correction."""

    control = "velocity"

    def __call__(self, carry, m, w):  # m: measured joints; w: the reference now (0) and 1, 2, ... control steps ahead
        return carry, w.qd[..., 1, :] + 10.0 * (w.q[..., 0, :] - m.q)  # rad/s


args = tyro.cli(Args)
chain, arm = armctl.load_chain(args.robot), armctl.load_arm(args.robot)
s = np.linspace(0, 1, 201)
angle = 2 * np.pi * (10 * s**3 - 15 * s**4 + 6 * s**5)  # rad; at rest at both ends
pose_world = np.tile(geometry.matrix_to_pose(kinematics.forward_kinematics(arm, arm.home)), (len(s), 1))
pose_world[:, 0] += args.radius * np.sin(angle)  # m, forth and back
pose_world[:, 2] += args.radius * (np.cos(angle) - 1)  # m, down and up
with tempfile.TemporaryDirectory() as folder:
    file, columns = Path(folder, "circle.csv"), "t,x,y,z,qx,qy,qz,qw"  # s, m, unit quaternion; world frame
    np.savetxt(file, np.column_stack([3 * s, pose_world]), delimiter=",", header=columns, comments="")
    circle = armctl.load_reference(file, chain, dt=0.01)
    found = armctl.certify(circle, chain)
    verdict = "feasible" if found.valid else f"infeasible ({', '.join(found.broken)})"
    print(f"{verdict} in {found.duration:.2f} s, in {found.t_min:.2f} s at best; least margin: {found.binding}")
    laws = {"mine": Mine(arm), "diff_ik": make("diff_ik", arm)}
    plants = {"nominal": armctl.Scenario(), "1 kg": armctl.Scenario(payload_mass=1.0)}
    said = armctl.run_bench(laws, {"circles": [circle]}, plants, Path(folder, "bench"), config=BenchConfig(args.robot))
for plant, found in said["scenarios"].items():
    print(plant, *(f"{law} {block['position_rmse_mm']['iqm']:.2f} mm rms" for law, block in found.items()), sep=", ")
