"""The tip under impedance control is a spring, a damper and the arm's own inertia, and nothing else."""

import jax
import numpy as np
import pytest

from armctl import dynamics, kinematics
from armctl.controllers.preview import ahead, held, lead_steps
from armctl.plant.observe import Measurement
from tests.controllers.situations import compiled, finite_gradient, situation


def test_without_an_error_it_is_inverse_dynamics_of_the_reference(x64):
    controller, call = compiled("impedance")
    _, w = situation()
    m = Measurement(w.q[:, 0], w.qd[:, 0])
    qdd = held(ahead(w, lead_steps(controller.lead, controller.preview)).qd, controller.control_dt)
    expected = dynamics.inverse_dynamics(controller.arm, m.q, m.qd, qdd)
    np.testing.assert_allclose(call((), m, w)[1], expected, atol=1e-6)


def test_a_push_at_the_tip_meets_the_stiffness(x64):
    """At rest the joints give way until tau(q) - g(q) + J' F = 0, and the tip by K^-1 F, whatever pulls the posture."""
    controller, call = compiled("impedance", "panda")
    arm, (_, w) = controller.arm, situation("panda")
    w = jax.tree.map(lambda x: x[0], w)
    still = w._replace(q=0 * w.q + w.q[0], qd=0 * w.qd, twist=0 * w.twist, p=0 * w.p, R=0 * w.R)
    T = np.asarray(kinematics.forward_kinematics(arm, w.q[0]))
    still = still._replace(p=still.p + T[:3, 3], R=still.R + T[:3, :3])

    excess = lambda q: np.asarray(call((), Measurement(q, 0 * q), still)[1] - dynamics.gravity(arm, q))  # noqa: E731
    h = 1e-6 * np.eye(arm.n)
    slope = np.stack([(excess(w.q[0] + d) - excess(w.q[0] - d)) / 2e-6 for d in h], axis=-1)
    J = np.asarray(jax.jit(kinematics.jacobian)(arm, w.q[0]))
    R, zero = T[:3, :3], np.zeros((3, 3))
    linear, angular = (R * np.exp(x[...]) @ R.T for x in (controller.log_k_position, controller.log_k_rotation))
    K = np.block([[linear, zero], [zero, angular]])
    met = K @ J @ -np.linalg.solve(slope, J.T)
    scale = np.repeat([1.0, 10.0], 3)  # 1 N and 0.1 N m are worth the same
    np.testing.assert_allclose(
        scale[:, None] * met / scale, np.eye(6), atol=0.05
    )  # what the projection lets through near singular axes


@pytest.mark.slow
def test_its_gains_have_a_gradient():
    assert finite_gradient(compiled("impedance")[0])
