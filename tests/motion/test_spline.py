"""Laws of the B-spline paths and of their closed-form timing."""

from itertools import pairwise
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl.motion import spline

N = 3
SEEDS = st.integers(0, 10_000)


def random_path(seed, spread=1.0):
    rng = np.random.default_rng(seed)
    start, goal = rng.normal(size=(2, N))
    return spline.control_points(start, goal, spread * rng.normal(size=(spline.CONTROL_POINTS - 6, N)))


@pytest.mark.parametrize("count", [6, 9, spline.CONTROL_POINTS, 30])
def test_basis_is_a_partition_of_unity(count):
    value = spline.basis(count, 101)
    assert value.min() >= 0
    np.testing.assert_allclose(value.sum(axis=1), 1, atol=1e-13)
    for derivative in (1, 2, 3):
        size = np.abs(spline.basis(count, 101, derivative)).max()
        np.testing.assert_allclose(spline.basis(count, 101, derivative).sum(axis=1) / size, 0, atol=1e-13)


def test_too_few_control_points_are_refused():
    with pytest.raises(ValueError, match="at least 6"):
        spline.basis(5, 10)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.05, 0.95))
def test_derivatives_equal_finite_differences(seed, s):
    path, h = random_path(seed), 1e-5
    values = spline.evaluate(path, np.array([s - h, s, s + h]))
    for lower, upper in pairwise(values):
        slope = (lower[2] - lower[0]) / (2 * h)
        np.testing.assert_allclose(slope, upper[1], rtol=1e-5, atol=1e-5 * np.abs(upper).max())


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_paths_go_from_start_to_goal_and_rest_at_both(seed):
    path = random_path(seed)
    q, dq, d2q, _ = spline.evaluate(path, 33)
    np.testing.assert_allclose(q[[0, -1]], path[[0, -1]], atol=1e-12)
    np.testing.assert_allclose(dq[[0, -1]] / np.abs(dq).max(), 0, atol=1e-12)
    np.testing.assert_allclose(d2q[[0, -1]] / np.abs(d2q).max(), 0, atol=1e-11)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_limits_hold_by_construction(seed):
    lower, upper = np.full(N, -1.0), np.array([1.0, 2.0, 0.5])
    path = spline.squash(random_path(seed, spread=5.0), lower, upper)
    q = spline.evaluate(path, 301, derivatives=0)[0]
    assert (q >= lower).all()
    assert (q <= upper).all()


def test_squash_is_identity_inside_and_leaves_continuous_joints_alone():
    q = np.linspace(-0.89, 0.89, 30)[:, None]
    np.testing.assert_allclose(spline.squash(q, np.array([-1.0]), np.array([1.0])), q, atol=1e-15)
    far = np.array([[50.0]])
    np.testing.assert_array_equal(spline.squash(far, np.array([-np.inf]), np.array([np.inf])), far)


def test_fit_returns_the_spline_it_was_given():
    path = random_path(3)
    q = spline.evaluate(path, 60, derivatives=0)[0]
    np.testing.assert_allclose(spline.fit(q), path[3:-3], atol=1e-9)


def test_straight_inner_is_the_minimum_jerk_line():
    start, goal = np.zeros(N), np.array([1.0, -2.0, 0.5])
    s = np.linspace(0, 1, 41)
    q = spline.evaluate(spline.control_points(start, goal, spline.straight_inner(start, goal)), s, derivatives=0)[0]
    np.testing.assert_allclose(q, (s**3 * (10 - 15 * s + 6 * s**2))[:, None] * goal, atol=1e-12)


def problem(seed, scale):
    """Random limits, path derivatives and torques; `scale` (4,) sets which constraint binds."""
    rng = np.random.default_rng(seed)
    _, *derivatives = spline.evaluate(random_path(seed), spline.TIMING_SAMPLES)
    limits = [rng.uniform(1, 2, N) * s for s in scale]
    limits = SimpleNamespace(**dict(zip(("velocity", "acceleration", "jerk", "effort"), limits, strict=True)))
    gravity = rng.uniform(-0.9, 0.9, derivatives[0].shape) * limits.effort
    dynamic = 0.3 * derivatives[1] + 0.1 * derivatives[0] ** 2
    return limits, derivatives, gravity, dynamic


def usage(limits, derivatives, gravity, dynamic, T):
    """Used share of each limit when the path is run in T s, in the order of CONSTRAINTS."""
    rates = [d / T**k for k, d in enumerate(derivatives, start=1)]
    bounds = (limits.velocity, limits.acceleration, limits.jerk)
    shares = [np.max(np.abs(r) / b) for r, b in zip(rates, bounds, strict=True)]
    return [*shares, np.max(np.abs(gravity + dynamic / T**2) / limits.effort)]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.tuples(*[st.floats(-1.5, 1.5)] * 4))
def test_minimal_duration_is_feasible_and_tight(seed, exponents):
    case = problem(seed, 10.0 ** np.array(exponents))
    T, binding = spline.minimal_duration(*case)
    assert max(usage(*case, T)) <= 1 + 1e-9
    assert usage(*case, 0.99 * T)[int(binding)] > 1
    assert max(usage(*case, 1.7 * T)) <= 1


def test_each_constraint_can_bind_and_batches_agree_with_single_calls():
    seen = set()
    for scale in np.where(np.eye(4), 1e-3, 1e3):
        limits, derivatives, gravity, dynamic = problem(0, scale)
        T, binding = spline.minimal_duration(limits, derivatives, gravity, dynamic)
        seen.add(spline.CONSTRAINTS[int(binding)])
        batch = [np.stack([d, 2 * d]) for d in derivatives]
        T2, _ = spline.minimal_duration(limits, batch, np.stack([gravity] * 2), np.stack([dynamic, 4 * dynamic]))
        np.testing.assert_allclose(T2[0], T)
        assert T2[1] >= T2[0]
    assert seen == set(spline.CONSTRAINTS)


def test_gravity_beyond_the_effort_limit_is_never_feasible():
    limits, derivatives, gravity, dynamic = problem(1, np.ones(4))
    gravity[7, 1] = 1.01 * limits.effort[1]
    assert np.isinf(spline.minimal_duration(limits, derivatives, gravity, dynamic)[0])


def test_jax_arrays_give_what_numpy_gives():
    path = random_path(5)
    for a, b in zip(spline.evaluate(path, 21), spline.evaluate(jnp.asarray(path), 21), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max())
    limits, derivatives, gravity, dynamic = problem(5, np.ones(4))
    expected, binding = spline.minimal_duration(limits, derivatives, gravity, dynamic)
    traced = [jnp.asarray(d) for d in derivatives]
    found, index = spline.minimal_duration(limits, traced, jnp.asarray(gravity), jnp.asarray(dynamic))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert int(index) == int(binding)
