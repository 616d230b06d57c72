"""Damped least squares without an explicit inverse is damped least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl.controllers.tip_errors import damped_solve


@pytest.mark.parametrize("n", [3, 6, 7])
def test_the_solution_and_its_gradient_are_those_of_the_formula(n, x64):
    """Where J is short of rank too, as that of an arm in a plane."""
    rng = np.random.default_rng(n)
    J, v = rng.normal(size=(4, 6, n)), rng.normal(size=(4, 6))

    def formula(J, v):
        Jt = J.swapaxes(-1, -2)
        return (Jt @ jnp.linalg.inv(J @ Jt + 0.1**2 * jnp.eye(6)) @ v[..., None])[..., 0]

    def values(f):
        def loss(J, v):
            x = f(J, v)
            return jnp.sum(jnp.sin(x)), x

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(J, v)

    ours, theirs = (jax.tree.leaves(values(f)) for f in (damped_solve, formula))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9 * np.abs(b).max())
