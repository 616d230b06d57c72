"""Elimination solves what it is given, batch by batch, and its derivative is that of LAPACK's solution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl.recursions.elimination import solve


def systems(batch, n=6, seed=0):
    """Random symmetric positive definite matrices with eigenvalues over four decades, and right-hand sides."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(*batch, n, n)))[0]
    M = (Q * 10 ** rng.uniform(-2, 2, (*batch, 1, n))) @ Q.swapaxes(-1, -2)
    return M, rng.normal(size=(*batch, n))


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_the_solution_solves(batch, x64):
    M, b = systems(batch)
    x = np.asarray(jax.jit(solve)(M, b))
    assert x.shape == b.shape
    np.testing.assert_allclose(np.einsum("...ij,...j->...i", M, x), b, atol=1e-10)


def test_the_derivative_is_implicit(x64):
    whole = lambda M, b: jnp.linalg.solve(M, b[..., None])[..., 0]  # noqa: E731
    ours, theirs = (
        jax.jit(jax.grad(lambda *a, f=f: jnp.sum(jnp.sin(f(*a))), (0, 1)))(*systems((4,))) for f in (solve, whole)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8 * np.abs(b).max())
