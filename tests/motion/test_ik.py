"""Inverse kinematics reaches what can be reached, respects limits, and says how far it stays away from the rest."""

import numpy as np
import pytest

from armctl import rigid
from armctl.chain import joint_box
from armctl.motion import ik
from armctl.urdf import load_chain


def reachable(chain, count, seed=0):
    q = np.random.default_rng(seed).uniform(*joint_box(chain, 0.0), (count, chain.n))
    return rigid.forward_kinematics(chain, q)


def inside(chain, q):
    return bool(((q >= chain.lower - 1e-6) & (q <= chain.upper + 1e-6)).all())


def closest(found):
    """Of all restarts the one nearest to its target, for every target."""
    best = np.argmin(found.position_error + ik.LENGTH * found.angle_error, axis=-1)[..., None]
    q = np.take_along_axis(found.q, best[..., None], axis=-2)[..., 0, :]
    return ik.IKResult(q, *(np.take_along_axis(x, best, axis=-1)[..., 0] for x in found[1:]))


@pytest.mark.parametrize("name", ["panda", "planar3", "ur5e", "gen3"])
def test_reachable_poses_are_reached_within_a_millimetre_and_a_tenth_of_a_degree(name):
    chain = load_chain(name)
    target = reachable(chain, 60)
    found = closest(ik.all_solutions(chain, target))
    assert found.success.mean() >= 0.95
    assert inside(chain, found.q)
    T = rigid.forward_kinematics(chain, found.q)
    np.testing.assert_allclose(np.linalg.norm(T[:, :3, 3] - target[:, :3, 3], axis=1), found.position_error, atol=1e-12)
    assert (found.position_error[found.success] <= 1e-3).all()


def test_unreachable_poses_fail_with_the_distance_left():
    chain = load_chain("panda")
    target = np.eye(4)
    target[:3, 3] = [2.0, 0, 0.5]
    found = closest(ik.all_solutions(chain, target))
    assert not found.success
    assert 0.9 < found.position_error < 1.6  # the Panda reaches about 0.9 m from its shoulder


def test_paths_are_continuous_and_exact():
    chain = load_chain("panda")
    target = np.repeat(rigid.forward_kinematics(chain, chain.home)[None, None], 40, axis=1)
    target[0, :, 1, 3] += np.linspace(0, 0.2, 40)
    found = ik.path_ik(chain, target, chain.home[None])
    assert found.success.all()
    assert found.position_error.max() < 1e-7
    assert np.abs(np.diff(found.q, axis=1)).max() < 0.05
