"""Forward kinematics and Jacobian of the JAX side against PyBullet, pinocchio and finite differences."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from armctl import kinematics, rigid
from armctl.arm import Arm
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.urdf import load_chain
from tests.robots import ROBOTS, Pinocchio, nameless, plain_arm, random_chain, random_motion, worst

COUNT = 5


def all_of(arm, q):
    T, J = kinematics.pose_and_jacobian(arm, q)
    return {"tip": T, "jacobian": J, "links": kinematics.link_poses(arm, q)}


everything = jax.jit(all_of)


@pytest.mark.parametrize("robot", ROBOTS)
def test_equals_pinocchio_and_pybullet(robot, x64):
    chain = load_chain(robot)
    q, qd, qdd, tau = random_motion(chain, COUNT)
    said = everything(plain_arm(robot), q)
    model, body = Pinocchio(chain), ArmBody(chain)
    for k in range(COUNT):
        want = model(q[k], qd[k], qdd[k], tau[k])
        assert worst(said["tip"][k], want["tip"]) < 1e-9
        assert worst(said["jacobian"][k], want["jacobian"]) < 1e-9
        body.place(q[k], 0 * q[k])
        position, quat = body.tip()
        assert worst(said["tip"][k, :3, 3], position) < 1e-9
        assert worst(said["tip"][k, :3, :3], Rotation.from_quat(quat).as_matrix()) < 1e-9
        assert worst(said["jacobian"][k], bullet_jacobian(body, {name: x[k] for name, x in said.items()}, q[k])) < 1e-9
    body.close()


def bullet_jacobian(body, said, q):
    """PyBullet's Jacobian of the last link's frame, carried to the tip (Bullet says where in single precision only)."""
    zero = [0.0] * len(q)
    args = (body.id, len(q) - 1, [0.0] * 3, q.tolist(), zero, zero)
    linear, angular = map(np.array, p.calculateJacobian(*args, physicsClientId=body.client))
    lever = np.asarray(said["tip"][:3, 3] - said["links"][-1, :3, 3])
    return np.concatenate([linear + np.cross(angular, lever[:, None], axis=0), angular])


@pytest.mark.parametrize("robot", ["panda", "gen3"])
def test_single_precision(robot):
    """Six products of rotations rounded at 6e-8 each: 2e-6 of a metre-sized arm."""
    chain = load_chain(robot)
    q = random_motion(chain, COUNT)[0].astype(np.float32)
    said = jax.jit(all_of)(plain_arm(robot), q)  # rounded as users' programs are
    assert all(x.dtype == np.float32 for x in said.values())
    assert worst(said["tip"], rigid.forward_kinematics(chain, q)) < 2e-6
    assert worst(said["jacobian"], rigid.jacobian(chain, q)) < 2e-6


def test_sliding_joints(x64):
    chain = random_chain()
    q = random_motion(chain, COUNT)[0]
    said = everything(nameless(Arm.from_chain(chain)), q)
    assert worst(said["tip"], rigid.forward_kinematics(chain, q)) < 1e-12
    assert worst(said["links"], rigid.link_poses(chain, q)) < 1e-12
    assert worst(said["jacobian"], rigid.jacobian(chain, q)) < 1e-12


def test_jacobian_is_the_derivative_that_jax_takes(x64):
    arm, q = plain_arm("panda"), random_motion(load_chain("panda"), COUNT)[0]
    qd = np.random.default_rng(1).normal(size=q.shape)
    T, dT = jax.jit(lambda q: jax.jvp(lambda q: kinematics.forward_kinematics(arm, q), (q,), (qd,)))(q)
    twist = (everything(arm, q)["jacobian"] @ qd[..., None])[..., 0]
    spin = dT[..., :3, :3] @ T[..., :3, :3].swapaxes(-1, -2)
    assert worst(dT[..., :3, 3], twist[..., :3]) < 1e-12
    assert worst(np.stack([spin[..., 2, 1], spin[..., 0, 2], spin[..., 1, 0]], axis=-1), twist[..., 3:]) < 1e-12


def test_batches_are_loops_and_vmap(x64):
    arm = plain_arm("planar3")
    q = np.random.default_rng(0).normal(size=(COUNT, 3))
    flat = everything(arm, q)
    mapped = jax.jit(jax.vmap(all_of, (None, 0)))(arm, q)
    for shape in ((), (1, COUNT)):
        said = everything(arm, q[0] if shape == () else q.reshape(*shape, 3))
        for name, value in said.items():
            want = flat[name][0] if shape == () else flat[name][None]
            assert value.shape == want.shape
            np.testing.assert_allclose(value, want, atol=1e-14)
            np.testing.assert_allclose(mapped[name], flat[name], atol=1e-14)


def test_gradients_of_the_tip_reach_joints_and_lengths(x64):
    """With and without the arm among what is differentiated: another rule serves each."""
    chain = random_chain()
    arm = nameless(Arm.from_chain(chain))
    q = random_motion(chain, 1)[0][0]
    weight = np.random.default_rng(1).normal(size=(4, 4))

    def value(p_parent_link, q):
        moved = replace(arm, p_parent_link=p_parent_link)
        return jnp.sum(weight * kinematics.forward_kinematics(moved, q))

    both = jax.jit(jax.grad(value, (0, 1)))(arm.p_parent_link, q)
    alone = jax.jit(jax.grad(value, 1))(arm.p_parent_link, q)
    np.testing.assert_allclose(both[1], alone, atol=1e-12)
    evaluate = jax.jit(value)
    for i, start in enumerate((arm.p_parent_link, q)):
        direction = np.random.default_rng(2).normal(size=start.shape)
        ends = [[arm.p_parent_link, q] for _ in range(2)]
        for sign, end in zip((1, -1), ends, strict=True):
            end[i] = start + sign * 1e-6 * direction
        numeric = (evaluate(*ends[0]) - evaluate(*ends[1])) / 2e-6
        assert worst([np.sum(both[i] * direction)], [numeric]) < 1e-6
