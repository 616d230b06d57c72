"""Laws of the NumPy rigid-body functions, sliding joints included (against engines: test_assets, test_urdf)."""

import numpy as np
import pytest

from armctl import geometry, rigid
from armctl.urdf import load_chain
from tests.robots import random_chain, random_motion, worst

CHAINS = [random_chain(seed=0), random_chain(("prismatic", "prismatic", "revolute"), seed=1), load_chain("gen3")]
each_chain = pytest.mark.parametrize("chain", CHAINS, ids=["mixed", "gantry", "gen3"])


@each_chain
def test_jacobian_is_the_derivative_of_forward_kinematics(chain):
    q = random_motion(chain, 3)[0]
    h = 1e-6
    ahead = rigid.forward_kinematics(chain, q[:, None] + h * np.eye(chain.n))
    behind = rigid.forward_kinematics(chain, q[:, None] - h * np.eye(chain.n))
    linear = (ahead - behind)[..., :3, 3] / (2 * h)
    angular = geometry.rotation_error_vector(ahead[..., :3, :3], behind[..., :3, :3]) / (2 * h)
    numeric = np.concatenate([linear, angular], axis=-1).swapaxes(-1, -2)
    assert worst(rigid.jacobian(chain, q), numeric) < 1e-8


@each_chain
def test_the_rate_of_the_jacobian_is_its_derivative_along_the_motion(chain):
    q, qd = random_motion(chain, 3)[:2]
    h = 1e-6
    tip, J, rate = rigid.jacobian_rate(chain, q, qd)
    numeric = (rigid.jacobian(chain, q + h * qd) - rigid.jacobian(chain, q - h * qd)) / (2 * h)
    assert worst(rate, numeric) < 1e-8
    assert worst(J, rigid.jacobian(chain, q)) < 1e-14
    assert worst(tip, rigid.forward_kinematics(chain, q)) < 1e-14


@each_chain
def test_inverse_dynamics_is_linear_in_acceleration_with_the_mass_matrix(chain):
    q, qd, qdd, _ = random_motion(chain, 3)
    M, g = rigid.mass_and_gravity(chain, q)
    rest = rigid.inverse_dynamics(chain, q, qd, 0 * qdd)
    tau = rigid.inverse_dynamics(chain, q, qd, qdd)
    assert worst((M @ qdd[..., None])[..., 0], tau - rest) < 1e-12
    assert worst(rigid.inverse_dynamics(chain, q, 0 * qd, 0 * qdd), g) < 1e-12
    assert worst(M, M.swapaxes(-1, -2)) < 1e-14
    assert np.linalg.eigvalsh(M).min() > 0


@each_chain
def test_power_of_the_joints_is_the_rate_of_the_energy(chain):
    q, qd, qdd, _ = random_motion(chain, 3, seed=2)

    def energy(q, qd):
        T = rigid.link_poses(chain, q)
        com = T[..., :3, 3] + (T[..., :3, :3] @ chain.com[..., None])[..., 0]
        kinetic = 0.5 * np.einsum("...i,...ij,...j->...", qd, rigid.mass_matrix(chain, q), qd)
        return kinetic + 9.81 * np.sum(chain.mass * com[..., 2], axis=-1)

    h = 1e-6
    rate = (energy(q + h * qd, qd + h * qdd) - energy(q - h * qd, qd - h * qdd)) / (2 * h)
    power = np.sum(rigid.inverse_dynamics(chain, q, qd, qdd) * qd, axis=-1)
    assert worst(power, rate) < 1e-7


@each_chain
def test_batches_are_loops(chain):
    q, qd, qdd, _ = (x.reshape(2, 3, chain.n) for x in random_motion(chain, 6))
    for function, args in (
        (rigid.forward_kinematics, (q,)),
        (rigid.link_poses, (q,)),
        (rigid.jacobian, (q,)),
        (rigid.mass_matrix, (q,)),
        (rigid.gravity, (q,)),
        (rigid.inverse_dynamics, (q, qd, qdd)),
    ):
        loop = np.array([[function(chain, *(x[i, j] for x in args)) for j in range(3)] for i in range(2)])
        np.testing.assert_allclose(function(chain, *args), loop, atol=1e-12, err_msg=function.__name__)


def test_gravity_direction_is_an_argument():
    chain = CHAINS[0]
    q = random_motion(chain, 3)[0]
    tilted = (1.0, -2.0, -9.0)
    assert worst(rigid.gravity(chain, q, tilted), rigid.inverse_dynamics(chain, q, 0 * q, 0 * q, tilted)) < 1e-12
    assert np.abs(rigid.gravity(chain, q, (0, 0, 0))).max() == 0
