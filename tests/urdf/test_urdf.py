"""Laws of the URDF reader: what it reads is what two other engines simulate, and bad files are named in a sentence."""

import tempfile
from pathlib import Path

import numpy as np
import pybullet_data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl import rigid
from armctl.errors import UsageError
from armctl.spheres import sphere_pairs, spheres
from armctl.urdf import load_chain, read_urdf, write_urdf
from armctl.urdf.inertia import repaired
from tests.engines import assert_equals_pinocchio, assert_equals_pybullet
from tests.robots import is_physical
from tests.urdf.urdf_text import LIMIT, inertial, joint, links, robot, vec

DATA = Path(pybullet_data.getDataPath())
ARRAYS = ("T_parent_joint", "T_last_tip", "mass", "com", "inertia", "lower", "upper")
ARRAYS += ("velocity", "acceleration", "jerk", "effort", "home")


# --- agreement with two independent engines -------------------------------------------------------------------------


def random_serial_urdf(seed: int, n: int) -> str:
    """A serial chain with random joint types, axes, origins and inertias, a fixed link before every third joint."""
    rng = np.random.default_rng(seed)
    parts, parent = ['<link name="base"/>'], "base"
    for i in range(n):
        if i % 3 == 1:
            parts.append(
                links(f"mount{i}", **{f"mount{i}": inertial(0.3, (0.01, 0.01, 0.01), rng.uniform(-0.1, 0.1, 3))})
            )
            parts.append(
                joint(f"mounting{i}", parent, f"mount{i}", "fixed", "", '<origin xyz="0.1 0 0.2" rpy="1 2 3"/>')
            )
            parent = f"mount{i}"
        density = rng.uniform(0.01, 0.1, 3)
        body = inertial(rng.uniform(0.5, 3), density.sum() - density, rng.uniform(-0.1, 0.1, 3), rng.uniform(-3, 3, 3))
        axis = rng.normal(size=3) if rng.random() < 0.7 else rng.choice([-1.0, 1.0]) * np.eye(3)[rng.integers(3)]
        kind = rng.choice(["revolute", "continuous", "prismatic"])
        geometry = rng.choice(
            ['<sphere radius="0.05"/>', '<box size="0.1 0.2 0.3"/>', '<cylinder radius="0.04" length="0.3"/>']
        )
        place = f'<origin xyz="0 0.1 0" rpy="{vec(rng.uniform(-3, 3, 3))}"/>'
        shape = f"<collision>{place}<geometry>{geometry}</geometry></collision>"
        pose = f'<origin xyz="{vec(rng.uniform(-0.5, 0.5, 3))}" rpy="{vec(rng.uniform(-3.1, 3.1, 3))}"/>'
        parts.append(f'<link name="l{i}">{body}{shape}</link>')
        parts.append(joint(f"j{i}", parent, f"l{i}", kind, LIMIT, pose + f'<axis xyz="{vec(axis)}"/>'))
        parent = f"l{i}"
    return robot(*parts)


@settings(max_examples=25, deadline=None, database=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
def test_random_chains_round_trip_and_agree_with_both_engines(seed, n):
    with tempfile.TemporaryDirectory() as folder:
        raw, canonical = Path(folder) / "raw.urdf", Path(folder) / "canonical.urdf"
        raw.write_text(random_serial_urdf(seed, n))
        chain = read_urdf(raw)
        assert_equals_pinocchio(chain, raw)
        assert_equals_pybullet(chain, canonical, write_urdf(chain))
        again = read_urdf(canonical)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(again, name), getattr(chain, name), rtol=1e-9, atol=1e-12, err_msg=name)
    assert (again.joint_names, again.joint_types, again.tip) == (chain.joint_names, chain.joint_types, chain.tip)
    assert [(s.link, s.kind, s.size) for s in again.shapes] == [(s.link, s.kind, s.size) for s in chain.shapes]
    for a, b in zip(again.shapes, chain.shapes, strict=True):
        np.testing.assert_allclose(a.T_link_shape, b.T_link_shape, atol=1e-12)


@pytest.mark.parametrize(
    ("file", "n", "tip", "said"),
    [
        ("kuka_iiwa/model.urdf", 7, "lbr_iiwa_link_7", "10 x velocity assumed"),
        ("franka_panda/panda.urdf", 7, "panda_grasptarget", "'panda_finger_joint1' (prismatic) is not on the way"),
        ("xarm/xarm6_robot.urdf", 6, "link6", "broke the triangle inequality"),
    ],
)
def test_public_urdfs_load_with_notes(file, n, tip, said, tmp_path):
    if "xarm" in file:
        with pytest.warns(UserWarning, match="broke the triangle inequality"):
            chain = read_urdf(DATA / file)
    else:
        chain = read_urdf(DATA / file)
        assert_equals_pinocchio(chain, DATA / file)
    assert (chain.n, chain.tip) == (n, tip)
    assert any(said in note for note in chain.notes)
    assert_equals_pybullet(chain, tmp_path / "canonical.urdf", write_urdf(chain))
    assert len(spheres(chain)[0]) >= n  # meshes are covered too


@pytest.mark.filterwarnings("ignore:Link")
def test_every_file_of_pybullet_loads_or_says_in_a_sentence_why_not():
    loaded, refusals = 0, []
    for path in DATA.rglob("*.urdf"):
        if "random_urdfs" not in path.parts:  # a thousand bodies without a joint
            try:
                loaded += read_urdf(path).n > 0
            except UsageError as error:
                refusals.append(str(error))
    assert loaded > 20
    assert len(refusals) > 20  # bodies without a joint
    assert all("\n" not in said and said[-1] == "." for said in refusals)


def test_written_inertia_can_be_replaced(tmp_path):
    chain = load_chain("planar3")
    path = tmp_path / "heavy.urdf"
    path.write_text(write_urdf(chain, mass=2 * chain.mass, com=0.5 * chain.com, inertia=3 * chain.inertia))
    heavy = read_urdf(path)
    np.testing.assert_allclose(heavy.mass, 2 * chain.mass)
    np.testing.assert_allclose(heavy.com, 0.5 * chain.com)
    np.testing.assert_allclose(heavy.inertia, 3 * chain.inertia, atol=1e-15)
    np.testing.assert_allclose(heavy.T_last_tip, chain.T_last_tip, atol=1e-15)


# --- choosing the chain ---------------------------------------------------------------------------------------------


def test_fingers_are_frozen_and_their_mass_lumped(urdf):
    text = robot(
        links("base", "a", "b", "hand", "f1", "f2"),
        joint("j1", "base", "a"),
        joint("j2", "a", "b"),
        joint("mount", "b", "hand", "fixed", ""),
        joint("left", "hand", "f1", "prismatic", '<limit lower="0.1" upper="0.3" velocity="1" effort="1"/>'),
        joint("right", "hand", "f2", "prismatic", LIMIT, '<mimic joint="left"/>'),
    )
    chain = read_urdf(urdf(text))
    assert (chain.joint_names, chain.tip) == (("j1", "j2"), "hand")
    np.testing.assert_allclose(chain.mass, [1, 4])
    assert any("'left' (prismatic)" in note and "frozen at 0.2" in note for note in chain.notes)


def test_equally_long_arms_choose_the_first_and_say_so(urdf):
    arm = [joint("l1", "base", "la"), joint("l2", "la", "lb"), joint("l3", "lb", "lc")]
    arm += [joint("r1", "base", "ra"), joint("r2", "ra", "rb"), joint("r3", "rb", "rc")]
    path = urdf(robot(links("base", "la", "lb", "lc", "ra", "rb", "rc"), *arm))
    chain = read_urdf(path)
    assert chain.tip == "lc"
    assert any("equally long chains end at rc" in note for note in chain.notes)
    assert read_urdf(path, tip="rc").joint_names == ("r1", "r2", "r3")


def test_arrays_are_read_only_and_loading_is_cached():
    chain = load_chain("panda")
    assert load_chain("panda") is chain
    with pytest.raises(ValueError, match="read-only"):
        chain.mass[0] = 1.0
    assert load_chain("panda", tip="link5").n == 5


# --- physical inertia -----------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None, database=None)
@given(moments=st.lists(st.floats(1e-4, 1.0), min_size=3, max_size=3))
def test_repair_gives_a_physical_inertia_and_leaves_physical_ones_alone(moments):
    inertia = np.diag(moments)
    assert is_physical(repaired(inertia))
    low, mid, high = sorted(moments)
    if low + mid > high * 1.001:
        np.testing.assert_allclose(repaired(inertia), inertia, rtol=1e-2)


# --- spheres --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("geometry", "half"),
    [
        ('<sphere radius="0.1"/>', (0.1, 0.1, 0.1)),
        ('<box size="0.2 0.4 1.0"/>', (0.1, 0.2, 0.5)),
        ('<cylinder radius="0.05" length="2"/>', (0.05, 0.05, 1.0)),
        ('<capsule radius="0.05" length="0.3"/>', (0.05, 0.05, 0.2)),
    ],
)
def test_spheres_contain_the_shape(geometry, half, urdf):
    shape = f'<collision><origin xyz="0.3 0 0" rpy="0.5 1 0"/><geometry>{geometry}</geometry></collision>'
    text = robot(links("base"), f'<link name="a">{inertial()}{shape}</link>', joint("j", "base", "a"))
    chain = read_urdf(urdf(text))
    _, centers, radii = spheres(chain)
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 3)) * half
    across = np.hypot(points[:, 0], points[:, 1])
    if "box" not in geometry:
        points = points[across <= half[0]]
    if "sphere" in geometry or "capsule" in geometry:
        core = np.clip(points[:, 2], -half[2] + half[0], half[2] - half[0])
        points = points[np.hypot(np.hypot(points[:, 0], points[:, 1]), points[:, 2] - core) <= half[0]]
    T = chain.shapes[0].T_link_shape
    world = points @ T[:3, :3].T + T[:3, 3]
    gaps = np.linalg.norm(world[:, None] - centers[None], axis=-1) - radii[None]
    assert len(radii) <= 6
    assert gaps.min(axis=1).max() <= 1e-12


def test_sphere_pairs_are_apart_at_home():
    chain = load_chain("panda")
    link, centers, radii = spheres(chain)
    poses = np.concatenate([np.eye(4)[None], rigid.link_poses(chain, chain.home)])
    world = [poses[k + 1, :3, :3] @ c + poses[k + 1, :3, 3] for k, c in zip(link, centers, strict=True)]
    pairs = sphere_pairs(chain)
    assert pairs
    for i, j in pairs:
        assert abs(link[i] - link[j]) >= 2
        assert np.linalg.norm(world[i] - world[j]) > radii[i] + radii[j]
