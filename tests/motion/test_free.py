"""Goals and motions that are called free of collisions are, also where covering spheres cannot tell."""

from collections import Counter

import numpy as np
import pytest

from armctl.envs.bullet.body import ArmBody
from armctl.motion import spline
from armctl.motion.collision import clearance, safe_margin, sphere_centers
from armctl.motion.corpus import paths_free
from armctl.motion.free import is_free
from armctl.motion.goals import draw_postures
from armctl.motion.sampling import random_configuration, random_path
from armctl.rigid import forward_kinematics
from armctl.spheres import blind_pairs, sphere_pairs, spheres
from armctl.urdf import load_chain, read_urdf
from tests.robots import ROBOTS
from tests.urdf.urdf_text import inertial, joint, robot, shape

BODY = inertial(2.0, (0.02, 0.02, 0.01), (0, 0, 0.1))
PLATES = {
    "plate": '<box size="0.6 0.6 0.02"/>',
    "disc": '<cylinder radius="0.3" length="0.02"/>',
    "mesh": '<mesh filename="plate.obj" scale="2 2 1"/>',
}


def plate_arm(plate):
    """A plate under a shoulder whose covering spheres swallow the forearm that bends towards it."""
    low, high = '<origin xyz="0 0 0.3"/>', '<origin xyz="0 0 0.1"/>'
    shapes = (shape("collision", plate, low), "", shape("collision", '<box size="0.05 0.05 0.2"/>', high))
    parts = ['<link name="base"/>']
    for k, (own, z, axis, end) in enumerate(
        zip(shapes, (0.2, 0.35, 0.2), ("0 0 1", "0 1 0", "0 1 0"), (2, 1.5, 2.5), strict=True)
    ):
        parts.append(f'<link name="l{k}">{BODY}{own}</link>')
        pose = f'<origin xyz="0 0 {z}"/><axis xyz="{axis}"/>'
        limit = f'<limit lower="{-end}" upper="{end}" velocity="2" effort="200"/>'
        parts.append(joint(f"j{k}", f"l{k - 1}" if k else "base", f"l{k}", limit=limit, extra=pose))
    return robot(*parts)


@pytest.fixture(params=PLATES)
def arm(request, urdf, tmp_path):
    corners = [f"v {x} {y} {z}" for x in (-0.15, 0.15) for y in (-0.15, 0.15) for z in (-0.01, 0.01)]
    faces = ("1 2 3", "2 4 3", "5 7 6", "6 7 8", "1 5 2", "2 5 6", "3 4 7", "4 8 7", "1 3 5", "3 7 5", "2 6 4", "4 6 8")
    (tmp_path / "plate.obj").write_text("\n".join(corners + [f"f {face}" for face in faces]) + "\n")
    return read_urdf(urdf(plate_arm(PLATES[request.param])))


def gaps(chain, q):
    """Exact distances of plate and forearm, m."""
    body = ArmBody(chain, collisions=True)
    found = []
    for row in q:
        body.place(row)
        found.append(body.distance(0, 2, 1.0))
    body.close()
    return np.array(found)


def test_goals_do_not_touch(arm):
    assert blind_pairs(arm) == [(0, 2)]
    q = random_configuration(arm, np.random.default_rng(0), 100)
    assert gaps(arm, q).min() > 0.01
    assert len(np.unique(np.sign(q[:, 1:]), axis=0)) == 4  # and go everywhere
    some = np.random.default_rng(1).uniform(arm.lower, arm.upper, (200, 3))
    touching = gaps(arm, some) <= 0
    assert touching.any()
    assert not is_free(arm, some)[touching].any()


BOX = ((-0.3, -0.3, 0.4), (0.3, 0.3, 0.7))
"""m; under and over the plate, where the forearm would be in it at a quarter of the goals."""


def test_goals_in_a_box_do_not_touch(arm):
    q = draw_postures(arm, np.random.default_rng(0), 100, BOX)
    assert gaps(arm, q).min() > 0.01
    tip = forward_kinematics(arm, q)[:, :3, 3]
    assert ((tip > np.array(BOX[0]) - 0.01) & (tip < np.array(BOX[1]) + 0.01)).all()


@pytest.mark.parametrize("region", ["workspace", BOX])
def test_goals_that_only_shapes_can_judge_load_the_arm_once(region, monkeypatch):
    chain, bodies = load_chain("xarm6"), []
    draw_postures(chain, np.random.default_rng(0), 20, region)
    monkeypatch.setattr(ArmBody, "load", lambda self, *_: bodies.append(self))
    q = draw_postures(chain, np.random.default_rng(0), 20, region)
    assert not is_free(chain, q).all()
    assert not bodies


def test_motions_do_not_touch(arm):
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert gaps(arm, spline.evaluate(random_path(arm, rng), 25, derivatives=0)[0]).min() > 0
    ends = rng.uniform(arm.lower, arm.upper, (2, 40, 3))
    paths = spline.control_points(*ends, spline.straight_inner(*ends))
    free = paths_free(arm, paths)
    for path in paths[free]:
        assert gaps(arm, spline.evaluate(path, 25, derivatives=0)[0]).min() > 0
    assert 0 < free.sum() < 40


@pytest.mark.parametrize("robot", ROBOTS)
def test_spheres_judge_every_pair_of_the_shipped_arms(robot):
    chain = load_chain(robot)
    assert not blind_pairs(chain)
    q = np.random.default_rng(0).uniform(-1, 1, (50, chain.n))
    np.testing.assert_array_equal(is_free(chain, q), clearance(chain, q) > safe_margin(chain))


def test_a_pair_of_links_is_judged_by_all_its_spheres_or_none(arm):
    links, _, radii = map(np.array, spheres(arm))
    centers = sphere_centers(arm, arm.home)
    plate, forearm = np.flatnonzero(links == 0), np.flatnonzero(links == 2)
    gap = np.linalg.norm(centers[plate][:, None] - centers[forearm], axis=-1) - radii[plate][:, None] - radii[forearm]
    assert gap.min() < 0 < gap.max()
    assert sphere_pairs(arm) == ()  # there is no other pair of links with shapes
    chain = load_chain("panda")
    links = np.array(spheres(chain)[0])
    judged = Counter((int(links[i]), int(links[j])) for i, j in sphere_pairs(chain))
    assert judged == {(a, b): np.sum(links == a) * np.sum(links == b) for a, b in judged}
