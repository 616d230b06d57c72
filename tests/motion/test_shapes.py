"""Shapes of any arm: the tip draws the figure, within all limits; impossible wishes are refused by name."""

import numpy as np
import pytest

from armctl.errors import UsageError
from armctl.motion import shapes
from armctl.motion.certificate import Checker
from armctl.motion.figures import SHAPES
from armctl.urdf import load_chain


@pytest.mark.parametrize("robot", ["panda", "planar3"])
def test_every_shape_is_certified_at_the_difficulty_asked_for(robot):
    chain = load_chain(robot)
    with Checker(chain) as checker:
        for reference in (*shapes.shape_suite(chain), *shapes.iso_suite(chain)):
            found = checker.certify(reference)
            assert found.valid, (reference.name, found.broken)
            assert reference.name == "iso_poses" or found.eta == pytest.approx(0.5, abs=0.02)


def test_the_circle_is_round_and_keeps_its_orientation():
    circle = shapes.make_shape("circle", load_chain("panda"), size=0.1)
    center = (circle.pose[:, :3].max(axis=0) + circle.pose[:, :3].min(axis=0)) / 2
    np.testing.assert_allclose(np.linalg.norm(circle.pose[:, :3] - center, axis=1), 0.1, atol=1e-4)
    np.testing.assert_allclose(circle.pose[:, 3:], np.tile(circle.pose[0, 3:], (len(circle.q), 1)), atol=1e-4)


def test_the_square_stops_at_its_corners():
    square = shapes.make_shape("square", load_chain("panda"), size=0.08)
    speed = np.linalg.norm(square.twist[:, :3], axis=1)
    corners = np.round(np.linspace(0, len(speed) - 1, 5)).astype(int)
    assert (speed[corners] < 0.02 * speed.max()).all()


def test_iso_poses_are_revisited_exactly_while_standing_still():
    cycle = shapes.make_shape("iso_poses", load_chain("panda"))
    visits = {}
    for number, start, end in cycle.meta["dwells"]:
        rows = slice(round(start / cycle.dt), round(end / cycle.dt) + 1)
        assert np.abs(cycle.qd[rows]).max() < 1e-9
        visits.setdefault(number, []).append(cycle.pose[rows][0, :3])
    assert sorted(visits) == [1, 2, 3, 4, 5]
    for points in visits.values():
        np.testing.assert_allclose(points, np.tile(points[0], (3, 1)), atol=1e-9)


def test_duration_can_be_given_and_impossible_wishes_are_named():
    chain = load_chain("panda")
    assert shapes.make_shape("circle", chain, duration=10.0).duration == pytest.approx(10.0)
    with pytest.raises(UsageError, match="at least"):
        shapes.make_shape("circle", chain, duration=0.5)
    with pytest.raises(UsageError, match=r"'circle' of size 2\.000 m leaves the workspace of panda at \(.*\) m by"):
        shapes.make_shape("circle", chain, size=2.0)
    with pytest.raises(UsageError, match="Unknown shape 'heart'"):
        shapes.make_shape("heart", chain)
    assert set(SHAPES) >= {"circle", "square", "figure_eight", "helix"}
