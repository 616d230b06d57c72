"""One process may work in double and in single precision with arms of one chain."""

import jax
import jax.numpy as jnp
import numpy as np

from armctl import dynamics
from armctl.arm import Arm
from armctl.urdf import load_chain


def test_arms_of_one_chain_do_not_disturb_each_other():
    """JAX keeps arrays that a jitted function closes over by identity, also for the other precision."""
    chain, q = load_chain("planar3"), np.array([0.1, 0.2, 0.3])
    with jax.enable_x64(True):
        double = Arm.from_chain(chain)
        assert jax.jit(lambda q: dynamics.gravity(double, q))(q).dtype == jnp.float64
    single = jax.jit(dynamics.gravity)(Arm.from_chain(chain), q.astype(np.float32))
    assert single.dtype == jnp.float32
    assert np.isfinite(single).all()
