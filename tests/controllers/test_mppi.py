"""Path integral control draws the same futures from the same seed, departs from its nominal law only for less cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl.arm import load_arm
from armctl.controllers.mppi import PathIntegral
from armctl.dynamics import inverse_dynamics, mass_matrix
from tests.controllers.situations import finite_gradient, situation


class Few(PathIntegral):
    SAMPLES = 4


class Many(PathIntegral):
    SAMPLES = 32


def called(controller):
    """Compiled function of a carry, measurements and windows -> the next carry, commands."""
    graph, state = nnx.split(controller)
    return jax.jit(lambda *given: nnx.merge(graph, state)(*given))


def test_the_seed_decides(x64):
    m, w = situation()
    arm = load_arm("planar3")
    call, commands = called(Few(arm)), []
    for seed in (0, 0, 1):
        carry, first = call(Few(arm, seed=seed).init_carry((3,)), m, w)
        commands.append(np.stack([first, call(carry, m, w)[1]]))
    one, same, other = commands
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4


def test_without_perturbations_it_is_the_nominal_law(x64):
    m, w = situation()
    controller = Few(load_arm("planar3"))
    controller.log_std[...] = jnp.full(3, -50.0)
    kp, kd = (np.exp(np.asarray(x[...], np.float64)) for x in (controller.log_kp, controller.log_kd))
    qdd = (w.qd[:, 1] - w.qd[:, 0]) / 0.01 + kp * (w.q[:, 0] - m.q) + kd * (w.qd[:, 0] - m.qd)
    expected = np.asarray(inverse_dynamics(controller.arm, m.q, m.qd, qdd))
    limit = controller.arm.effort
    np.testing.assert_allclose(
        called(controller)(controller.init_carry((3,)), m, w)[1], np.clip(expected, -limit, limit), atol=1e-6
    )


@pytest.mark.slow
def test_more_samples_cost_less(x64):
    """The cost of the plan that comes out, on average over many situations: none, few, many samples."""
    m, w = situation(count=16)
    arm = load_arm("planar3")

    @jax.jit
    def costs():
        base, M = Few(arm).nominal(m, w), mass_matrix(arm, m.q)
        cost = lambda tau: jnp.mean(Few(arm).cost(m, w, tau[:, None]))  # noqa: E731
        found = [cost(base)]
        for controller in (Few(arm), Many(arm)):
            carry, command = controller(controller.init_carry((16,)), m, w)
            later = base[:, 1:] + carry.change[:, :-1] @ M
            found.append(cost(jnp.concatenate([command[:, None], later], axis=1)))
        return found

    none, few, many = map(float, costs())
    assert many < few < none


@pytest.mark.slow
def test_its_gains_have_a_gradient():
    assert finite_gradient(Few(load_arm("planar3")))
