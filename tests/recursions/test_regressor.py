"""The torque of a motion taken apart: its parts add up to inverse dynamics, whatever the arm carries and stands on."""

import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics
from armctl.arm import load_arm
from armctl.controllers.believed_plant import Plant, inertia, possible_load, rigid_torque
from armctl.recursions.cholesky import inverse, inverse_cholesky
from armctl.rigid import about_origin

every_arm = pytest.mark.parametrize("name", ["panda", "ur5e", "planar3", "sliding"])


@pytest.fixture
def arm(name, sliding_urdf):
    return load_arm(sliding_urdf if name == "sliding" else name)


@pytest.fixture
def sliding_urdf(urdf):
    """An arm with a prismatic joint between two revolute ones."""

    def joint(index, kind, axis):
        return (
            f'<link name="l{index}"><inertial><origin xyz="0.1 0.05 0.2"/><mass value="{index + 1}"/>'
            '<inertia ixx="0.02" iyy="0.03" izz="0.025" ixy="0.001" ixz="0" iyz="0.002"/></inertial></link>'
            f'<joint name="j{index}" type="{kind}"><parent link="{f"l{index - 1}" if index else "base"}"/>'
            f'<child link="l{index}"/><origin xyz="0.1 0 0.3" rpy="0.2 0.1 0"/><axis xyz="{axis}"/>'
            '<limit lower="-1" upper="1" effort="50" velocity="2"/></joint>'
        )

    parts = [joint(0, "revolute", "0 0 1"), joint(1, "prismatic", "0 1 0"), joint(2, "revolute", "1 0 0")]
    return urdf(f'<robot name="sliding"><link name="base"/>{"".join(parts)}</robot>')


def motion(arm, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(x) for x in rng.normal(size=(3, 4, arm.n)))


def loaded(arm, mass, centre, tensor):
    """The arm with a load at the tip; centre in the last link's axes from the tip."""
    at = centre + arm.p_last_tip
    m, h, inertia = arm.mass.copy(), arm.first_moment.copy(), arm.inertia.copy()
    m[-1] += mass
    h[-1] += mass * at
    inertia[-1] += about_origin(np.asarray(mass), at, tensor)
    return arm.with_params(m, h, inertia)


@every_arm
def test_links_add_up_to_inverse_dynamics_and_gravity_is_linear(arm, x64):
    q, qd, qdd = motion(arm)
    level, more = np.array([0.3, -0.2, -9.7]), np.array([0.1, 0.2, 0.3])
    parts = dynamics.torque_regressor(arm, q, qd, qdd, level)
    torque = dynamics.inverse_dynamics(arm, q, qd, qdd, level)
    np.testing.assert_allclose(parts.links.sum(-1), torque, atol=1e-11)
    tilted = dynamics.inverse_dynamics(arm, q, qd, qdd, level + more)
    np.testing.assert_allclose(torque + parts.gravity @ more, tilted, atol=1e-11)


@every_arm
def test_a_believed_plant_is_the_plant(arm, x64):
    """Load, scaled links and a tilted base: torque and mass matrix of the belief are those of an arm built so."""
    q, qd, qdd = motion(arm)
    mass, centre, tensor = 1.3, np.array([0.03, -0.02, 0.05]), np.array([[12, 1, 0], [1, 20, 2], [0, 2, 15]]) * 1e-3
    about = about_origin(np.asarray(mass), centre, tensor)
    load = np.concatenate([[mass], mass * centre, about[np.triu_indices(3)]])
    scale = np.linspace(0.9, 1.1, arm.n)
    zero, one, tilt = np.zeros(arm.n), np.ones(arm.n), np.array([0.2, -0.3, 0.01])
    plant = Plant(*(jnp.asarray(x) for x in (load, scale, tilt, zero, zero, one, np.zeros((arm.n, 0)))))
    scaled = arm.with_params(arm.mass * scale, arm.first_moment * scale[:, None], arm.inertia * scale[:, None, None])
    true = loaded(scaled, mass, centre, tensor)
    level = np.array([0.0, 0.0, -9.81])
    parts = dynamics.torque_regressor(arm, q, qd, qdd, level + tilt)
    wanted = dynamics.inverse_dynamics(true, q, qd, qdd, level + tilt)
    np.testing.assert_allclose(rigid_torque(plant._replace(tilt=0 * plant.tilt), parts), wanted, atol=1e-11)
    M = inertia(plant, dynamics.mass_matrix(scaled, q), parts)
    np.testing.assert_allclose(M, dynamics.mass_matrix(true, q), atol=1e-11)


def test_a_load_that_cannot_be_becomes_one_that_can(x64):
    rng = np.random.default_rng(1)
    for row in rng.normal(size=(50, 10)):
        load = np.asarray(possible_load(jnp.asarray(row)))
        assert load[0] >= 0
        pairs = np.zeros((3, 3))
        pairs[np.triu_indices(3)] = load[4:]
        tensor = pairs + np.triu(pairs, 1).T
        h = load[1:4]
        skew = np.array([[0, -h[2], h[1]], [h[2], 0, -h[0]], [-h[1], h[0], 0]])
        spatial = np.block([[tensor, skew], [skew.T, load[0] * np.eye(3)]])
        assert np.linalg.eigvalsh(spatial).min() > -1e-9


def test_factors_whiten(x64):
    rng = np.random.default_rng(2)
    A = rng.normal(size=(5, 4, 4))
    S = A @ A.swapaxes(-1, -2) + 0.1 * np.eye(4)
    whitening = np.asarray(inverse_cholesky(jnp.asarray(S)))
    np.testing.assert_allclose(
        whitening @ S @ whitening.swapaxes(-1, -2), np.broadcast_to(np.eye(4), S.shape), atol=1e-9
    )
    np.testing.assert_array_equal(np.triu(whitening, 1), 0)
    np.testing.assert_allclose(inverse(jnp.asarray(S)), np.linalg.inv(S), atol=1e-9)
