"""The physics contract: a PyBullet step is semi-implicit Euler on the rigid-body equations of the chain."""

import numpy as np
import pytest

from armctl import rigid
from armctl.chain import joint_box
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.geometry import quat_to_matrix
from armctl.plant.scenario import Scenario, true_chain
from armctl.plant.servo import TOP_SPEED
from armctl.urdf import load_chain, robots

DT = 0.002


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_state(chain, rng):
    return rng.uniform(*joint_box(chain, 0.2)), 0.5 * rng.normal(size=chain.n)


@pytest.mark.parametrize("robot", robots())
@pytest.mark.parametrize("scenario", [Scenario(), Scenario(payload_mass=2.0, payload_com=(0.1, 0.0, 0.05))])
def test_a_step_is_semi_implicit_euler(robot, scenario, rng):
    chain = true_chain(load_chain(robot), scenario)
    gravity = (0.0, 1.0, -9.0)
    body = ArmBody(chain, gravity=gravity)
    for _ in range(5):
        q, qd = random_state(chain, rng)
        tau, wrench = chain.effort * rng.uniform(-0.3, 0.3, chain.n), 5 * rng.normal(size=6)
        body.reset(q, qd)
        body.set_torque(forces=tau.tolist())
        body.apply_wrench(wrench[:3].tolist(), wrench[3:].tolist())
        body.step()
        bias = rigid.inverse_dynamics(chain, q, qd, np.zeros(chain.n), gravity=gravity)
        external = rigid.jacobian(chain, q).T @ wrench
        expected = qd + DT * np.linalg.solve(rigid.mass_matrix(chain, q), tau + external - bias)
        after, rate = body.state()
        expected = np.clip(expected, -TOP_SPEED, TOP_SPEED)
        np.testing.assert_allclose(rate, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(after, q + DT * expected, rtol=1e-9, atol=1e-9)
    body.close()


@pytest.mark.parametrize("robot", robots())
def test_tip_and_model_agree_with_the_chain(robot, rng):
    chain = load_chain(robot)
    body = ArmBody(chain)
    for _ in range(5):
        q, qd = random_state(chain, rng)
        body.reset(q, qd)
        position, quat = body.tip()
        T = rigid.forward_kinematics(chain, q)
        np.testing.assert_allclose(position, T[:3, 3], atol=1e-12)
        np.testing.assert_allclose(quat_to_matrix(np.array(quat)), T[:3, :3], atol=1e-12)
        M, g = body.mass_and_gravity(q)
        np.testing.assert_allclose(M, rigid.mass_matrix(chain, q), atol=1e-11)
        np.testing.assert_allclose(g, rigid.gravity(chain, q), atol=1e-11)
    body.close()


def test_close_is_idempotent():
    body = ArmBody(load_chain("planar3"))
    body.close()
    body.close()
    assert not p.isConnected(body.client)


def test_no_file_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ArmBody(load_chain("planar3")).close()
    assert list(tmp_path.iterdir()) == []
