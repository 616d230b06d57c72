"""Articulated-body algorithm: accelerations under a torque, and M^-1 from the factors of the same pass."""

from typing import Any

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.recursions import layout as lay
from armctl.recursions.newton_euler import batch_of, inertial, joint_motion, lift, newton_euler
from armctl.typing import Array


@lay.opaque
@jax.jit
def articulated(
    arm: Arm, q: Array, qd: Array, tau: Array, gravity: Array, armature: Array | None = None
) -> tuple[Array, lay.Inputs]:
    """Three passes of the articulated-body algorithm -> qdd (..., n) and the factors that `solve` reuses."""
    extra = {} if armature is None else {"armature": lay.joint_major(armature)}
    batch, dtype = batch_of(arm, gravity, q, qd, tau, *(() if armature is None else (armature,))), q.dtype
    frames = lay.joint_inputs(arm, q)
    xs = {**frames, **inertial(arm), "qd": lay.joint_major(qd), "tau": lay.joint_major(tau), **extra}
    zero = lay.zeros(batch, dtype)

    def outward(w: lay.Vec, x: lay.Inputs) -> tuple[Any, Any]:
        R, p = lay.frame(x)
        centripetal = lay.mul_t(R, lay.cross(w, lay.cross(w, p)))
        w = lay.mul_t(R, w)
        rest = {**x, "qdd": jnp.zeros_like(x["qd"])}
        w, c_ang, c_lin = joint_motion(w, zero, centripetal, rest)
        force, moment = newton_euler(w, zero, zero, x)
        return w, (c_ang, c_lin, force, moment)

    _, (c_ang, c_lin, force, moment) = lay.scan(outward, zero, xs)
    xs = {**xs, "c_ang": c_ang, "c_lin": c_lin, "force": force, "moment": moment}
    one, none = jnp.ones(batch, dtype), jnp.zeros(batch, dtype)
    start = ((none,) * 6, (zero,) * 3, (none,) * 6, zero, zero)
    _, (factors, u) = lay.scan(lambda carry, x: _articulate(carry, x, one), start, xs, reverse=True)
    factors = {**factors, "frames": frames}
    return _accelerations(factors, {"c_ang": c_ang, "c_lin": c_lin}, u, lift(gravity, batch), zero), factors


def _articulate(carry: tuple[Any, ...], x: lay.Inputs, one: Array) -> tuple[Any, Any]:
    """One inward step: the joint's share of the articulated inertia, and the rest handed to the parent."""
    J, H, M, force, moment = carry
    m, h = x["m"] * one, x["h"]
    zero = jnp.zeros_like(one)
    J = lay.madd(lay.symmetric(J), x["I"])
    H = lay.madd(H, ((zero, -h[2], h[1]), (h[2], zero, -h[0]), (-h[1], h[0], zero)))
    M = lay.madd(lay.symmetric(M), ((m, zero, zero), (zero, m, zero), (zero, zero, m)))
    force, moment = lay.add(force, x["force"]), lay.add(moment, x["moment"])
    # U = IA S and D = S' U for S along (prismatic) or about (revolute) z
    U_n, U_f = tuple(row[2] for row in J), H[2]
    D, load = J[2][2], moment[2]
    if "flag" in x:
        f, r = x["flag"], 1 - x["flag"]
        U_n = lay.add(lay.scale(U_n, r), lay.scale(tuple(row[2] for row in H), f))
        U_f = lay.add(lay.scale(U_f, r), lay.scale(tuple(row[2] for row in M), f))
        D, load = r * D + f * M[2][2], r * load + f * force[2]
    if "armature" in x:
        D = D + x["armature"]
    u, Dinv = x["tau"] - load, 1 / D
    k_n, k_f = lay.scale(U_n, -Dinv), lay.scale(U_f, -Dinv)
    J, H, M = lay.madd(J, lay.outer(k_n, U_n)), lay.madd(H, lay.outer(k_n, U_f)), lay.madd(M, lay.outer(k_f, U_f))
    c_n, c_f = x["c_ang"], x["c_lin"]
    moment = lay.add(moment, lay.add(lay.add(lay.mul(J, c_n), lay.mul(H, c_f)), lay.scale(k_n, -u)))
    force = lay.add(force, lay.add(lay.add(lay.mul_t(H, c_n), lay.mul(M, c_f)), lay.scale(k_f, -u)))
    R, p = lay.frame(x)
    inertia = _inertia_to_parent(J, H, M, R, p)
    return (*inertia, *lay.wrench_to_parent(force, moment, R, p)), ({"U_n": U_n, "U_f": U_f, "Dinv": Dinv}, u)


def _inertia_to_parent(J: lay.Mat, H: lay.Mat, M: lay.Mat, R: lay.Mat, p: lay.Vec) -> tuple[lay.Vec, lay.Mat, lay.Vec]:
    """Spatial inertia [[J, H], [H', M]] moved to the parent frame, J and M by their upper triangles."""
    Rt = lay.transpose(R)
    J, H, M = (lay.matmul(R, lay.matmul(X, Rt)) for X in (J, H, M))
    H_parent = lay.madd(H, lay.cross_mat(p, M))
    # X [p]x has rows -(p x row), so -H [p]x has rows p x row
    J = lay.madd(lay.madd(J, tuple(lay.cross(p, row) for row in H)), lay.cross_mat(p, lay.transpose(H_parent)))
    return lay.upper(J), H_parent, lay.upper(M)


def _accelerations(factors: lay.Inputs, bias: lay.Inputs, u: Array, lift: lay.Vec, zero: lay.Vec) -> Array:
    """The outward pass: joint accelerations from the factored articulated inertias."""
    xs = {**factors["frames"], "U_n": factors["U_n"], "U_f": factors["U_f"], "Dinv": factors["Dinv"], "u": u, **bias}

    def step(carry: tuple[lay.Vec, lay.Vec], x: lay.Inputs) -> tuple[Any, Any]:
        dw, a = carry
        R, p = lay.frame(x)
        a = lay.mul_t(R, lay.add(a, lay.cross(dw, p)))
        dw = lay.mul_t(R, dw)
        if "c_ang" in x:
            dw, a = lay.add(dw, x["c_ang"]), lay.add(a, x["c_lin"])
        qdd = (x["u"] - lay.dot(x["U_n"], dw) - lay.dot(x["U_f"], a)) * x["Dinv"]
        spin = qdd if "flag" not in x else qdd * (1 - x["flag"])
        slide = 0.0 if "flag" not in x else qdd * x["flag"]
        return ((dw[0], dw[1], dw[2] + spin), (a[0], a[1], a[2] + slide)), qdd

    _, qdd = lay.scan(step, (zero, lift), xs)
    return lay.joint_minor(qdd)


@jax.jit
def solve(arm: Arm, factors: lay.Inputs, b: Array) -> Array:
    """M^-1 b with the articulated inertias of a forward pass. b: (..., n) -> (..., n)."""
    zero = lay.zeros(b.shape[:-1], b.dtype)
    xs = {**factors["frames"], "U_n": factors["U_n"], "U_f": factors["U_f"], "Dinv": factors["Dinv"]}

    def inward(carry: tuple[lay.Vec, lay.Vec], x: lay.Inputs) -> tuple[Any, Any]:
        force, moment = carry
        load = moment[2] if "flag" not in x else x["flag"] * force[2] + (1 - x["flag"]) * moment[2]
        u = x["b"] - load
        force = lay.add(force, lay.scale(x["U_f"], u * x["Dinv"]))
        moment = lay.add(moment, lay.scale(x["U_n"], u * x["Dinv"]))
        return lay.wrench_to_parent(force, moment, *lay.frame(x)), u

    _, u = lay.scan(inward, (zero, zero), {**xs, "b": lay.joint_major(b)}, reverse=True)
    return _accelerations(factors, {}, u, zero, zero)
