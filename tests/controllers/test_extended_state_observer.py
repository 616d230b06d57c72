"""The observer finds the disturbance that acts, at any bandwidth, and its feedback leaves none of it in the error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics
from armctl.arm import load_arm
from armctl.controllers import make, saved
from armctl.motion.reference import Reference
from armctl.urdf import load_chain
from tests.controllers.situations import closed_loop, compiled, finite_gradient, situation


def observer(bandwidth):
    controller = make("extended_state_observer", load_arm("planar3"))
    value = np.full(3, np.log(bandwidth), np.float32)
    return saved.with_parameters(controller, saved.parameters(controller) | {"log_bandwidth": value})


@pytest.mark.parametrize("bandwidth", [10.0, 100.0, 1e4])
def test_the_poles_are_where_the_bandwidth_puts_them(bandwidth, x64):
    """The error's map, from one step to the next, has a threefold eigenvalue exp(-w dt), inside the circle always."""
    controller = observer(bandwidth)
    z = np.stack([np.eye(3)] * 3, axis=-1)  # one estimate at a time is wrong, the truth is zero
    A = np.asarray(controller.observe(z, np.zeros(3), np.zeros(3)))[..., 0].T
    pole = np.exp(-bandwidth * controller.control_dt)
    # of a threefold eigenvalue the polynomial is known better than the root
    np.testing.assert_allclose(np.poly(A), np.poly([pole] * 3), atol=1e-5)


def test_a_constant_disturbance_is_found_exactly(x64):
    """A double integrator under a held input and disturbance, started from an estimate that knows nothing of it."""
    controller, dt = observer(40.0), 0.01
    f, rng = np.array([3.0, -0.5, 20.0]), np.random.default_rng(0)
    q, qd = np.zeros(3), np.zeros(3)
    z = jnp.zeros((3, 3))
    for _ in range(150):
        u = rng.normal(size=3)
        q, qd = q + dt * qd + 0.5 * dt**2 * (u + f), qd + dt * (u + f)
        z = controller.observe(z, u, q)
    np.testing.assert_allclose(z, [q, qd, f], atol=1e-6)


def test_a_constant_torque_leaves_no_error():
    """Held at rest and pushed by a constant torque at every joint, computed torque gives way for good."""
    chain = load_chain("planar3")
    reference = Reference.from_joints(chain, 0.01, np.tile([0.4, 0.7, -0.5], (160, 1)))
    push = np.float32(0.05) * chain.effort.astype(np.float32)
    left = {}
    for name in ("extended_state_observer", "computed_torque"):
        q = closed_loop(compiled(name)[0], reference, 150, push)
        left[name] = np.abs(q[-1] - reference.q[0]).max()
    assert left["extended_state_observer"] < 1e-5
    assert left["computed_torque"] > 1e-3


def test_it_is_told_what_acted_not_what_was_wanted(x64):
    """Asked for far more than the motors have, the joints move as they can, and that is no disturbance."""
    controller, call = compiled("extended_state_observer")
    arm, (m, w) = controller.arm, jax.tree.map(lambda x: x[:1], situation())
    carry, command = call(controller.init_carry((1,)), m, w._replace(q=w.q + 5.0))
    np.testing.assert_allclose(np.abs(command), arm.effort[None])
    late = jax.nn.sigmoid(controller.delay[...])
    acting = (1 - late) * command + late * dynamics.gravity(arm, m.q)
    np.testing.assert_allclose(controller.acted(carry, m), dynamics.forward_dynamics(arm, *m, acting), rtol=1e-9)


@pytest.mark.slow
def test_its_gains_have_a_gradient():
    assert finite_gradient(compiled("extended_state_observer")[0])
