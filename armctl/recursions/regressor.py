"""What the torques of a motion are made of: every link's share, a load's ten parameters, gravity's direction.

Inverse dynamics is linear in inertial parameters (Atkeson, An, Hollerbach 1986). One outward pass gives the motion of
every link; a joint's torque is then what the links' wrenches do on the twist that the joint gives them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.recursions import layout as lay
from armctl.recursions.newton_euler import batch_of, inertial, lift, links_in_motion, newton_euler
from armctl.typing import Array

LOAD = ("mass", "hx", "hy", "hz", "Ixx", "Ixy", "Ixz", "Iyy", "Iyz", "Izz")
"""A load's parameters: mass, first moment and inertia about the tip, in the last link's axes."""


class Regressor(NamedTuple):
    """Torques per unit of what they are linear in, leading batch axes."""

    links: Array  # (..., n, n) N m, what joint i gives to move link j as it is; the sum over j is inverse dynamics
    load: Array  # (..., n, 10) N m per unit of LOAD
    gravity: Array  # (..., n, 3) N m per m/s^2 more of gravity, world frame
    tip: Array  # (..., n, 6) twist of the tip per joint rate, linear then angular, in the last link's axes


@jax.jit
def regressor(arm: Arm, q: Array, qd: Array, qdd: Array, gravity: Array) -> Regressor:
    """`armctl.dynamics.torque_regressor` for arrays of one type."""
    batch = batch_of(arm, gravity, q, qd, qdd)
    zero, one = lay.zeros(batch, q.dtype), jnp.ones(batch, q.dtype)
    none = jnp.zeros_like(one)
    eye = ((one, none, none), (none, one, none), (none, none, one))
    xs = {**lay.joint_inputs(arm, q), **inertial(arm), "qd": lay.joint_major(qd), "qdd": lay.joint_major(qdd)}

    def outward(carry: Any, x: lay.Inputs) -> tuple[Any, Any]:
        motion, R, p = carry
        R_link, p_link = lay.frame(x)
        p, R = lay.add(p, lay.mul(R, p_link)), lay.matmul(R, R_link)
        motion = links_in_motion(motion, x)
        force, moment = newton_euler(*motion, x)
        force = lay.mul(R, force)
        moment = lay.add(lay.mul(R, moment), lay.cross(p, force))
        z = tuple(row[2] for row in R)
        centre = lay.add(lay.scale(p, x["m"]), lay.mul(R, x["h"]))
        carry = (motion, R, p)
        return carry, (z, p, force, moment, x["m"] * one, centre)

    start = ((zero, zero, lift(gravity, batch)), eye, zero)
    (motion, R, p_last), (z, p, force, moment, mass, centre) = lay.scan(outward, start, xs)
    turn, move = z, lay.cross(p, z)  # twist of a body at the world's origin per joint rate
    flag = lay.prismatic_flag(arm, z[0])
    if flag is not None:
        turn, move = lay.scale(z, 1 - flag), lay.add(lay.scale(move, 1 - flag), lay.scale(z, flag))

    def spread(a: lay.Vec, b: lay.Vec) -> Array:
        return sum(x[:, None] * y[None] for x, y in zip(a, b, strict=True))

    later = jnp.triu(jnp.ones((arm.n, arm.n), q.dtype)).reshape(arm.n, arm.n, *[1] * len(batch))
    links = later * (spread(turn, moment) + spread(move, force))
    load, tip = _load(arm, motion, R, p_last, turn, move)
    pull = _pull(mass, centre, turn, move)
    rows = [jnp.stack([lay.joint_minor(x) for x in columns], axis=-1) for columns in (load, pull, tip)]
    return Regressor(jnp.moveaxis(links, (0, 1), (-2, -1)), *rows)


def _load(
    arm: Arm, motion: tuple[lay.Vec, ...], R: lay.Mat, p: lay.Vec, turn: lay.Vec, move: lay.Vec
) -> tuple[list[Array], list[Array]]:
    """Columns of a load's ten parameters: its wrench in last-link axes at the tip, on the twist of that point."""
    w, dw, a = motion
    reach = tuple(arm.p_last_tip[i] for i in range(3))
    a = lay.add(a, lay.add(lay.cross(dw, reach), lay.cross(w, lay.cross(w, reach))))
    p_tip = lay.add(p, lay.mul(R, reach))
    e = lay.mul_t(R, turn)
    v = lay.mul_t(R, lay.add(move, lay.cross(turn, p_tip)))
    # force dw x h + w x (w x h) on v, and moment h x a on e
    first = lay.add(lay.cross(v, dw), lay.add(lay.cross(lay.cross(v, w), w), lay.cross(a, e)))
    c = lay.cross(e, w)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    inertia = [e[i] * dw[j] + c[i] * w[j] + (0.0 if i == j else e[j] * dw[i] + c[j] * w[i]) for i, j in pairs]
    return [lay.dot(v, a), *first, *inertia], [*v, *e]


def _pull(mass: Array, centre: lay.Vec, turn: lay.Vec, move: lay.Vec) -> list[Array]:
    """Columns of gravity's direction: the weights of all links from a joint on."""

    def beyond(x: Array) -> Array:
        return jnp.cumsum(x[::-1], axis=0)[::-1]

    m, c = beyond(mass), tuple(beyond(x) for x in centre)
    lever = lay.add(lay.scale(move, m), lay.cross(turn, c))
    return [-x for x in lever]
