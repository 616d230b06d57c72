"""Joint friction that explicit integration could not bear is lowered, with a note; what it can bear is left alone."""

from pathlib import Path

import numpy as np

from armctl import rigid
from armctl.rigid import FRICTION_VELOCITY
from armctl.urdf import load_chain
from armctl.urdf.friction import PHYSICS_DT
from tests.robots import ROBOTS


def with_dynamics(urdf, damping: float, friction: float):
    """planar3 with damping and friction on its first joint."""
    text = Path(load_chain("planar3").source).read_text()
    spot = text.index("</joint>")
    extra = f'<dynamics damping="{damping}" friction="{friction}"/>'
    return load_chain(urdf(text[:spot] + extra + text[spot:]))


def test_shipped_arms_are_left_alone():
    for robot in ROBOTS:
        assert not any("Damping and friction" in note for note in load_chain(robot).notes)


def test_bearable_friction_is_kept(urdf):
    chain = with_dynamics(urdf, 0.5, 0.2)
    assert chain.damping.max() == 0.5
    assert chain.friction.max() == 0.2


def test_too_much_is_lowered_until_a_step_is_stable(urdf):
    chain = with_dynamics(urdf, 1e5, 50.0)
    assert any("Damping and friction" in note for note in chain.notes)
    slope = chain.damping + chain.friction / FRICTION_VELOCITY
    rng = np.random.default_rng(1)
    low, high = np.maximum(chain.lower, -3), np.minimum(chain.upper, 3)
    M = rigid.mass_matrix(chain, rng.uniform(low, high, (200, chain.n)))
    rates = np.linalg.eigvals(np.linalg.solve(M, np.diag(slope) * np.ones_like(M)) * PHYSICS_DT).real
    assert 0.1 < rates.max() < 2
    np.testing.assert_allclose(chain.damping, chain.friction * 1e5 / 50.0)  # both by the same factor
