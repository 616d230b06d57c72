"""The independent checker passes good motions and catches a planted violation of every kind."""

from dataclasses import replace

import numpy as np
import pytest

from armctl import rigid
from armctl.chain import joint_box
from armctl.motion.certificate import Checker, certify
from armctl.motion.gaps import NEAR
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.motion.spline import control_points, straight_inner
from armctl.urdf import load_chain

DT = 0.01


@pytest.fixture(scope="module")
def panda():
    return load_chain("panda")


@pytest.fixture(scope="module")
def path(panda):
    goal = panda.home + np.array([0.6, 0.3, -0.4, 0.3, 0.5, 0.3, -0.5])
    return control_points(panda.home, goal, straight_inner(panda.home, goal))


@pytest.fixture(scope="module")
def good(panda, path):
    return path_reference(panda, path, path_timing(panda, path)[0], 0.6, DT)


def straight(chain, goal, duration=4.0):
    s = np.linspace(0, 1, round(duration / DT) + 1)[:, None]
    return Reference.from_joints(chain, DT, chain.home + s**3 * (10 - 15 * s + 6 * s**2) * (goal - chain.home))


def test_a_good_motion_passes_and_its_numbers_are_the_timing_s(panda, good):
    found = certify(good, panda)
    assert found.valid
    assert not found.broken
    assert found.eta == pytest.approx(good.meta["eta"], rel=0.02)
    assert found.t_min == pytest.approx(good.meta["t_min"], rel=0.02)
    assert all(margin > 0 for margin in found.margins.values())


@pytest.mark.parametrize("name", ["velocity", "acceleration", "jerk", "effort"])
def test_a_limit_lower_than_the_motion_needs_is_caught(panda, good, name):
    with Checker(panda) as checker:
        kind = "torque" if name == "effort" else name
        used = 1 - checker.certify(good).margins[kind]
        for share, caught in ((0.97, True), (1.03, False)):
            checker.chain = replace(panda, **{name: getattr(panda, name) * used * share})
            assert (kind in checker.certify(good).broken) == caught


def test_running_faster_than_t_min_breaks_the_binding_limit(panda, path):
    t_min, _ = path_timing(panda, path)
    found = certify(path_reference(panda, path, t_min, 1.1, DT), panda)
    assert not found.valid
    assert found.binding == found.broken[0]
    assert found.eta > 1.05


def test_a_joint_beyond_its_limit_is_caught(panda):
    goal = panda.home.copy()
    goal[0] = panda.upper[0] + 0.05
    assert certify(straight(panda, goal, 6.0), panda).broken == ("position",)


def test_the_floor_is_caught(panda):
    goal = panda.home.copy()
    goal[1], goal[3], goal[5] = 1.6, -0.9, 1.6
    assert rigid.forward_kinematics(panda, goal)[2, 3] < 0
    assert "floor" in certify(straight(panda, goal, 6.0), panda).broken


def test_self_collision_is_caught(panda):
    goal = panda.home.copy()
    goal[1], goal[3], goal[5] = -1.2, -3.0, 0.3
    assert "self_collision" in certify(straight(panda, goal, 8.0), panda).broken


def test_clients_are_closed_and_results_repeat(panda, good):
    with Checker(panda) as checker:
        first, second = checker.certify(good), checker.certify(good)
        marked = checker.certified(good)
    checker.close()
    assert first == second
    assert marked.meta["certificate"]["valid"]
    assert first == certify(good, panda)


@pytest.mark.parametrize("name", ["panda", "planar3"])
def test_what_is_not_measured_would_not_have_been_nearer(name):
    """Bounds decide what is measured and in which order; the distances are those of measuring everything."""
    chain, near = load_chain(name), []
    with Checker(chain) as checker:
        for ends in np.random.default_rng(3).uniform(*joint_box(chain), (6, 2, chain.n)):
            q, found = np.linspace(*ends, 30), {}
            for row in q:
                checker._body.place(row)
                for i, pair in enumerate(checker._gaps._pairs):
                    found[pair.name] = min(found.get(pair.name, NEAR), checker._gaps._distance(i, NEAR))
            nothing = np.zeros((30, len(checker._gaps._pairs)))
            assert checker._gaps._measured(q, nothing)[0] == pytest.approx(found, abs=1e-6)
            near += [gap < NEAR for gap in found.values()]
    assert any(near)
    assert not all(near)
