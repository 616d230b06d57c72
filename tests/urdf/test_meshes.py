"""A mesh is the same shape to the covering spheres and to PyBullet in whatever format it comes, or nobody vouches."""

import numpy as np
import pybullet
import pytest
import trimesh

from armctl import meshes
from armctl.chain import joint_box
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.self_collision import SelfCollision
from armctl.errors import UsageError
from armctl.motion.certificate import certify
from armctl.motion.reference import Reference
from armctl.spheres import mesh_box, spheres
from armctl.urdf import read_urdf, write_urdf
from tests.urdf.urdf_text import inertial, joint, robot, shape

SIZE, MIDDLE = np.array([0.1, 0.2, 0.3]), np.array([0.02, 0.0, -0.03])
FORMATS = ("obj", "stl", "ascii.stl", "longer.stl", "dae", "mm.dae", "y_up.dae", "polygons.dae", "ply", "glb", "off")


def write_mesh(folder, name):
    """A box of SIZE around MIDDLE in the format that the name ends with."""
    box, path = trimesh.creation.box(SIZE), folder / f"box.{name}"
    box.apply_translation(MIDDLE)
    if name.endswith("mm.dae"):
        box.apply_scale(1000.0)
    box.export(path, file_type="stl_ascii" if name.endswith("ascii.stl") else None)
    if name.endswith("longer.stl"):
        path.write_bytes(path.read_bytes() + b"made by somebody")
    if name.endswith(".dae"):
        text = path.read_text()
        unit, up = ("0.001" if "mm" in name else "1"), ("Y_UP" if "y_up" in name else "Z_UP")
        head = text[text.index("<asset>") : text.index("</asset>")]
        text = text.replace(head, f'<asset><unit name="u" meter="{unit}"/><up_axis>{up}</up_axis>')
        path.write_text(_as_polygons(text) if "polygons" in name else text)
    return path


def _as_polygons(text):
    start, end = text.index("<triangles"), text.index("</triangles>")
    body = text[start:end].replace("<triangles", "<polylist").replace("<p>", f"<vcount>{'3 ' * 12}</vcount><p>")
    return text[:start] + body + "</polylist>" + text[end + len("</triangles>") :]


def three(geometry):
    """The base and the last of three links, 0.5 m apart about y, have the same shape."""
    parts = [f'<link name="base">{shape("collision", geometry)}</link>']
    for k in range(3):
        own = shape("collision", geometry) if k == 2 else ""
        parts.append(f'<link name="l{k}">{inertial(1.0, (0.02, 0.02, 0.01), (0, 0, 0.1))}{own}</link>')
        pose = f'<origin xyz="0 0 {0.5 if k else 0.05}"/><axis xyz="0 1 0"/>'
        limit = '<limit lower="-3" upper="3" velocity="5" effort="200" acceleration="50" jerk="500"/>'
        parts.append(joint(f"j{k}", f"l{k - 1}" if k else "base", f"l{k}", "revolute", limit, pose))
    return robot(*parts)


def folded(chain):
    """A motion that ends with the last link inside the base."""
    t = np.linspace(0, 1, 101)[:, None]
    start, end = np.array([0.0, 0.5, 0.3]), np.array([0.0, 2.95, 0.2])
    return Reference.from_joints(chain, 0.04, start + t**3 * (10 - 15 * t + 6 * t**2) * (end - start))


@pytest.mark.parametrize("name", FORMATS)
def test_a_mesh_is_what_it_is_in_every_format(name, tmp_path, urdf):
    write_mesh(tmp_path, name)
    chain = read_urdf(urdf(three(f'<mesh filename="box.{name}"/>')))
    assert not chain.unmeasured
    extents, middle = mesh_box(chain.shapes[0])
    np.testing.assert_allclose(extents, SIZE, atol=1e-6)
    np.testing.assert_allclose(middle, MIDDLE, atol=1e-6)
    assert len(spheres(chain)[0]) > 2
    body = ArmBody(chain, collisions=True)
    low, high = np.array(pybullet.getAABB(body.id, -1, physicsClientId=body.client))
    np.testing.assert_allclose((low + high) / 2, MIDDLE, atol=2e-3)
    np.testing.assert_allclose(high - low, SIZE, atol=1e-2)
    body.place([0.0, 2.95, 0.2])
    assert body.distance(-1, 2, 2.0) < -0.04
    check = SelfCollision(body)
    assert check.touches([0.0, 2.95, 0.2])
    body.close()
    found = certify(folded(chain), chain)
    assert not found.valid
    assert found.margins["self_collision"] < 0


def test_what_lies_between_the_pieces_of_a_mesh_is_free(tmp_path, urdf):
    """A fork of two tines around a ball, in formats that keep them apart."""
    tines = [trimesh.creation.box([0.05, 0.05, 0.5]) for _ in range(2)]
    tines[0].apply_translation([0.2, 0, 1.05])
    tines[1].apply_translation([-0.2, 0, 1.05])
    for name in ("fork.glb", "fork.obj"):
        trimesh.Scene(tines).export(tmp_path / name)
        text = three(f'<mesh filename="{name}"/>')
        last = text.rindex(shape("collision", f'<mesh filename="{name}"/>'))
        chain = read_urdf(
            urdf(text[:last] + text[last:].replace(f'<mesh filename="{name}"/>', '<sphere radius="0.1"/>'))
        )
        body = ArmBody(chain, collisions=True)
        body.place([0.0, 0.0, 0.0])  # the ball is at 1.05 m, between the tines
        assert body.distance(-1, 2, 1.0) == pytest.approx(0.075, abs=3e-3)
        body.close()


UNREADABLE = {
    "pointer.stl": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n", "Git LFS"),
    "pointer.obj": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n", "Git LFS"),
    "old.glb": (b"glTF" + bytes(60), "cannot be read"),
    "empty.dae": (b"", "is empty"),
    "other.dae": (b"<COLLADA/>", "cannot be read"),
    "short.stl": (bytes(80) + b"\x05\x00\x00\x00" + bytes(50), ""),
    "words.obj": (b"once upon a time\n", ""),
    "points.obj": (b"v 0 0 0\nv 0 0 1\nv 0 1 0\n", ""),
    "words.ply": (b"ply, as they say", ""),
    "unknown.mesh9": (b"1 2 3", ""),
    "nan.obj": (b"v 0 0 nan\nv 0 0 1\nv 0 1 0\nf 1 2 3\n", ""),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_measured_is_left_out_with_a_note_and_nobody_vouches(name, tmp_path, urdf):
    content, said = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    chain = read_urdf(urdf(three(f'<mesh filename="{name}"/>')))
    _is_left_out(chain, name, said, tmp_path)


@pytest.mark.parametrize("geometry", ['<mesh filename="gone.stl"/>', "<plane/>", '<box size="1 1 0"/>'])
def test_other_collision_shapes_that_cannot_be_used_count_as_not_measured(geometry, tmp_path, urdf):
    _is_left_out(read_urdf(urdf(three(geometry))), "", "", tmp_path)


def _is_left_out(chain, name, said, folder):
    assert (chain.shapes, chain.unmeasured) == ((), ("base", "l2"))
    assert [note for note in chain.notes if name in note and said in note and "left out" in note]
    motion = folded(chain)
    with pytest.raises(UsageError, match="base, l2 could not be measured"):
        certify(motion, chain)
    (folder / "again.urdf").write_text(write_urdf(chain))
    assert read_urdf(folder / "again.urdf").unmeasured == chain.unmeasured
    body = ArmBody(chain, collisions=True)  # it moves all the same
    body.step()
    body.close()


def test_a_point_is_no_shape_and_takes_nothing_away(urdf):
    chain = read_urdf(urdf(three('<sphere radius="0"/>')))
    assert (chain.shapes, chain.unmeasured) == ((), ())
    assert [note for note in chain.notes if "left out" in note]


def test_a_mesh_that_changes_is_read_again(tmp_path):
    import os

    path = write_mesh(tmp_path, "ply")
    first = meshes.for_bullet(str(path))
    trimesh.creation.box(2 * SIZE).export(path)
    os.utime(path, (1e9, 1e9))
    assert np.ptp(meshes.vertices(path), axis=0) == pytest.approx(2 * SIZE)
    assert meshes.for_bullet(str(path)) != first


def test_the_range_of_the_arm_is_where_shapes_meet(urdf, tmp_path):
    """STL, DAE and a box of the same size touch in the same configurations, but for PyBullet's margin."""
    touching = []
    for name in ("stl", "dae", "glb"):
        write_mesh(tmp_path, name)
        chain = read_urdf(urdf(three(f'<mesh filename="box.{name}"/>')))
        body = ArmBody(chain, collisions=True)
        q = np.random.default_rng(0).uniform(*joint_box(chain), (200, 3))
        row = []
        for posture in q:
            body.place(posture)
            row.append(body.distance(-1, 2, 5.0))
        touching.append(row)
        body.close()
    np.testing.assert_allclose(touching[0], touching[1], atol=5e-3)
    np.testing.assert_allclose(touching[0], touching[2], atol=5e-3)
