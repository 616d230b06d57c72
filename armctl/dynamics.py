"""Rigid-body dynamics of an Arm in JAX: batched, differentiable, and fast (see scanform.py for the layout).

Accelerations are classical ones of the link origins, which keeps velocities of the origins out of the recursions.
Physical parameters are leaves, so gradients reach them and scenarios batch.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl import scanform as sf
from armctl.arm import Arm
from armctl.typing import Array, Gravity, Joint

GRAVITY = (0.0, 0.0, -9.81)


def _inertial(arm: Arm):
    """Mass, first moment and inertia as scan inputs."""
    return {
        "m": sf.joint_major(arm.mass),
        "h": sf.joint_major(arm.first_moment, 1),
        "I": sf.joint_major(arm.inertia, 2),
    }


def _lift(gravity):
    """Base acceleration that stands for gravity. (..., 3) -> tuple of (...)."""
    return tuple(-jnp.asarray(gravity)[..., i] for i in range(3))


def inverse_dynamics(arm: Arm, q: Joint, qd: Joint, qdd: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Joint torque for a motion, by recursive Newton-Euler (Luh, Walker, Paul 1980).

    q, qd, qdd: (..., n) rad, rad/s, rad/s^2; gravity: (..., 3) m/s^2 -> tau (..., n) N m. Friction is not included.
    """
    q, qd, qdd = (sf.promote(arm, x) for x in (q, qd, qdd))
    g = _lift(jnp.asarray(gravity, q.dtype))
    batch = jnp.broadcast_shapes(q.shape[:-1], qd.shape[:-1], qdd.shape[:-1], arm.mass.shape[:-1], g[0].shape)
    xs = {**sf.joint_inputs(arm, q), **_inertial(arm), "qd": sf.joint_major(qd), "qdd": sf.joint_major(qdd)}

    def outward(carry, x):
        w, dw, a = carry
        R, p = sf.frame(x)
        a = sf.mul_t(R, sf.add(a, sf.add(sf.cross(dw, p), sf.cross(w, sf.cross(w, p)))))
        w, dw = sf.mul_t(R, w), sf.mul_t(R, dw)
        w, dw, a = _joint_motion(w, dw, a, x)
        return (w, dw, a), _newton_euler(w, dw, a, x)

    zero = sf.zeros(batch, q.dtype)
    start = (zero, zero, tuple(jnp.broadcast_to(x, batch) for x in g))
    _, (force, moment) = sf.scan(outward, start, xs)

    def inward(carry, x):
        force, moment = sf.add(carry[0], x["force"]), sf.add(carry[1], x["moment"])
        tau = moment[2] if "flag" not in x else x["flag"] * force[2] + (1 - x["flag"]) * moment[2]
        return sf.wrench_to_parent(force, moment, *sf.frame(x)), tau

    _, tau = sf.scan(inward, (zero, zero), {**xs, "force": force, "moment": moment}, reverse=True)
    return sf.joint_minor(tau)


def _joint_motion(w, dw, a, x):
    """Add the joint's own motion about or along z to the parent's, all in link axes."""
    spin, spin2 = x["qd"], x["qdd"]
    if "flag" in x:
        slide, slide2 = spin * x["flag"], spin2 * x["flag"]
        spin, spin2 = spin - slide, spin2 - slide2
        a = sf.add(a, sf.cross_z(w, 2 * slide))
        a = (a[0], a[1], a[2] + slide2)
    dw = sf.add(dw, sf.cross_z(w, spin))
    return (w[0], w[1], w[2] + spin), (dw[0], dw[1], dw[2] + spin2), a


def _newton_euler(w, dw, a, x):
    """Net force and moment about the link origin that the motion needs."""
    m, h, inertia = x["m"], x["h"], x["I"]
    force = sf.add(sf.scale(a, m), sf.add(sf.cross(dw, h), sf.cross(w, sf.cross(w, h))))
    moment = sf.add(sf.mul(inertia, dw), sf.add(sf.cross(w, sf.mul(inertia, w)), sf.cross(h, a)))
    return force, moment


def gravity(arm: Arm, q: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Torque that holds the arm still against gravity. q: (..., n) rad -> (..., n) N m."""
    zero = jnp.zeros(jnp.shape(q)[-1])
    return inverse_dynamics(arm, q, zero, zero, gravity)


def mass_matrix(arm: Arm, q: Joint) -> Float[Array, "*batch n n"]:
    """Joint-space inertia by composite rigid bodies. q: (..., n) rad -> (..., n, n) kg m^2 (kg where prismatic).

    Column j is what inverse dynamics asks for a unit acceleration of joint j alone (Walker & Orin 1982).
    """
    q = sf.promote(arm, q)[..., None, :]
    unit = jnp.eye(arm.n, dtype=q.dtype)
    return inverse_dynamics(_one_more_axis(arm), q, jnp.zeros_like(q), unit, (0.0, 0.0, 0.0))


def _one_more_axis(arm: Arm) -> Arm:
    """An arm whose batched inertial leaves broadcast against one more batch axis behind theirs."""
    if arm.mass.ndim == 1:
        return arm
    return replace(
        arm,
        mass=arm.mass[..., None, :],
        first_moment=arm.first_moment[..., None, :, :],
        inertia=arm.inertia[..., None, :, :, :],
    )


def forward_dynamics(arm: Arm, q: Joint, qd: Joint, tau: Joint, gravity: Gravity = GRAVITY) -> Float[Array, "*batch n"]:
    """Joint acceleration under a torque, by the articulated-body algorithm (Featherstone 1983).

    q, qd, tau: (..., n) rad, rad/s, N m; gravity: (..., 3) m/s^2 -> qdd (..., n) rad/s^2. Friction is not included.
    The derivative is implicit (Carpentier & Mansard 2018): with l = M^-1 g for a cotangent g, the torque's is l and
    every other input's is -l' d ID(q, qd, qdd); l reuses the articulated inertias of the forward pass.
    """
    q, qd, tau = (sf.promote(arm, x) for x in (q, qd, tau))
    return _forward_dynamics(arm, q, qd, tau, jnp.asarray(gravity, q.dtype))


@jax.custom_vjp
def _forward_dynamics(arm, q, qd, tau, gravity):
    return _articulated(arm, q, qd, tau, gravity)[0]


def _forward(arm, q, qd, tau, gravity):
    qdd, factors = _articulated(arm, q, qd, tau, gravity)
    return qdd, (arm, q, qd, tau.shape, qdd, gravity, factors)


def _backward(residuals, cotangent):
    arm, q, qd, tau_shape, qdd, gravity, factors = residuals
    multiplier = _solve(arm, factors, cotangent)
    _, vjp = jax.vjp(lambda a, q, qd, g: inverse_dynamics(a, q, qd, qdd, g), arm, q, qd, gravity)
    d_arm, d_q, d_qd, d_gravity = vjp(-multiplier)
    extra = multiplier.ndim - len(tau_shape)
    axes = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(tau_shape) if n == 1 and multiplier.shape[i + extra] != 1
    )
    return d_arm, d_q, d_qd, jnp.sum(multiplier, axes).reshape(tau_shape), d_gravity


_forward_dynamics.defvjp(_forward, _backward)


def _articulated(arm, q, qd, tau, gravity):
    """Three passes of the articulated-body algorithm -> qdd (..., n) and the factors that `_solve` reuses."""
    g = _lift(gravity)
    batch = jnp.broadcast_shapes(q.shape[:-1], qd.shape[:-1], tau.shape[:-1], arm.mass.shape[:-1], g[0].shape)
    dtype = q.dtype
    frames = sf.joint_inputs(arm, q)
    xs = {**frames, **_inertial(arm), "qd": sf.joint_major(qd), "tau": sf.joint_major(tau)}
    zero = sf.zeros(batch, dtype)

    def outward(w, x):
        R, p = sf.frame(x)
        centripetal = sf.mul_t(R, sf.cross(w, sf.cross(w, p)))
        w = sf.mul_t(R, w)
        rest = {**x, "qdd": jnp.zeros_like(x["qd"])}
        w, c_ang, c_lin = _joint_motion(w, zero, centripetal, rest)
        force, moment = _newton_euler(w, zero, zero, x)
        return w, (c_ang, c_lin, force, moment)

    _, (c_ang, c_lin, force, moment) = sf.scan(outward, zero, xs)
    xs = {**xs, "c_ang": c_ang, "c_lin": c_lin, "force": force, "moment": moment}
    one, none = jnp.ones(batch, dtype), jnp.zeros(batch, dtype)
    zero_mat = ((none,) * 3,) * 3
    start = (zero_mat, zero_mat, zero_mat, zero, zero)
    _, (factors, u) = sf.scan(lambda carry, x: _articulate(carry, x, one), start, xs, reverse=True)
    factors = {**factors, "frames": frames}
    lift = tuple(jnp.broadcast_to(x, batch) for x in g)
    return _accelerations(factors, {"c_ang": c_ang, "c_lin": c_lin}, u, lift, zero), factors


def _articulate(carry, x, one):
    """One inward step: the joint's share of the articulated inertia, and the rest handed to the parent."""
    J, H, M, force, moment = carry
    m, h = x["m"] * one, x["h"]
    zero = jnp.zeros_like(one)
    J = sf.madd(J, x["I"])
    H = sf.madd(H, ((zero, -h[2], h[1]), (h[2], zero, -h[0]), (-h[1], h[0], zero)))
    M = sf.madd(M, ((m, zero, zero), (zero, m, zero), (zero, zero, m)))
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
    """Spatial inertia [[J, H], [H', M]] moved to the parent frame."""
    Rt = sf.transpose(R)
    J, H, M = (sf.matmul(R, sf.matmul(X, Rt)) for X in (J, H, M))
    H_parent = sf.madd(H, sf.cross_mat(p, M))
    # X [p]x has rows -(p x row), so -H [p]x has rows p x row
    J = sf.madd(sf.madd(J, tuple(sf.cross(p, row) for row in H)), sf.cross_mat(p, sf.transpose(H_parent)))
    return J, H_parent, M


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


def _solve(arm, factors, b):
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
