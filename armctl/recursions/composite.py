"""Composite rigid bodies: the mass matrix in one inward pass over the links (Walker & Orin 1982, Featherstone 1983)."""

from typing import Any

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.recursions import layout as lay
from armctl.recursions.newton_euler import inertial
from armctl.typing import Array


@jax.jit
def composite(arm: Arm, q: Array) -> Array:
    """Mass matrix (..., n, n) at q (..., n), an array of the type the computation runs in.

    The carry holds the composite body of the links passed so far, and of each of their joints the wrench that a unit
    acceleration needs: zero for the joints still to come. What a joint feels of these wrenches is its row of M.
    """
    batch = jnp.broadcast_shapes(q.shape[:-1], arm.mass.shape[:-1])
    eye = jnp.eye(arm.n, dtype=q.dtype).reshape(arm.n, arm.n, *[1] * len(batch))
    none, columns = jnp.zeros(batch, q.dtype), lay.zeros((arm.n, *batch), q.dtype)
    xs = {**lay.joint_inputs(arm, q), **inertial(arm), "column": eye}
    start = (none, (none,) * 3, (none,) * 6, columns, columns)
    _, upper = lay.scan(_inward, start, xs, reverse=True)
    return jnp.moveaxis(upper + jnp.where(eye > 0, 0, upper.swapaxes(0, 1)), (0, 1), (-2, -1))


def _inward(carry: tuple[Any, ...], x: lay.Inputs) -> tuple[tuple[Any, ...], Array]:
    """Add a link to the composite body, its joint's wrench to the columns, and hand both to the parent."""
    m, h, inertia, force, moment = carry
    m, h, inertia = m + x["m"], lay.add(h, x["h"]), lay.madd(lay.symmetric(inertia), x["I"])
    unit_force, unit_moment = (-h[1], h[0], jnp.zeros_like(m)), inertia[2]
    if "flag" in x:
        slide, turn = x["flag"], 1 - x["flag"]
        unit_force = (turn * unit_force[0], turn * unit_force[1], slide * m)
        unit_moment = lay.add(lay.scale(unit_moment, turn), (slide * h[1], -slide * h[0], jnp.zeros_like(m)))
    force = tuple(all_ + x["column"] * one for all_, one in zip(force, unit_force, strict=True))
    moment = tuple(all_ + x["column"] * one for all_, one in zip(moment, unit_moment, strict=True))
    row = moment[2] if "flag" not in x else x["flag"] * force[2] + (1 - x["flag"]) * moment[2]
    R, p = lay.frame(x)
    return (*_body_to_parent(m, h, inertia, R, p), *lay.wrench_to_parent(force, moment, R, p)), row


def _body_to_parent(m: Array, h: lay.Vec, inertia: lay.Mat, R: lay.Mat, p: lay.Vec) -> tuple[Array, lay.Vec, lay.Vec]:
    """A body about the link's origin -> about the parent's, in its axes; inertia -> upper six."""
    h = lay.mul(R, h)
    inertia = lay.matmul(R, lay.matmul(inertia, lay.transpose(R)))
    # parallel axes: I + 2 (g . p) 1 - g p' - p g' with g = h + m p / 2
    g = lay.add(h, lay.scale(p, m / 2))
    both = lay.madd(lay.outer(g, p), lay.outer(p, g))
    two = 2 * lay.dot(g, p)
    zero = jnp.zeros_like(two)
    shift = ((two, zero, zero), (zero, two, zero), (zero, zero, two))
    moved = tuple(
        tuple(a + s - b for a, s, b in zip(*rows, strict=True)) for rows in zip(inertia, shift, both, strict=True)
    )
    return m, lay.add(h, lay.scale(p, m)), lay.upper(moved)
