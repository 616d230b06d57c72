"""Newton-Euler recursions over the links: torques of a motion, and the gradient of their virtual power."""

from typing import Any

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.recursions import layout as lay
from armctl.typing import Array


def inertial(arm: Arm) -> lay.Inputs:
    """Mass, first moment and inertia as scan inputs."""
    return {
        "m": lay.joint_major(arm.mass),
        "h": lay.joint_major(arm.first_moment, 1),
        "I": lay.joint_major(arm.inertia, 2),
    }


def lift(gravity: Array, batch: tuple[int, ...]) -> lay.Vec:
    """Base acceleration that stands for gravity (..., 3), as a vector of the batch."""
    return tuple(jnp.broadcast_to(-gravity[..., i], batch) for i in range(3))


def joint_motion(w: lay.Vec, dw: lay.Vec, a: lay.Vec, x: lay.Inputs) -> tuple[lay.Vec, lay.Vec, lay.Vec]:
    """Add the joint's own motion about or along z to the parent's, all in link axes."""
    spin, spin2 = x["qd"], x["qdd"]
    if "flag" in x:
        slide, slide2 = spin * x["flag"], spin2 * x["flag"]
        spin, spin2 = spin - slide, spin2 - slide2
        a = lay.add(a, lay.cross_z(w, 2 * slide))
        a = (a[0], a[1], a[2] + slide2)
    dw = lay.add(dw, lay.cross_z(w, spin))
    return (w[0], w[1], w[2] + spin), (dw[0], dw[1], dw[2] + spin2), a


def newton_euler(w: lay.Vec, dw: lay.Vec, a: lay.Vec, x: lay.Inputs) -> tuple[lay.Vec, lay.Vec]:
    """Net force and moment about the link origin that the motion needs."""
    m, h, inertia = x["m"], x["h"], x["I"]
    force = lay.add(lay.scale(a, m), lay.add(lay.cross(dw, h), lay.cross(w, lay.cross(w, h))))
    moment = lay.add(lay.mul(inertia, dw), lay.add(lay.cross(w, lay.mul(inertia, w)), lay.cross(h, a)))
    return force, moment


def batch_of(arm: Arm, gravity: Array, *joint: Array) -> tuple[int, ...]:
    """Batch axes of arguments (..., n), of gravity (..., 3) and of the arm's inertial leaves together."""
    return jnp.broadcast_shapes(arm.mass.shape[:-1], gravity.shape[:-1], *(x.shape[:-1] for x in joint))


def links_in_motion(carry: tuple[lay.Vec, lay.Vec, lay.Vec], x: lay.Inputs) -> tuple[lay.Vec, lay.Vec, lay.Vec]:
    """Angular velocity, angular and linear acceleration of a link from its parent's, all in link axes."""
    w, dw, a = carry
    R, p = lay.frame(x)
    a = lay.mul_t(R, lay.add(a, lay.add(lay.cross(dw, p), lay.cross(w, lay.cross(w, p)))))
    return joint_motion(lay.mul_t(R, w), lay.mul_t(R, dw), a, x)


@jax.jit
def torques(arm: Arm, q: Array, qd: Array, qdd: Array, gravity: Array) -> Array:
    """Torque (..., n) of a motion: `armctl.dynamics.inverse_dynamics` for arrays of one type."""
    batch = batch_of(arm, gravity, q, qd, qdd)
    xs = {**lay.joint_inputs(arm, q), **inertial(arm), "qd": lay.joint_major(qd), "qdd": lay.joint_major(qdd)}

    def outward(carry: Any, x: lay.Inputs) -> tuple[Any, Any]:
        w, dw, a = links_in_motion(carry, x)
        return (w, dw, a), newton_euler(w, dw, a, x)

    zero = lay.zeros(batch, q.dtype)
    _, (force, moment) = lay.scan(outward, (zero, zero, lift(gravity, batch)), xs)

    def inward(carry: Any, x: lay.Inputs) -> tuple[Any, Any]:
        force, moment = lay.add(carry[0], x["force"]), lay.add(carry[1], x["moment"])
        tau = moment[2] if "flag" not in x else x["flag"] * force[2] + (1 - x["flag"]) * moment[2]
        return lay.wrench_to_parent(force, moment, *lay.frame(x)), tau

    _, tau = lay.scan(inward, (zero, zero), {**xs, "force": force, "moment": moment}, reverse=True)
    return lay.joint_minor(tau)


@jax.jit
def power_gradient(
    arm: Arm, q: Array, qd: Array, qdd: Array, rate: Array, gravity: Array
) -> tuple[Arm, Array, Array, Array]:
    """Gradient of rate' ID(q, qd, qdd), summed over the batch, with respect to arm, q, qd and gravity.

    By virtual power it is what the links' net wrenches do on the twists that the rate (..., n) gives them: one pass
    over the links instead of two, so its gradient takes two instead of four. The inward pass differentiates each step
    anew from the stored motion of the parent, which is less to store than what the derivative of a scan keeps.
    """

    def inputs(arm: Arm, q: Array, qd: Array, gravity: Array) -> tuple[Any, lay.Inputs]:
        batch = batch_of(arm, gravity, q, qd, rate)
        zero = lay.zeros(batch, q.dtype)
        motion = {"qd": lay.joint_major(qd), "qdd": lay.joint_major(qdd), "rate": lay.joint_major(rate)}
        start = ((zero, zero, lift(gravity, batch)), (zero, zero))
        return start, {**lay.joint_inputs(arm, q), **inertial(arm), **motion}

    def outward(carry: Any, x: lay.Inputs) -> tuple[Any, Any]:
        motion, (turn, move) = carry
        return links_in_motion(motion, x), _twist(turn, move, x)

    def power(carry: Any, x: lay.Inputs) -> tuple[Any, Array]:
        (w, dw, a), (turn, move) = moved = outward(carry, x)
        force, moment = newton_euler(w, dw, a, x)
        return moved, lay.dot(force, move) + lay.dot(moment, turn)

    def inward(slope: Any, carry_and_x: tuple[Any, lay.Inputs]) -> Any:
        (_, value), pull = jax.vjp(power, *carry_and_x)
        return pull((slope, jnp.ones_like(value)))

    (start, xs), pull = jax.vjp(inputs, arm, q, qd, gravity)
    _, carries = lay.scan(lambda carry, x: (outward(carry, x), carry), start, xs)
    return pull(lay.scan(inward, jax.tree.map(jnp.zeros_like, start), (carries, xs), reverse=True))


def _twist(turn: lay.Vec, move: lay.Vec, x: lay.Inputs) -> tuple[lay.Vec, lay.Vec]:
    """Angular and linear velocity of a link under the joint rates x["rate"], from its parent's."""
    R, p = lay.frame(x)
    move, turn = lay.mul_t(R, lay.add(move, lay.cross(turn, p))), lay.mul_t(R, turn)
    spin = x["rate"]
    if "flag" in x:
        move = (move[0], move[1], move[2] + spin * x["flag"])
        spin = spin * (1 - x["flag"])
    return (turn[0], turn[1], turn[2] + spin), move
