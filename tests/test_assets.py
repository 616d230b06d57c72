"""Laws every shipped arm obeys: physical, cited, clear of itself at home, and equal to two independent engines."""

import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

import numpy as np
import pybullet
import pytest

from armctl import rigid
from armctl.urdf import load_chain, robots, write_urdf
from armctl.urdf.parse import parse_urdf
from tests.engines import assert_equals_pinocchio, assert_equals_pybullet
from tests.robots import is_physical

JOINTS = {"gen3": 7, "iiwa14": 7, "panda": 7, "planar3": 3, "ur5e": 6, "xarm6": 6}
every_robot = pytest.mark.parametrize("name", JOINTS)


def test_exactly_these_robots_ship():
    assert {name: load_chain(name).n for name in robots()} == JOINTS


@every_robot
def test_engines_agree(name, tmp_path):
    chain = load_chain(name)
    assert_equals_pinocchio(chain, robots()[name])
    assert_equals_pybullet(chain, tmp_path / f"{name}.urdf", write_urdf(chain))


@every_robot
def test_file_is_self_contained_and_cited(name):
    text = robots()[name].read_text()
    assert "<mesh" not in text
    assert "chosen here" in text.split("<robot", 1)[0]
    assert f"`{name}.urdf`" in Path(str(files("armctl.assets")), "LICENSES.md").read_text()


@every_robot
def test_nothing_had_to_be_guessed_or_repaired(name):
    chain = load_chain(name)
    assert chain.notes == ()
    assert all(is_physical(link.inertia) for link in parse_urdf(robots()[name]).links.values() if link.mass > 0)
    assert all(is_physical(inertia) for inertia in chain.inertia)
    # Explicit integration at 500 Hz needs wrists that are not absurdly light.
    assert np.linalg.eigvalsh(chain.inertia).min() > 2e-5


@every_robot
def test_limits_are_complete_and_home_is_inside(name):
    chain = load_chain(name)
    for key in ("velocity", "acceleration", "jerk", "effort"):
        assert np.all(np.isfinite(getattr(chain, key)) & (getattr(chain, key) > 0)), key
    endless = np.array([kind == "continuous" for kind in chain.joint_types])
    np.testing.assert_array_equal(np.isinf(chain.lower), endless)
    margin = np.minimum(chain.home - chain.lower, chain.upper - chain.home)
    assert np.all(margin > 0.2)
    assert np.all(np.abs(rigid.gravity(chain, chain.home)) < 0.7 * chain.effort)


def test_gen3_turns_endlessly_where_the_arm_does():
    kinds = load_chain("gen3").joint_types
    assert [index for index, kind in enumerate(kinds, start=1) if kind == "continuous"] == [1, 3, 5, 7]


@every_robot
def test_home_is_away_from_singularities(name):
    chain = load_chain(name)
    J = rigid.jacobian(chain, chain.home)
    rows = [0, 2, 4] if name == "planar3" else range(6)
    assert np.linalg.svd(J[list(rows)], compute_uv=False).min() > 0.05


@every_robot
def test_one_collision_primitive_per_link(name):
    root = ET.parse(robots()[name]).getroot()
    counts = [len(link.findall("collision")) for link in root.findall("link")]
    assert max(counts) == 1
    assert sum(counts) == JOINTS[name] + 1


@every_robot
def test_clear_of_itself_around_home(name, tmp_path):
    chain = load_chain(name)
    path = tmp_path / "arm.urdf"
    path.write_text(write_urdf(chain))
    client = pybullet.connect(pybullet.DIRECT)
    try:
        body = pybullet.loadURDF(str(path), useFixedBase=True, physicsClientId=client)
        rng = np.random.default_rng(0)
        for spread in (0.0, *[0.3] * 20):
            q = np.clip(chain.home + rng.uniform(-spread, spread, chain.n), chain.lower, chain.upper)
            for index in range(chain.n):
                pybullet.resetJointState(body, index, q[index], physicsClientId=client)
            for a in range(-1, chain.n):
                for b in range(a + 2, chain.n):
                    assert not pybullet.getClosestPoints(body, body, 0.0, a, b, physicsClientId=client), (a, b)
    finally:
        pybullet.disconnect(client)


def test_the_arms_with_shipped_policies_are_said():
    root = Path(__file__).parents[1]
    arms = " and ".join(sorted(path.name for path in (root / "assets" / "policies").iterdir() if path.is_dir()))
    assert f"({arms}, in `assets/policies`" in (root / "docs" / "commands.md").read_text()
    assert f"for {arms} in `assets/policies`" in (root / "CHANGELOG.md").read_text()
