"""Rigid-body kinematics and dynamics of a Chain in plain NumPy, the counterpart of kinematics.py and dynamics.py.

Used where JAX must not be imported (the PyBullet environments) and as an independent statement of the laws in tests.
Configurations q are (..., n) rad (m for prismatic joints); batch axes lead.
"""

import numpy as np
from jaxtyping import Float, Real

from armctl.chain import Chain
from armctl.typing import Array, Gravity

GRAVITY = (0.0, 0.0, -9.81)
"""m/s^2, world frame."""


def link_poses(chain: Chain, q: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch n 4 4"]:
    """World poses of the link frames. q: (..., n) -> T_world_link (..., n, 4, 4)."""
    q = np.asarray(q, dtype=float)
    slides = np.array([kind == "prismatic" for kind in chain.joint_types])
    # all joints' own motions at once, since for a few configurations a NumPy call costs more than what it does
    angle, way = np.where(slides, 0.0, q)[..., None], np.where(slides, q, 0.0)[..., None]
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = (chain.T_parent_joint[:, :3, k] for k in range(3))
    poses = np.empty((*q.shape, 4, 4))
    poses[:] = chain.T_parent_joint
    poses[..., :3, 0], poses[..., :3, 1] = c * x + s * y, c * y - s * x
    poses[..., :3, 3] += way * z
    for i in range(1, chain.n):
        poses[..., i, :, :] = poses[..., i - 1, :, :] @ poses[..., i, :, :]
    return poses


def forward_kinematics(chain: Chain, q: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch 4 4"]:
    """World pose of the tip. q: (..., n) -> T_world_tip (..., 4, 4)."""
    return link_poses(chain, q)[..., -1, :, :] @ chain.T_last_tip


def point_jacobian(chain: Chain, poses: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Jacobian of a world point rigidly attached to the last link. point: (..., 3) -> (..., 6, n)."""
    z = poses[..., :3, 2]
    prismatic = np.array([kind == "prismatic" for kind in chain.joint_types])[:, None]
    linear = np.where(prismatic, z, _cross(z, point[..., None, :] - poses[..., :3, 3]))
    angular = np.where(prismatic, 0.0, z)
    return np.concatenate([linear, angular], axis=-1).swapaxes(-1, -2)


def jacobian(chain: Chain, q: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch 6 n"]:
    """Geometric Jacobian at the tip, world frame, rows linear then angular. q: (..., n) -> (..., 6, n)."""
    poses = link_poses(chain, q)
    tip = poses[..., -1, :, :] @ chain.T_last_tip
    return point_jacobian(chain, poses, tip[..., :3, 3])


def jacobian_rate(
    chain: Chain, q: Float[np.ndarray, "*batch n"], qd: Float[np.ndarray, "*batch n"]
) -> tuple[Float[np.ndarray, "*batch 4 4"], Float[np.ndarray, "*batch 6 n"], Float[np.ndarray, "*batch 6 n"]]:
    """Pose of the tip, the Jacobian there and its rate of change in a motion. q, qd: (..., n).

    -> T_world_tip (..., 4, 4), J (..., 6, n) as from `jacobian`, dJ/dt (..., 6, n) per second.
    """
    poses = link_poses(chain, q)
    tip = poses[..., -1, :, :] @ chain.T_last_tip
    prismatic = np.array([kind == "prismatic" for kind in chain.joint_types])[:, None]
    z, ends = poses[..., :3, 2], np.concatenate([poses[..., :3, 3], tip[..., None, :3, 3]], axis=-2)
    own = z * qd[..., None]
    turn, slide = np.where(prismatic, 0.0, own), np.where(prismatic, own, 0.0)
    spin = np.cumsum(turn, axis=-2)  # angular velocity of each link
    moved = _cross(spin, np.diff(ends, axis=-2))  # velocity of the next origin, or the tip, against its own
    moved[..., :-1, :] += slide[..., 1:, :]
    ahead = np.cumsum(moved[..., ::-1, :], axis=-2)[..., ::-1, :]  # velocity of the tip against each origin
    dz = _cross(spin, z)
    reach = tip[..., None, :3, 3] - poses[..., :3, 3]
    linear = np.where(prismatic, dz, _cross(dz, reach) + _cross(z, ahead))
    rate = np.concatenate([linear, np.where(prismatic, 0.0, dz)], axis=-1).swapaxes(-1, -2)
    return tip, point_jacobian(chain, poses, tip[..., :3, 3]), rate


def inverse_dynamics(
    chain: Chain,
    q: Float[np.ndarray, "*#batch n"],
    qd: Float[np.ndarray, "*#batch n"],
    qdd: Float[np.ndarray, "*#batch n"],
    gravity: Gravity = GRAVITY,
) -> Float[np.ndarray, "*batch n"]:
    """Joint forces for a motion, by recursive Newton-Euler in the world frame (Luh, Walker, Paul 1980).

    q, qd, qdd: (..., n); gravity: (3,) m/s^2 -> tau (..., n) N m (N for prismatic joints).
    """
    q, qd, qdd = (np.asarray(x, dtype=float) for x in (q, qd, qdd))
    poses = link_poses(chain, q)
    z, p = poses[..., :3, 2], poses[..., :3, 3]
    w = dw = np.zeros((*np.broadcast_shapes(q.shape, qd.shape, qdd.shape)[:-1], 3))
    acc = w - np.asarray(gravity, dtype=float)
    origin = np.zeros(3)
    forces, moments = [], []
    for i, kind in enumerate(chain.joint_types):
        r = p[..., i, :] - origin
        acc = acc + _cross(dw, r) + _cross(w, _cross(w, r))
        rate, rate2 = z[..., i, :] * qd[..., i, None], z[..., i, :] * qdd[..., i, None]
        if kind == "prismatic":
            acc = acc + rate2 + 2 * _cross(w, rate)
        else:
            dw = dw + rate2 + _cross(w, rate)
            w = w + rate
        R = poses[..., i, :3, :3]
        c = R @ chain.com[i]
        force = chain.mass[i] * (acc + _cross(dw, c) + _cross(w, _cross(w, c)))
        spin, change = (_matvec(R, _matvec(R.swapaxes(-1, -2), x) @ chain.inertia[i]) for x in (w, dw))
        moment = change + _cross(w, spin)
        forces.append(force)
        moments.append(moment + _cross(p[..., i, :] + c, force))
        origin = p[..., i, :]
    return _project(chain, z, p, forces, moments)


def _project(chain: Chain, z: np.ndarray, p: np.ndarray, forces: list[Array], moments: list[Array]) -> np.ndarray:
    """Accumulate wrenches (moments about the world origin) from the tip down and project them on the joint axes."""
    tau = np.empty((*forces[0].shape[:-1], chain.n))
    force = moment = 0.0
    for i in reversed(range(chain.n)):
        force, moment = force + forces[i], moment + moments[i]
        prismatic = chain.joint_types[i] == "prismatic"
        wrench = force if prismatic else moment - _cross(p[..., i, :], force)
        tau[..., i] = np.sum(z[..., i, :] * wrench, axis=-1)
    return tau


def mass_and_gravity(
    chain: Chain, q: Float[np.ndarray, "*batch n"], gravity: Gravity = GRAVITY
) -> tuple[Float[np.ndarray, "*batch n n"], Float[np.ndarray, "*batch n"]]:
    """Joint-space inertia and gravity torque together. q: (..., n) -> M (..., n, n) kg m^2, g (..., n) N m.

    M = sum_i m_i Jv_i' Jv_i + Jw_i' I_i Jw_i over the links' centres of mass.
    """
    poses = link_poses(chain, q)
    R, z, p = poses[..., :3, :3], poses[..., :3, 2], poses[..., :3, 3]
    com = p + (R @ chain.com[..., None])[..., 0]
    moves = np.tri(chain.n)[..., None]  # link i is moved by joints j <= i
    prismatic = np.array([kind == "prismatic" for kind in chain.joint_types])[:, None]
    r = com[..., :, None, :] - p[..., None, :, :]
    zj = np.broadcast_to(z[..., None, :, :], r.shape)
    linear = moves * np.where(prismatic, zj, _cross(zj, r))
    angular = moves * np.where(prismatic, 0.0, zj)
    body = angular @ R  # rows in link frames
    weighted = np.concatenate([chain.mass[:, None, None] * linear, body @ chain.inertia], axis=-1)
    plain = np.concatenate([linear, body], axis=-1)
    M = (weighted @ plain.swapaxes(-1, -2)).sum(axis=-3)
    g = -(chain.mass[:, None] * (linear @ np.asarray(gravity, dtype=float))).sum(axis=-2)
    return M, g


def _matvec(A: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A x column by column: for many small matrices faster than their products one by one."""
    return A[..., 0] * x[..., :1] + A[..., 1] * x[..., 1:2] + A[..., 2] * x[..., 2:]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product without np.cross's axis bookkeeping, which costs more than the product for small arrays."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def mass_matrix(chain: Chain, q: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch n n"]:
    """Joint-space inertia. q: (..., n) -> (..., n, n) kg m^2."""
    return mass_and_gravity(chain, q)[0]


def gravity(
    chain: Chain, q: Float[np.ndarray, "*batch n"], gravity: Gravity = GRAVITY
) -> Float[np.ndarray, "*batch n"]:
    """Torque that holds the arm still against gravity. q: (..., n) -> (..., n) N m."""
    return mass_and_gravity(chain, q, gravity)[1]


def about_origin(
    mass: Real[Array, "*batch"], com: Real[Array, "*batch 3"], inertia: Real[Array, "*batch 3 3"]
) -> Real[Array, "*batch 3 3"]:
    """Inertia about the link origin from that about the centre of mass. (n,), (n, 3), (n, 3, 3) -> (n, 3, 3)."""
    square = np.sum(com**2, axis=-1)[..., None, None] * np.eye(3)
    return inertia + mass[..., None, None] * (square - com[..., :, None] * com[..., None, :])
