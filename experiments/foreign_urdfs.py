"""Every URDF under a folder: read, with tip and joints, and compared with pinocchio, or refused, with the sentence.

python experiments/foreign_urdfs.py FOLDER     # default: the folder of pybullet_data; prints a table

The file itself goes to pinocchio, its joints off the arm locked where the arm holds them. Deviations are relative to
the largest entry; where the reader repaired an inertia they show how much it changed.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pinocchio as pin
import pybullet_data
import tyro

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.commands.console import table
from armctl.errors import UsageError
from armctl.urdf import read_urdf
from armctl.urdf.bodies import held_position
from armctl.urdf.parse import parse_urdf

STATES = 5


@dataclass
class Args:
    """Where to look."""

    folder: tyro.conf.Positional[Path] = Path(pybullet_data.getDataPath())
    """Folder that is searched for .urdf files."""


def locked(chain: Chain) -> pin.Model:
    """The arm's own file in pinocchio without the joints off the arm."""
    model, tree = pin.buildModelFromUrdf(chain.source), parse_urdf(Path(chain.source))
    joints = {joint.name: joint for joint in tree.above.values()}
    home = dict(zip(chain.joint_names, chain.home.tolist(), strict=True))
    at = pin.neutral(model)
    off = [name for name in model.names[1:] if name not in chain.joint_names]
    for name in off:
        joint, held = model.joints[model.getJointId(name)], held_position(joints[name], joints, home)
        at[joint.idx_q : joint.idx_q + joint.nq] = held if joint.nq == 1 else (np.cos(held), np.sin(held))
    return pin.buildReducedModel(model, [model.getJointId(name) for name in off], at)


def deviation(chain: Chain) -> float:
    """Largest relative deviation of mass matrix, gravity torque and tip position over random configurations."""
    model = locked(chain)
    data, found = model.createData(), 0.0
    tip = model.getFrameId(chain.tip, pin.FrameType.BODY)
    for q in np.random.default_rng(0).uniform(*joint_box(chain), (STATES, chain.n)):
        c = pin.integrate(model, pin.neutral(model), q)
        upper = np.triu(pin.crba(model, data, c))
        pin.framesForwardKinematics(model, data, c)
        theirs = (upper + np.triu(upper, 1).T, pin.rnea(model, data, c, 0 * q, 0 * q), data.oMf[tip].translation)
        ours = (*rigid.mass_and_gravity(chain, q), rigid.forward_kinematics(chain, q)[:3, 3])
        scales = (np.abs(theirs[0]).max(), max(np.abs(theirs[1]).max(), 1.0), max(np.abs(theirs[2]).max(), 0.1))
        found = max(found, *(np.abs(a - b).max() / s for a, b, s in zip(ours, theirs, scales, strict=True)))
    return found


def row(path: Path, folder: Path) -> dict[str, Any]:
    """What became of one file."""
    name = str(path.relative_to(folder))
    try:
        chain = read_urdf(path)
    except UsageError as error:
        return {"file": name, "refused": str(error).replace(str(path), path.name)[:100]}
    facts = {"file": name, "joints": chain.n, "tip": chain.tip}
    repaired = sum("repaired" in note for note in chain.notes)
    try:
        return {**facts, "deviation": f"{deviation(chain):.0e}", "repaired": repaired}
    except (ValueError, KeyError) as error:  # of pinocchio, for files that it does not read
        return {**facts, "deviation": f"pinocchio: {error}"[:40], "repaired": repaired}


def main(args: Args) -> None:
    """Read, compare, print."""
    warnings.simplefilter("ignore")  # what was repaired is counted
    paths = [p for p in sorted(args.folder.rglob("*.urdf")) if "random_urdfs" not in p.parts]
    rows = [row(path, args.folder) for path in paths]
    read = [r for r in rows if "joints" in r]
    print(table(read))
    print(table([r for r in rows if "refused" in r]))
    print(f"{len(read)} of {len(rows)} files are read as arms")


if __name__ == "__main__":
    main(tyro.cli(Args))
