"""Bounded constraint impulses: the complementarity conditions hold, and the derivative is that of differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import rigid
from armctl.twin.constraints import constrained_velocity
from armctl.urdf import load_chain
from tests.robots import ROBOTS

solve = jax.jit(constrained_velocity)


def problems(chain, count, seed=0):
    """Random mixtures of free joints, lower and upper stops and motors: M, free, wanted, lower, upper."""
    rng, shape = np.random.default_rng(seed), (count, chain.n)
    M = rigid.mass_matrix(chain, chain.home + rng.normal(size=shape))
    free, wanted, kind = 5 * rng.normal(size=shape), rng.normal(size=shape), rng.integers(0, 4, shape)
    motor = 0.002 * chain.effort * rng.uniform(0, 1, shape)
    lower = np.choose(kind, [0.0, 0.0, -100.0, -motor])
    upper = np.choose(kind, [0.0, 100.0, 0.0, motor])
    return M, free, wanted, lower, upper


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_solution_is_complementary(robot, x64):
    M, free, wanted, lower, upper = problems(load_chain(robot), 1000)
    qd, impulse = map(np.asarray, solve(M, free, wanted, lower, upper))
    np.testing.assert_allclose(np.einsum("bij,bj->bi", M, qd - free), impulse, atol=1e-12)
    assert (lower - 1e-12 <= impulse).all()
    assert (impulse <= upper + 1e-12).all()
    short = (impulse >= upper - 1e-12) & (qd <= wanted + 1e-12)
    beyond = (impulse <= lower + 1e-12) & (qd >= wanted - 1e-12)
    assert (short | beyond | (np.abs(qd - wanted) < 1e-9) | (lower == upper)).all()
    assert short.any()
    assert beyond.any()


def test_the_derivative_is_that_of_differences(x64):
    M, free, wanted, lower, upper = problems(load_chain("ur5e"), 20, seed=1)
    rng = np.random.default_rng(2)
    weights = rng.normal(size=free.shape)

    def loss(M, free, wanted):
        return jnp.sum(weights * constrained_velocity(M, free, wanted, lower, upper)[0])

    value = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))
    gradient = value(M, free, wanted)[1]
    half = rng.normal(size=M.shape)
    moves = (half + half.swapaxes(1, 2), rng.normal(size=free.shape), rng.normal(size=free.shape))
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradient, moves, strict=True))
    ahead, back = (value(*(x + h * d for x, d in zip((M, free, wanted), moves, strict=True)))[0] for h in (1e-7, -1e-7))
    assert abs(slope - (ahead - back) / 2e-7) < 1e-5 * abs(slope)


def test_nothing_constrained_nothing_changes():
    free = np.linspace(-1, 1, 7, dtype=np.float32)
    qd, impulse = solve(np.eye(7, dtype=np.float32), free, 0 * free, 0 * free, 0 * free)
    np.testing.assert_array_equal(qd, free)
    assert not np.asarray(impulse).any()
