"""Articulated-body algorithm: accelerations under a torque, and M^-1 from the factors of the same pass."""

import jax
import jax.numpy as jnp

from armctl import scanform as sf
from armctl.dynamics_recursive import batch_of, inertial, joint_motion, lift, newton_euler


@sf.opaque
@jax.jit
def articulated(arm, q, qd, tau, gravity):
    """Three passes of the articulated-body algorithm -> qdd (..., n) and the factors that `solve` reuses."""
    batch, dtype = batch_of(arm, gravity, q, qd, tau), q.dtype
    frames = sf.joint_inputs(arm, q)
    xs = {**frames, **inertial(arm), "qd": sf.joint_major(qd), "tau": sf.joint_major(tau)}
    zero = sf.zeros(batch, dtype)

    def outward(w, x):
        R, p = sf.frame(x)
        centripetal = sf.mul_t(R, sf.cross(w, sf.cross(w, p)))
        w = sf.mul_t(R, w)
        rest = {**x, "qdd": jnp.zeros_like(x["qd"])}
        w, c_ang, c_lin = joint_motion(w, zero, centripetal, rest)
        force, moment = newton_euler(w, zero, zero, x)
        return w, (c_ang, c_lin, force, moment)

    _, (c_ang, c_lin, force, moment) = sf.scan(outward, zero, xs)
    xs = {**xs, "c_ang": c_ang, "c_lin": c_lin, "force": force, "moment": moment}
    one, none = jnp.ones(batch, dtype), jnp.zeros(batch, dtype)
    start = ((none,) * 6, (zero,) * 3, (none,) * 6, zero, zero)
    _, (factors, u) = sf.scan(lambda carry, x: _articulate(carry, x, one), start, xs, reverse=True)
    factors = {**factors, "frames": frames}
    return _accelerations(factors, {"c_ang": c_ang, "c_lin": c_lin}, u, lift(gravity, batch), zero), factors


def _articulate(carry, x, one):
    """One inward step: the joint's share of the articulated inertia, and the rest handed to the parent."""
    J, H, M, force, moment = carry
    m, h = x["m"] * one, x["h"]
    zero = jnp.zeros_like(one)
    J = sf.madd(sf.symmetric(J), x["I"])
    H = sf.madd(H, ((zero, -h[2], h[1]), (h[2], zero, -h[0]), (-h[1], h[0], zero)))
    M = sf.madd(sf.symmetric(M), ((m, zero, zero), (zero, m, zero), (zero, zero, m)))
    force, moment = sf.add(force, x["force"]), sf.add(moment, x["moment"])
    # U = IA S and D = S' U for S along (prismatic) or about (revolute) z
    U_n, U_f = tuple(row[2] for row in J), H[2]
    D, load = J[2][2], moment[2]
    if "flag" in x:
        f, r = x["flag"], 1 - x["flag"]
        U_n = sf.add(sf.scale(U_n, r), sf.scale(tuple(row[2] for row in H), f))
        U_f = sf.add(sf.scale(U_f, r), sf.scale(tuple(row[2] for row in M), f))
        D, load = r * D + f * M[2][2], r * load + f * force[2]
    u, Dinv = x["tau"] - load, 1 / D
    k_n, k_f = sf.scale(U_n, -Dinv), sf.scale(U_f, -Dinv)
    J, H, M = sf.madd(J, sf.outer(k_n, U_n)), sf.madd(H, sf.outer(k_n, U_f)), sf.madd(M, sf.outer(k_f, U_f))
    c_n, c_f = x["c_ang"], x["c_lin"]
    moment = sf.add(moment, sf.add(sf.add(sf.mul(J, c_n), sf.mul(H, c_f)), sf.scale(k_n, -u)))
    force = sf.add(force, sf.add(sf.add(sf.mul_t(H, c_n), sf.mul(M, c_f)), sf.scale(k_f, -u)))
    R, p = sf.frame(x)
    inertia = _inertia_to_parent(J, H, M, R, p)
    return (*inertia, *sf.wrench_to_parent(force, moment, R, p)), ({"U_n": U_n, "U_f": U_f, "Dinv": Dinv}, u)


def _inertia_to_parent(J, H, M, R, p):
    """Spatial inertia [[J, H], [H', M]] moved to the parent frame, J and M by their upper triangles."""
    Rt = sf.transpose(R)
    J, H, M = (sf.matmul(R, sf.matmul(X, Rt)) for X in (J, H, M))
    H_parent = sf.madd(H, sf.cross_mat(p, M))
    # X [p]x has rows -(p x row), so -H [p]x has rows p x row
    J = sf.madd(sf.madd(J, tuple(sf.cross(p, row) for row in H)), sf.cross_mat(p, sf.transpose(H_parent)))
    return sf.upper(J), H_parent, sf.upper(M)


def _accelerations(factors, bias, u, lift, zero):
    """The outward pass: joint accelerations from the factored articulated inertias."""
    xs = {**factors["frames"], "U_n": factors["U_n"], "U_f": factors["U_f"], "Dinv": factors["Dinv"], "u": u, **bias}

    def step(carry, x):
        dw, a = carry
        R, p = sf.frame(x)
        a = sf.mul_t(R, sf.add(a, sf.cross(dw, p)))
        dw = sf.mul_t(R, dw)
        if "c_ang" in x:
            dw, a = sf.add(dw, x["c_ang"]), sf.add(a, x["c_lin"])
        qdd = (x["u"] - sf.dot(x["U_n"], dw) - sf.dot(x["U_f"], a)) * x["Dinv"]
        spin = qdd if "flag" not in x else qdd * (1 - x["flag"])
        slide = 0.0 if "flag" not in x else qdd * x["flag"]
        return ((dw[0], dw[1], dw[2] + spin), (a[0], a[1], a[2] + slide)), qdd

    _, qdd = sf.scan(step, (zero, lift), xs)
    return sf.joint_minor(qdd)


@jax.jit
def solve(arm, factors, b):
    """M^-1 b with the articulated inertias of a forward pass. b: (..., n) -> (..., n)."""
    zero = sf.zeros(b.shape[:-1], b.dtype)
    xs = {**factors["frames"], "U_n": factors["U_n"], "U_f": factors["U_f"], "Dinv": factors["Dinv"]}

    def inward(carry, x):
        force, moment = carry
        load = moment[2] if "flag" not in x else x["flag"] * force[2] + (1 - x["flag"]) * moment[2]
        u = x["b"] - load
        force = sf.add(force, sf.scale(x["U_f"], u * x["Dinv"]))
        moment = sf.add(moment, sf.scale(x["U_n"], u * x["Dinv"]))
        return sf.wrench_to_parent(force, moment, *sf.frame(x)), u

    _, u = sf.scan(inward, (zero, zero), {**xs, "b": sf.joint_major(b)}, reverse=True)
    return _accelerations(factors, {}, u, zero, zero)
