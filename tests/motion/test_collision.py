"""Sphere clearance: the same in NumPy and JAX, differentiable, and never more optimistic than Bullet's exact shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl.arm import Arm
from armctl.chain import joint_box
from armctl.motion import collision
from armctl.motion.certificate import Checker
from armctl.motion.sampling import random_configuration
from armctl.urdf import load_chain


def configurations(chain, count, seed=1):
    return np.random.default_rng(seed).uniform(*joint_box(chain), (count, chain.n))


@pytest.mark.parametrize("name", ["panda", "planar3"])
def test_numpy_and_jax_agree_and_gradients_are_finite(name):
    chain = load_chain(name)
    arm, q = Arm.from_chain(chain), configurations(chain, 12)
    said = jax.jit(lambda x: collision.clearance(arm, x))(jnp.asarray(q))
    np.testing.assert_allclose(said, collision.clearance(chain, q), atol=2e-5)
    gradient = jax.jit(jax.grad(lambda x: collision.pair_distances(arm, x).sum()))(jnp.asarray(q))
    assert bool(jnp.isfinite(gradient).all())


@pytest.mark.parametrize("name", ["panda", "ur5e", "planar3"])
def test_spheres_are_conservative(name):
    chain = load_chain(name)
    q = configurations(chain, 25)
    with Checker(chain) as checker:
        for row, gap in zip(q, collision.clearance(chain, q), strict=True):
            exact = min(checker._gaps.along(row[None]).values())
            assert min(gap, 0.1) <= exact + 2e-3 or gap < 0


def test_random_configurations_are_clear_and_inside():
    chain = load_chain("panda")
    q = random_configuration(chain, np.random.default_rng(0), 40)
    assert q.shape == (40, 7)
    assert (collision.clearance(chain, q) > 0).all()
    assert ((q > chain.lower) & (q < chain.upper)).all()
