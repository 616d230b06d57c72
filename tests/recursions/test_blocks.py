"""Dynamics of large batches, cut into blocks, and derivatives of derivatives."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics
from armctl.recursions import blocks as scanform_blocks
from armctl.urdf import load_chain
from tests.robots import plain_arm, random_motion, worst


def test_blocks_of_a_batch_are_the_batch(x64, monkeypatch):
    """Cut into blocks that do not divide it: the same values and gradients, of the states and of the arm."""
    arm = plain_arm("panda")
    q, qd, _, tau = random_motion(load_chain("panda"), 10)

    def values(mass, q):
        heavy = replace(arm, mass=mass)
        qdd = dynamics.forward_dynamics(heavy, q, qd.reshape(2, 5, 7), tau[0])
        inverse = dynamics.inverse_dynamics(heavy, q, qd[0], qdd)
        return jnp.sum(jnp.sin(qdd)) + jnp.sum(jnp.sin(inverse)), (qdd, inverse, dynamics.mass_matrix(heavy, q))

    run = lambda: jax.jit(jax.grad(values, (0, 1), has_aux=True))(arm.mass, q.reshape(2, 5, 7))  # noqa: E731
    whole = run()
    monkeypatch.setattr(scanform_blocks, "BLOCK", 3)
    monkeypatch.setattr(scanform_blocks, "FEWEST", 2)
    assert "f64[4,3,7]" in str(jax.make_jaxpr(dynamics.forward_dynamics)(arm, q, qd, tau))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), run(), whole)


@pytest.mark.slow
def test_second_derivatives_pass_the_opaque_passes(x64):
    """Reverse over reverse against differences of the gradient."""
    chain, arm = load_chain("planar3"), plain_arm("planar3")
    q, qd, _, tau = (x[0] for x in random_motion(chain, 1))
    slope = jax.grad(lambda q: jnp.sum(dynamics.forward_dynamics(arm, q, qd, tau)))
    both = jax.jit(jax.jacrev(lambda q: (slope(q),) * 2, has_aux=True))  # H, and what it is the derivative of
    H, _ = both(q)
    steps = 1e-6 * np.eye(3)
    numeric = [(both(q + h)[1] - both(q - h)[1]) / 2e-6 for h in steps]
    assert worst(H, np.stack(numeric, axis=-1)) < 1e-5
