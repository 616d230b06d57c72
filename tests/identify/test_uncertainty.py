"""Uncertainty against closed forms: a linear-Gaussian problem, a known autocorrelation, a direction nobody sees."""

import numpy as np
import pytest

from armctl.identify import projection
from armctl.identify.uncertainty import Posterior, correlation_time, gaussian, weak_directions

RNG = np.random.default_rng(0)
PRIOR = np.array([2.0, 0.5, 1.0])


def test_linear_gaussian_problem_has_the_closed_form():
    rows = RNG.normal(size=(40, 3))
    expected = np.linalg.inv(rows.T @ rows + np.diag(1 / PRIOR**2))
    np.testing.assert_allclose(gaussian(rows, PRIOR), expected, rtol=1e-10)


def test_eliminated_states_leave_the_joint_solution():
    """States and parameters solved for at once, and parameters first: the same estimate, covariance and leverage."""
    r, A, B = RNG.normal(size=(4, 12)), RNG.normal(size=(4, 12, 2)), RNG.normal(size=(4, 12, 3))
    whole = np.zeros((48, 8 + 3))
    for w in range(4):
        whole[12 * w : 12 * w + 12, 2 * w : 2 * w + 2] = A[w]
    whole[:, 8:] = B.reshape(48, 3)
    information = whole.T @ whole + np.diag([*np.zeros(8), *(1 / PRIOR**2)])
    offset = np.array([0.3, -0.1, 0.2])
    best = -np.linalg.solve(information, whole.T @ r.ravel() + np.concatenate([np.zeros(8), offset / PRIOR**2]))
    one = projection.project(r, A, B)
    step = projection.reduce(one, offset, PRIOR).step(0.0)
    np.testing.assert_allclose(step, best[8:], atol=1e-10)
    np.testing.assert_allclose(one.states_step(step).ravel(), best[:8], atol=1e-10)
    rows = one.B.reshape(-1, 3)
    np.testing.assert_allclose(gaussian(rows, PRIOR), np.linalg.inv(information)[8:, 8:], atol=1e-12)
    hat = np.diag(whole @ np.linalg.solve(information, whole.T))
    np.testing.assert_allclose(one.leverage(PRIOR).ravel(), hat, atol=1e-10)


def test_the_promised_decrease_is_that_of_the_cost():
    r, A, B = RNG.normal(size=(2, 9)), RNG.normal(size=(2, 9, 1)), RNG.normal(size=(2, 9, 3))
    one, offset = projection.project(r, A, B), np.array([0.5, 0.1, -0.4])
    reduced = projection.reduce(one, offset, PRIOR)
    step = reduced.step(0.0)

    def cost(step):
        return np.sum((one.r + one.B @ step) ** 2) + np.sum(((offset + step) / PRIOR) ** 2)

    np.testing.assert_allclose(cost(np.zeros(3)) - cost(step), reduced.decrease, rtol=1e-10)


@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, 1.0, 1.15), (0.5, 2.6, 3.4), (0.8, 7.0, 11.0)])
def test_correlation_time_of_a_first_order_process(rho, low, high):
    """(1 + rho) / (1 - rho) of AR(1): 1, 3 and 9 samples."""
    x = RNG.normal(size=(60, 80, 3))
    for k in range(1, 80):
        x[:, k] = rho * x[:, k - 1] + np.sqrt(1 - rho**2) * x[:, k]
    assert (correlation_time(x) >= low).all()
    assert (correlation_time(x) <= high).all()


def test_rounding_is_not_a_model_error():
    np.testing.assert_allclose(correlation_time(np.full((5, 20, 2), 1e-3)), 1.0, atol=1e-3)


def test_a_direction_that_the_data_do_not_see_is_named():
    seen = RNG.normal(size=(50, 2)) @ np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # the first two only as a sum
    prior = np.ones(3)
    found = Posterior(gaussian(100 * seen, prior), prior, np.ones(1))
    (direction,) = weak_directions(found, ("a", "b", "c"))
    assert set(direction) == {"a", "b"}
    np.testing.assert_allclose(sorted(direction.values()), [-np.sqrt(0.5), np.sqrt(0.5)], atol=1e-3)
    np.testing.assert_allclose(found.correlation[0, 1], -1, atol=1e-3)
