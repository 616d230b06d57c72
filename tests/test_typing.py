"""The shapes in the signatures are checked while tests run (conftest.py), and only there."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from armctl import dynamics, geometry, load_arm, load_chain, rigid
from armctl.motion import collision

ARM, CHAIN = load_arm("planar3"), load_chain("planar3")


def test_a_wrong_shape_or_type_is_refused():
    wrong = [
        lambda: geometry.quat_to_matrix(np.ones(3)),
        lambda: geometry.quat_to_matrix(np.ones(4, int)),
        lambda: rigid.link_poses(CHAIN, np.zeros(3).tolist()),
        lambda: rigid.inverse_dynamics(CHAIN, np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(3)),
        lambda: jax.jit(dynamics.gravity)(ARM, jnp.zeros(3), jnp.zeros(2)),
        lambda: collision.clearance(CHAIN, "home"),
    ]
    for call in wrong:
        with pytest.raises(TypeCheckError):
            call()


def test_every_axis_that_broadcasts_is_accepted():
    tau = dynamics.inverse_dynamics(ARM, jnp.zeros(3), jnp.zeros((4, 1, 3)), jnp.zeros((5, 3)), np.zeros((4, 5, 3)))
    assert tau.shape == (4, 5, 3)
    many = ARM.with_params(*(np.stack([x, x]) for x in (ARM.mass, ARM.first_moment, ARM.inertia)))
    assert dynamics.mass_matrix(many, jnp.zeros(3)).shape == (2, 3, 3)
    assert geometry.orientation_angle(np.eye(3), np.stack([np.eye(3)] * 2)).shape == (2,)


def test_nothing_is_checked_outside_the_tests():
    code = (
        "import sys, numpy as np; from armctl import geometry; "
        "assert geometry.quat_to_matrix(np.ones(4, int)).shape == (3, 3); assert 'beartype' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
