"""Dynamics of the JAX side against PyBullet and pinocchio, and its gradients against central differences."""

from dataclasses import replace
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics, rigid
from armctl.arm import Arm
from armctl.envs.arm_body import ArmBody
from armctl.envs.bullet import p
from armctl.urdf import load_chain
from tests.robots import ROBOTS, Pinocchio, nameless, plain_arm, random_chain, random_motion, worst

COUNT = 5
DOWN = np.array([0.0, 0.0, -9.81])


@jax.jit
def everything(arm, q, qd, qdd, tau, gravity):
    return {
        "mass_matrix": dynamics.mass_matrix(arm, q),
        "inverse": dynamics.inverse_dynamics(arm, q, qd, qdd, gravity),
        "forward": dynamics.forward_dynamics(arm, q, qd, tau, gravity),
    }


@lru_cache
def sliding():
    """A chain with sliding joints and its arm."""
    chain = random_chain()
    return chain, nameless(Arm.from_chain(chain))


def matvec(M, v):
    return (np.asarray(M) @ np.asarray(v)[..., None])[..., 0]


@pytest.mark.parametrize("robot", ROBOTS)
def test_equals_pinocchio_and_pybullet(robot, x64):
    chain = load_chain(robot)
    q, qd, qdd, tau = random_motion(chain, COUNT)
    said = everything(plain_arm(robot), q, qd, qdd, tau, DOWN)
    held = everything(plain_arm(robot), q, 0 * q, 0 * q, tau, DOWN)["inverse"]
    model, body = Pinocchio(chain), ArmBody(chain)
    for k in range(COUNT):
        want = model(q[k], qd[k], qdd[k], tau[k])
        for name in said:
            assert worst(said[name][k], want[name]) < 1e-9, name
        assert worst(held[k], want["gravity"]) < 1e-9
        M, g = body.mass_and_gravity(q[k])
        args = [x[k].tolist() for x in (q, qd, qdd)]
        inverse = p.calculateInverseDynamics(body.id, *args, physicsClientId=body.client)
        assert worst(said["mass_matrix"][k], M) < 1e-9
        assert worst(held[k], g) < 1e-9
        assert worst(said["inverse"][k], inverse) < 1e-9
        assert worst(said["forward"][k], bullet_acceleration(body, q[k], qd[k], tau[k])) < 1e-9
    body.close()


def bullet_acceleration(body, q, qd, tau):
    """Mean acceleration over one step of Bullet's, which is explicit in the velocity."""
    body.reset(q, qd)
    body.set_torque(forces=tau.tolist())
    body.step()
    return (body.state()[1] - qd) / body.physics_dt


def laws(arm, q, qd, qdd, tau):
    """What must hold whatever the arm: relative deviations."""
    said = everything(arm, q, qd, qdd, tau, DOWN)
    still = everything(arm, q, qd, 0 * qdd, tau, DOWN)
    back = everything(arm, q, qd, qdd, said["inverse"], DOWN)["forward"]
    M = np.asarray(said["mass_matrix"])
    assert np.linalg.eigvalsh(M).min() > 0
    return {
        "forward dynamics inverts inverse dynamics": worst(back, qdd),
        "mass matrix is symmetric": worst(M, M.swapaxes(-1, -2)),
        "inverse dynamics is linear in acceleration": worst(matvec(M, qdd), said["inverse"] - still["inverse"]),
        "forward dynamics solves M qdd = tau - h": worst(matvec(M, said["forward"]), tau - still["inverse"]),
    }


@pytest.mark.parametrize("robot", ["panda", "gen3", "planar3", "sliding"])
def test_laws(robot, x64):
    chain, arm = sliding() if robot == "sliding" else (load_chain(robot), plain_arm(robot))
    for name, deviation in laws(arm, *random_motion(chain, COUNT)).items():
        assert deviation < 1e-9, name


def test_sliding_joints_equal_numpy(x64):
    chain, arm = sliding()
    q, qd, qdd, tau = random_motion(chain, COUNT)
    said = everything(arm, q, qd, qdd, tau, DOWN)
    assert worst(said["mass_matrix"], rigid.mass_matrix(chain, q)) < 1e-12
    assert worst(said["inverse"], rigid.inverse_dynamics(chain, q, qd, qdd)) < 1e-12
    assert worst(dynamics.gravity(arm, q), rigid.gravity(chain, q)) < 1e-12


@pytest.mark.parametrize("robot", ["panda", "iiwa14", "gen3"])
def test_single_precision(robot):
    """Inverse dynamics and M within 5e-6 of their largest entry. Forward dynamics divides by wrist inertias that are a
    thousand times smaller than the shoulder's, which costs those digits: 2e-3 of the largest acceleration."""
    chain = load_chain(robot)
    motion = [x.astype(np.float32) for x in random_motion(chain, COUNT)]
    said = everything(plain_arm(robot), *motion, DOWN)
    assert all(x.dtype == np.float32 for x in said.values())
    q, qd, qdd, tau = (x.astype(float) for x in motion)
    M = rigid.mass_matrix(chain, q)
    assert worst(said["mass_matrix"], M) < 5e-6
    assert worst(said["inverse"], rigid.inverse_dynamics(chain, q, qd, qdd)) < 5e-6
    bias = rigid.inverse_dynamics(chain, q, qd, 0 * qdd)
    assert worst(said["forward"], np.linalg.solve(M, (tau - bias)[..., None])[..., 0]) < 2e-3


# --- gradients ------------------------------------------------------------------------------------------------------


def weighted(arm, q, qd, tau, gravity, weight):
    return jnp.sum(weight * dynamics.forward_dynamics(arm, q, qd, tau, gravity))


gradients = jax.jit(jax.grad(weighted, argnums=(0, 1, 2, 3, 4)))
INPUTS = ("q", "qd", "tau", "gravity", "mass", "first_moment", "inertia", "R_parent_link", "p_parent_link")


@pytest.mark.parametrize("robot", ["panda", "sliding"])
def test_gradients_equal_central_differences(robot, x64):
    chain, arm = sliding() if robot == "sliding" else (load_chain(robot), plain_arm(robot))
    q, qd, qdd, tau = random_motion(chain, COUNT, seed=3)
    weight = np.random.default_rng(4).normal(size=q.shape)
    d_arm, *rest = gradients(arm, q, qd, tau, DOWN, weight)
    slopes = dict(zip(INPUTS, rest, strict=False))
    for name in INPUTS:
        value = {"q": q, "qd": qd, "tau": tau, "gravity": DOWN}.get(name)
        value = getattr(arm, name) if value is None else value
        slope = np.asarray(slopes.get(name, getattr(d_arm, name, None)))
        direction = np.random.default_rng(5).normal(size=np.shape(value))
        if name == "inertia":  # a tensor stays symmetric
            direction = direction + direction.swapaxes(-1, -2)
        # mass and inertia are positive; steps in proportion keep them so
        h = 1e-6 * np.abs(value).max() / np.abs(direction).max() if hasattr(arm, name) else 1e-6
        above, below = (shifted(arm, q, qd, qdd, tau, name, value + s * h * direction) for s in (1, -1))
        numeric = np.sum(weight * (above - below)) / (2 * h)
        assert worst([np.sum(slope * direction)], [numeric]) < 1e-5, name


def shifted(arm, q, qd, qdd, tau, name, value):
    """Forward dynamics with one input replaced."""
    inputs = {"q": q, "qd": qd, "tau": tau, "gravity": DOWN}
    if name in inputs:
        inputs[name] = value
    else:
        arm = replace(arm, **{name: value})
    said = everything(arm, inputs["q"], inputs["qd"], qdd, inputs["tau"], inputs["gravity"])
    return np.asarray(said["forward"])


# --- batches --------------------------------------------------------------------------------------------------------


def test_batches_are_loops_and_vmap(x64):
    chain, arm = load_chain("planar3"), plain_arm("planar3")
    flat = random_motion(chain, 6)
    mapped = jax.jit(jax.vmap(everything, (None, 0, 0, 0, 0, None)))(arm, *flat, DOWN)
    for shape in ((), (2, 3)):
        count = int(np.prod(shape))
        said = everything(arm, *(x[:count].reshape(*shape, 3) for x in flat), DOWN)
        for name, value in said.items():
            want = np.asarray(mapped[name])[:count].reshape(*shape, *mapped[name].shape[1:])
            assert value.shape == want.shape
            np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12)


def test_inertial_parameters_and_gravity_batch_and_broadcast(x64):
    """Plants on one axis, states on another: every pair, and the gradient of what is shared is summed over it."""
    chain, arm = load_chain("planar3"), plain_arm("planar3")
    q, qd, qdd, tau = random_motion(chain, 3)
    factor = np.array([0.5, 1.0, 2.0, 3.0])
    heavy = {name: factor.reshape(4, 1, *[1] * np.ndim(getattr(arm, name))) * getattr(arm, name) for name in LEAVES}
    pulls = DOWN * np.array([1.0, 0.5, 0.0])[:, None]
    said = everything(replace(arm, **heavy), q, qd, qdd, tau, pulls)
    for i, j in np.ndindex(4, 3):
        one = replace(arm, **{name: factor[i] * getattr(arm, name) for name in LEAVES})
        alone = everything(one, q[j], qd[j], qdd[j], tau[j], pulls[j])
        for name in ("forward", "inverse"):
            np.testing.assert_allclose(said[name][i, j], alone[name], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(np.broadcast_to(said["mass_matrix"], (4, 3, 3, 3))[i, j], alone["mass_matrix"])
    d_arm, d_q, _, d_tau, d_pull = gradients(replace(arm, **heavy), q, qd, tau, pulls, np.ones((4, 3, 3)))
    assert (d_q.shape, d_tau.shape, d_pull.shape) == (q.shape, tau.shape, pulls.shape)
    assert d_arm.mass.shape == heavy["mass"].shape
    inverse = np.linalg.inv(np.broadcast_to(np.asarray(said["mass_matrix"]), (4, 3, 3, 3)))
    np.testing.assert_allclose(d_tau, inverse.sum(axis=(0, -2)), rtol=1e-9)


LEAVES = ("mass", "first_moment", "inertia")


def test_free_motion_keeps_its_energy(x64):
    """Semi-implicit Euler is of first order: over the same 0.2 s the energy error shrinks with the step."""
    chain, arm = load_chain("planar3"), plain_arm("planar3")

    @jax.jit
    def swing(count):
        def step(_, state):
            q, qd = state
            qd = qd + 0.2 / count * dynamics.forward_dynamics(arm, q, qd, jnp.zeros(3))
            return q + 0.2 / count * qd, qd

        return jax.lax.fori_loop(0, count, step, (jnp.asarray(chain.home), jnp.ones(3)))

    def energy(q, qd):
        T = rigid.link_poses(chain, q)
        com = T[..., :3, 3] + (T[..., :3, :3] @ chain.com[..., None])[..., 0]
        return 0.5 * qd @ rigid.mass_matrix(chain, q) @ qd + 9.81 * np.sum(chain.mass * com[..., 2])

    start = energy(chain.home, np.ones(3))
    coarse, fine = (abs(energy(*map(np.asarray, swing(count))) - start) for count in (200, 2000))
    assert coarse < 2e-2 * abs(start)
    assert fine < 0.15 * coarse
