"""What PyBullet makes of a user's URDF file as it stands, next to how we read it: oddities are reported, not hidden."""

from pathlib import Path

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.envs.bullet.client import p, quiet
from armctl.urdf.bodies import held_position
from armctl.urdf.parse import Link, Tree, parse_urdf

TOLERANCE = 1e-6
"""Relative difference from which it is worth a sentence; Bullet diagonalises inertia tensors to about as much."""


def raw_differences(chain: Chain) -> list[str]:
    """Sentences on where PyBullet, given the arm's own file, simulates another arm than the chain; none if it does not.

    Joints off the chain are held where the chain holds them.
    """
    tree = parse_urdf(Path(chain.source))
    client = p.connect(p.DIRECT)
    try:
        p.setGravity(*rigid.GRAVITY, physicsClientId=client)
        try:
            with quiet():
                flags = p.URDF_USE_INERTIA_FROM_FILE
                body = p.loadURDF(chain.source, useFixedBase=True, flags=flags, physicsClientId=client)
        except p.error as error:
            return [f"PyBullet cannot load the file itself ({error}); it was given the chain read from it."]
        return [*_links(tree, body, client), *_dynamics(chain, tree, body, client)]
    finally:
        p.disconnect(client)


def _links(tree: Tree, body: int, client: int) -> list[str]:
    """Links whose mass or principal inertias PyBullet changes."""
    said = []
    for index in range(p.getNumJoints(body, physicsClientId=client)):
        link = tree.links[p.getJointInfo(body, index, physicsClientId=client)[12].decode()]
        mass, _, principal = p.getDynamicsInfo(body, index, physicsClientId=client)[:3]
        said += _changed(link, mass, np.sort(principal))
    return said


def _changed(link: Link, mass: float, principal: np.ndarray) -> list[str]:
    own = np.linalg.eigvalsh(link.inertia)
    if abs(mass - link.mass) > TOLERANCE * max(link.mass, 1.0):
        return [f"Link {link.name!r} weighs {link.mass:g} kg in the file; PyBullet gives it {mass:g} kg."]
    if np.abs(principal - own).max() > 1e-4 * max(own.max(), 1e-9):
        text = ["/".join(f"{x:.3g}" for x in values) for values in (own, principal)]
        return [f"Link {link.name!r} has the principal inertias {text[0]} kg m2; PyBullet makes them {text[1]}."]
    return []


def _dynamics(chain: Chain, tree: Tree, body: int, client: int) -> list[str]:
    """The difference that comes of it in the mass matrix and the gravity torque of the arm."""
    infos = [
        p.getJointInfo(body, i, physicsClientId=client) for i in range(p.getNumJoints(body, physicsClientId=client))
    ]
    moving = [info[1].decode() for info in infos if info[3] > -1]
    if not set(chain.joint_names) <= set(moving):
        return ["PyBullet names the joints differently; the file itself could not be compared."]
    columns = [moving.index(name) for name in chain.joint_names]
    joints = {joint.name: joint for joint in tree.above.values()}
    home = dict(zip(chain.joint_names, chain.home.tolist(), strict=True))
    rest = [held_position(joints[name], joints, home) for name in moving]
    worst = np.zeros(2)
    low, high = joint_box(chain)
    for q in np.random.default_rng(0).uniform(low, high, (5, chain.n)):
        whole = np.array(rest)
        whole[columns] = q
        M = np.array(p.calculateMassMatrix(body, whole.tolist(), physicsClientId=client))[np.ix_(columns, columns)]
        still = [0.0] * len(whole)
        g = np.array(p.calculateInverseDynamics(body, whole.tolist(), still, still, physicsClientId=client))[columns]
        wanted = rigid.mass_and_gravity(chain, q)
        pairs = zip((M, g), wanted, strict=True)
        worst = np.maximum(worst, [np.abs(a - b).max() / max(np.abs(b).max(), 1e-9) for a, b in pairs])
    if worst.max() < TOLERANCE:
        return []
    return [
        f"Given the file as it stands PyBullet simulates another arm: its mass matrix differs by {worst[0]:.1e}, its "
        f"gravity torque by {worst[1]:.1e} (relative); armctl gives it the chain as read here."
    ]
