"""Dynamics of the JAX side against PyBullet and pinocchio, and its gradients against central differences."""

from dataclasses import replace
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics, rigid
from armctl.arm import Arm
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.urdf import load_chain
from tests.robots import ROBOTS, Pinocchio, nameless, plain_arm, random_chain, random_motion, worst

COUNT = 5
DOWN = np.tile([0.0, 0.0, -9.81], (COUNT, 1))  # one for each state


def all_of(arm, q, qd, qdd, tau, gravity):
    return {
        "mass_matrix": dynamics.mass_matrix(arm, q),
        "inverse": dynamics.inverse_dynamics(arm, q, qd, qdd, gravity),
        "forward": dynamics.forward_dynamics(arm, q, qd, tau, gravity),
    }


everything, forward = jax.jit(all_of), jax.jit(dynamics.forward_dynamics)


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


@pytest.mark.parametrize("robot", [*ROBOTS, "sliding"])
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
    held = everything(arm, q, 0 * q, 0 * q, tau, DOWN)["inverse"]
    assert worst(held, rigid.gravity(chain, q)) < 1e-12


@pytest.mark.parametrize("robot", ["panda", "iiwa14", "gen3"])
def test_single_precision(robot):
    """Inverse dynamics and M within 5e-6 of their largest entry. Forward dynamics divides by wrist inertias that are a
    thousand times smaller than the shoulder's, which costs those digits: 2e-3 of the largest acceleration."""
    chain = load_chain(robot)
    motion = [x.astype(np.float32) for x in random_motion(chain, COUNT)]
    said = jax.jit(all_of)(plain_arm(robot), *motion, DOWN)  # rounded as users' programs are
    assert all(x.dtype == np.float32 for x in said.values())
    q, qd, qdd, tau = (x.astype(float) for x in motion)
    M = rigid.mass_matrix(chain, q)
    assert worst(said["mass_matrix"], M) < 5e-6
    assert worst(said["inverse"], rigid.inverse_dynamics(chain, q, qd, qdd)) < 5e-6
    bias = rigid.inverse_dynamics(chain, q, qd, 0 * qdd)
    assert worst(said["forward"], np.linalg.solve(M, (tau - bias)[..., None])[..., 0]) < 2e-3


# --- batches and gradients ------------------------------------------------------------------------------------------

LEAVES = ("mass", "first_moment", "inertia")
FACTORS = np.array([0.5, 1.0, 2.0])


def plants(arm):
    """Plants of different weight on a batch axis in front of one for states: leaves (3, 1, n, ...)."""
    heavy = {}
    for name in LEAVES:
        leaf = getattr(arm, name)
        heavy[name] = FACTORS.reshape(-1, 1, *[1] * leaf.ndim) * leaf
    return replace(arm, **heavy)


def test_batches_are_loops_and_vmap(x64):
    chain, arm = load_chain("panda"), plain_arm("panda")
    motion = random_motion(chain, COUNT)
    said = everything(arm, *motion, DOWN)
    q, qd, _, tau = motion
    mapped = jax.jit(jax.vmap(dynamics.forward_dynamics, (None, 0, 0, 0)))(arm, q, qd, tau)
    np.testing.assert_allclose(mapped, said["forward"], rtol=1e-10, atol=1e-10)
    for k in range(2):
        alone = everything(arm, *(x[k] for x in motion), DOWN[k])
        for name, value in alone.items():
            assert value.shape == said[name].shape[1:]
            np.testing.assert_allclose(value, said[name][k], rtol=1e-10, atol=1e-10)


def test_plants_and_gravity_broadcast_against_states(x64):
    chain, arm = load_chain("panda"), plain_arm("panda")
    motion = random_motion(chain, COUNT)
    q, qd, _, tau = motion
    pulls = DOWN * np.linspace(0, 1, COUNT)[:, None]
    said = forward(plants(arm), q, qd, tau, pulls)
    for i, factor in enumerate(FACTORS):
        one = replace(arm, **{name: factor * getattr(arm, name) for name in LEAVES})
        for k in (0, COUNT - 1):
            alone = everything(one, *(x[k] for x in motion), pulls[k])
            np.testing.assert_allclose(said[i, k], alone["forward"], rtol=1e-9, atol=1e-10)


def test_mass_matrix_of_plants_scales_with_them(x64):
    arm = plain_arm("panda")
    q = random_motion(load_chain("panda"), COUNT)[0]
    said = jax.jit(dynamics.mass_matrix)(plants(arm), q)
    np.testing.assert_allclose(said, FACTORS[:, None, None, None] * dynamics.mass_matrix(arm, q), rtol=1e-10)


def weighted(arm, q, qd, tau, gravity, weight):
    return jnp.sum(weight * dynamics.forward_dynamics(arm, q, qd, tau, gravity))


INPUTS = ("q", "qd", "tau", "gravity", "mass", "first_moment", "inertia", "R_parent_link", "p_parent_link")


@pytest.mark.parametrize("robot", ["panda", "sliding"])
def test_gradients_equal_central_differences(robot, x64):
    """The panda with plants broadcast against states and gravities, so that the gradients of either are sums."""
    chain, arm = sliding() if robot == "sliding" else (load_chain(robot), plants(plain_arm(robot)))
    q, qd, _, tau = random_motion(chain, COUNT, seed=3)
    inputs = {"q": q, "qd": qd, "tau": tau, "gravity": DOWN * np.linspace(0.5, 1, COUNT)[:, None]}
    weight = np.random.default_rng(4).normal(size=(*arm.mass.shape[:-2], *q.shape))
    d_arm, *rest = jax.jit(jax.grad(weighted, argnums=(0, 1, 2, 3, 4)))(arm, *inputs.values(), weight)
    slopes = dict(zip(inputs, rest, strict=True))

    def value_at(name, value):
        moved = inputs | {name: value} if name in inputs else inputs
        other = arm if name in inputs else replace(arm, **{name: value})
        return np.sum(weight * forward(other, *moved.values()))

    for name in INPUTS:
        value = np.asarray(inputs[name] if name in inputs else getattr(arm, name))
        slope = np.asarray(slopes[name] if name in inputs else getattr(d_arm, name))
        assert slope.shape == value.shape
        direction = np.random.default_rng(5).normal(size=value.shape)
        if name == "inertia":  # a tensor stays symmetric
            direction = direction + direction.swapaxes(-1, -2)
        # in proportion to the entries, so that masses and inertias of light links stay positive
        h = 1e-6 * np.abs(value).min(initial=1, where=value != 0) if name in LEAVES else 1e-6
        numeric = (value_at(name, value + h * direction) - value_at(name, value - h * direction)) / (2 * h)
        assert worst([np.sum(slope * direction)], [numeric]) < 1e-5, name


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
