"""Scenes: what may be one, files that give the same one back, and named ones that leave every arm room."""

import json

import numpy as np
import pytest

from armctl.envs.bullet.client import p
from armctl.envs.bullet.scene import scene_bodies
from armctl.errors import UsageError
from armctl.motion.collision import sphere_centers
from armctl.scene import NAMED, Body, Scene, load_scene, save_scene, signed_distance
from armctl.spheres import spheres
from armctl.urdf import load_chain, robots

TOML = """
[[bodies]]
shape = "box"
size = [0.2, 0.3, 0.4]
position = [0.5, 0.0, 0.2]
rpy = [0.0, 0.0, 1.5707963267948966]
name = "crate"

[[bodies]]
shape = "floor"
"""
URDF = """
<robot name="cell">
  <link name="world"/>
  <link name="block">
    <visual><geometry><box size="1 1 1"/></geometry><material name="red"><color rgba="1 0 0 1"/></material></visual>
    <collision><origin xyz="0 0 0.1"/><geometry><box size="0.1 0.2 0.3"/></geometry></collision>
  </link>
  <joint name="fixed" type="{kind}"><parent link="world"/><child link="block"/><origin xyz="0.5 0 0" rpy="0 0 1.6"/>
  <axis xyz="0 0 1"/><limit lower="0" upper="1" effort="1" velocity="1"/></joint>
</robot>
"""


@pytest.mark.parametrize("name", NAMED)
def test_saving_and_loading_is_identity(name, tmp_path):
    scene = load_scene(name, load_chain("gen3"))
    again = load_scene(save_scene(scene, tmp_path / "scene.json"))
    assert again == scene
    assert hash(again) == hash(scene)


def test_toml_says_what_json_says(tmp_path):
    path = tmp_path / "cell.toml"
    path.write_text(TOML)
    crate, floor = load_scene(path).bodies
    assert (load_scene(path).name, crate.name, floor.name) == ("cell", "crate", "plane_1")
    np.testing.assert_allclose(signed_distance(load_scene(path), np.array([0.5, 0.0, 1.0])), [0.6, 1.0])
    np.testing.assert_allclose(signed_distance(load_scene(path), np.array([0.75, 0.0, 0.2]))[0], 0.1)


def test_a_urdf_of_fixed_bodies_is_a_scene(tmp_path):
    path = tmp_path / "cell.urdf"
    path.write_text(URDF.format(kind="fixed"))
    (block,) = load_scene(path).bodies
    assert (block.shape, block.size, block.name, block.rgba) == ("box", (0.1, 0.2, 0.3), "block", (1, 0, 0, 1))
    np.testing.assert_allclose(block.position, [0.5, 0, 0.1])
    path.write_text(URDF.format(kind="revolute"))
    with pytest.raises(UsageError, match=r"Joint 'fixed' of .* moves"):
        load_scene(path)


def test_a_mesh_counts_as_the_box_around_it(tmp_path):
    (tmp_path / "m.obj").write_text("v 0 0 0\nv 2 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n")
    path = tmp_path / "cell.urdf"
    path.write_text(
        '<robot name="r"><link name="a"><collision><geometry><mesh filename="m.obj" scale="0.1 0.1 0.1"/></geometry>'
        "</collision></link></robot>"
    )
    with pytest.warns(UserWarning, match="boxes around them: a"):
        (body,) = load_scene(path).bodies
    np.testing.assert_allclose([*body.size, *body.position], [0.2, 0.1, 0.1, 0.1, 0.05, 0.05], atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"shape": "cone", "size": [1]}, "unknown shape 'cone'; choose one of box, sphere, cylinder, capsule, plane"),
        ({"shape": "box", "size": [0.1, 0.0, 0.1]}, "every extent must be above zero"),
        ({"shape": "box", "size": [0.1, 0.1]}, "give 3 finite numbers"),
        ({"shape": "sphere", "size": [1], "position": [0, 0, float("nan")]}, "position is"),
        ({"shape": "sphere", "size": [1], "quaternion": [0, 0, 0, 2]}, "unit quaternion"),
        ({"shape": "sphere", "size": [1], "rpy": [0, 0, 0], "quaternion": [0, 0, 0, 1]}, "both rpy and quaternion"),
        ({"shape": "sphere", "size": [1], "colour": "red"}, "unknown field 'colour'"),
        ({"size": [1]}, "has no shape"),
        ({"shape": "sphere", "size": [1], "name": ["x"]}, "a name that is no text"),
    ],
)
def test_what_is_no_body_is_one_sentence(fields, said, tmp_path):
    path = tmp_path / "scene.json"
    path.write_text(json.dumps({"bodies": [fields]}))
    with pytest.raises(UsageError, match=said):
        load_scene(path)


def test_what_is_no_scene_is_one_sentence(tmp_path):
    chain = load_chain("panda")
    with pytest.raises(UsageError, match="no scene 'shelves'; choose one of table, shelf, pillars, bin, wall"):
        load_scene("shelves", chain)
    with pytest.raises(UsageError, match="say of which arm"):
        load_scene("shelf")
    with pytest.raises(UsageError, match="has no bodies"):
        Scene("none", ())
    with pytest.raises(UsageError, match="two bodies named 'a'"):
        Scene("two", (Body("sphere", (1,), name="a"), Body("sphere", (2,), name="a")))
    (tmp_path / "bad.toml").write_text("bodies = 3")
    with pytest.raises(UsageError, match="no list of bodies"):
        load_scene(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match=r"saved as \.json"):
        save_scene(load_scene("wall", chain), tmp_path / "scene.toml")


@pytest.mark.parametrize("robot", robots())
def test_named_scenes_leave_an_arm_at_home_alone(robot):
    chain = load_chain(robot)
    for name in NAMED:
        scene = load_scene(name, chain)
        gaps = signed_distance(scene, sphere_centers(chain, chain.home)) - np.array(spheres(chain)[2])[:, None]
        assert gaps.min() > 0.02
        assert len({body.name for body in scene.bodies}) == len(scene.bodies)


def test_bodies_stand_in_bullet_where_the_scene_says():
    client, scene = p.connect(p.DIRECT), load_scene("pillars", load_chain("ur5e"))
    ids = scene_bodies(client, scene, visual=True)
    for body, number in zip(scene.bodies, ids, strict=True):
        position, quaternion = p.getBasePositionAndOrientation(number, client)
        np.testing.assert_allclose([*position, *quaternion], [*body.position, *body.quaternion], atol=1e-9)
    p.disconnect(client)
