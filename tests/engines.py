"""Check a Chain against two independent engines: PyBullet (canonical URDF) and pinocchio (raw file)."""

from pathlib import Path

import numpy as np
import pinocchio as pin
import pybullet

from armctl import rigid


def random_states(chain, count=3, seed=0):
    """Configurations inside the limits and velocities, (count, n) each."""
    rng = np.random.default_rng(seed)
    low, high = np.maximum(chain.lower, -3.0), np.minimum(chain.upper, 3.0)
    return rng.uniform(low, high, (count, chain.n)), rng.uniform(-1, 1, (count, chain.n))


def assert_equals_pybullet(chain, path: Path, text: str) -> None:
    """The canonical URDF, loaded in PyBullet, has the chain's link poses, mass matrix and bias forces."""
    path.write_text(text)
    client = pybullet.connect(pybullet.DIRECT)
    try:
        pybullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=client)
        pybullet.setGravity(0, 0, -9.81, physicsClientId=client)
        flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        body = pybullet.loadURDF(str(path), useFixedBase=True, flags=flags, physicsClientId=client)
        assert pybullet.getNumJoints(body, physicsClientId=client) == chain.n
        for q, qd in zip(*random_states(chain), strict=True):
            for index in range(chain.n):
                pybullet.resetJointState(body, index, q[index], physicsClientId=client)
            poses = rigid.link_poses(chain, q)
            for index in range(chain.n):
                state = pybullet.getLinkState(body, index, computeForwardKinematics=True, physicsClientId=client)
                R, p_world_link = poses[index, :3, :3], poses[index, :3, 3]
                np.testing.assert_allclose(state[0], R @ chain.com[index] + p_world_link, atol=1e-9)
                # PyBullet keeps the offset from the com back to the link frame in single precision.
                np.testing.assert_allclose(state[4], p_world_link, atol=1e-6)
                np.testing.assert_allclose(pybullet.getMatrixFromQuaternion(state[5]), R.ravel(), atol=2e-6)
            M = pybullet.calculateMassMatrix(body, q.tolist(), physicsClientId=client)
            np.testing.assert_allclose(M, rigid.mass_matrix(chain, q), rtol=1e-9, atol=1e-10)
            bias = pybullet.calculateInverseDynamics(
                body, q.tolist(), qd.tolist(), [0.0] * chain.n, physicsClientId=client
            )
            np.testing.assert_allclose(bias, rigid.inverse_dynamics(chain, q, qd, 0 * q), rtol=1e-9, atol=1e-9)
    finally:
        pybullet.disconnect(client)


def assert_equals_pinocchio(chain, path: Path) -> None:
    """The raw file, loaded in pinocchio with the joints off the chain locked at zero, has the chain's dynamics."""
    model = pin.buildModelFromUrdf(str(path))
    off = [model.getJointId(name) for name in model.names[1:] if name not in chain.joint_names]
    model = pin.buildReducedModel(model, off, pin.neutral(model))
    assert tuple(model.names[1:]) == chain.joint_names
    data = model.createData()
    for q, qd in zip(*random_states(chain), strict=True):
        configuration = pin.integrate(model, pin.neutral(model), q)
        pin.framesForwardKinematics(model, data, configuration)
        tip = data.oMf[model.getFrameId(chain.tip)].homogeneous
        np.testing.assert_allclose(rigid.forward_kinematics(chain, q), tip, atol=1e-9)
        upper = np.triu(pin.crba(model, data, configuration))
        M = upper + np.triu(upper, 1).T
        np.testing.assert_allclose(rigid.mass_matrix(chain, q), M, rtol=1e-9, atol=1e-10)
        bias = pin.rnea(model, data, configuration, qd, 0 * qd)
        np.testing.assert_allclose(rigid.inverse_dynamics(chain, q, qd, 0 * q), bias, rtol=1e-9, atol=1e-9)
