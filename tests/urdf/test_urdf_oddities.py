"""Nothing is refused for how it is written or what it looks like, and what is wrong is named all at once."""

import re
import warnings

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from armctl.arm import load_arm
from armctl.envs.bullet.camera import Camera
from armctl.envs.bullet.view import View
from armctl.errors import UsageError
from armctl.motion.sampling import random_reference
from armctl.urdf import load_chain, read_urdf, write_urdf
from tests.engines import assert_equals_pybullet
from tests.robots import is_physical
from tests.urdf.urdf_text import ARM_LIMIT, arm, inertial, joint, links, robot, shape

PLAIN = arm()
DECLARED = '<?xml version="1.0"?>'


# --- the document ---------------------------------------------------------------------------------------------------

DOCUMENTS = {
    "default namespace": PLAIN.replace("<robot", '<robot xmlns="http://drake.mit.edu"').encode(),
    "namespace within": PLAIN.replace('<link name="l3"', '<link xmlns="http://a.b" name="l3"').encode(),
    "blank line first": f"\n{DECLARED}\n{PLAIN}".encode(),
    "blanks and no declaration": f"\r\n\t {PLAIN}".encode(),
    "comment first": f"<!-- by xacro -->\n{DECLARED}\n{PLAIN}".encode(),
    "byte order mark": b"\xef\xbb\xbf\n" + f"{DECLARED}{PLAIN}".encode(),
    "latin-1": PLAIN.replace("</robot>", "<!-- größte Höhe --></robot>").encode("latin-1"),
    "latin-1 that claims to be utf-8": (
        '<?xml version="1.0" encoding="UTF-8"?>' + PLAIN.replace("</robot>", "<!-- é --></robot>")
    ).encode("latin-1"),
    "latin-1 that says so": (
        '<?xml version="1.0" encoding="ISO-8859-1"?>' + PLAIN.replace("</robot>", "<!-- é --></robot>")
    ).encode("latin-1"),
    "windows-1252": (
        '<?xml version="1.0" encoding="windows-1252"?>' + PLAIN.replace("</robot>", "<!-- € --></robot>")
    ).encode("windows-1252"),
    "utf-16": ('<?xml version="1.0" encoding="UTF-16"?>' + PLAIN).encode("utf-16"),
    "unbound prefixes": PLAIN.replace("</robot>", '<sensor:camera x:y="1"/><gazebo><a:b/></gazebo></robot>').encode(),
    "ended by zeros": PLAIN.encode() + b"\n\0\0",
    "another one's joints": PLAIN.replace("</robot>", '<drake:joint name="j1"/><x:link name="l1"/></robot>').encode(),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_is_read_however_it_is_written(document, tmp_path):
    path = tmp_path / "robot.urdf"
    path.write_bytes(document)
    assert write_urdf(read_urdf(path)) == write_urdf(_read(tmp_path, PLAIN))


def _read(folder, text):
    (folder / "plain.urdf").write_text(text)
    return read_urdf(folder / "plain.urdf")


# --- looks ----------------------------------------------------------------------------------------------------------

LOOKS = {
    "zero radius": (shape("visual", '<sphere radius="0"/>'), "[0.0]"),
    "negative size": (shape("visual", '<box size="1 1 -1"/>'), "-1.0"),
    "two sizes": (shape("visual", '<box size="1 1"/>'), "expected 3"),
    "no length": (shape("visual", '<cylinder radius="1"/>'), "length"),
    "words": (shape("visual", '<sphere radius="big"/>'), "'big'"),
    "not finite": (shape("visual", '<sphere radius="nan"/>'), "nan"),
    "unknown geometry": (shape("visual", '<torus radius="1"/>'), "'torus'"),
    "bad place": (shape("visual", '<sphere radius="1"/>', '<origin xyz="1 2"/>'), "'1 2'"),
    "inline colour of three": (
        shape("visual", '<sphere radius="1"/>', '<material><color rgba="1 1 1"/></material>'), "'1 1 1'"
    ),
    "no scale": (shape("visual", '<mesh filename="good.obj" scale="0 0 0"/>'), "scale"),
    "scale of two": (shape("visual", '<mesh filename="good.obj" scale="1 1"/>'), "'1 1'"),
    "missing mesh": (shape("visual", '<mesh filename="package://gone/a.dae"/>'), "not found"),
    "no mesh": (shape("visual", "<mesh/>"), "not found"),
    "empty mesh": (shape("visual", '<mesh filename="empty.obj"/>'), "is empty"),
    "git's pointer": (shape("visual", '<mesh filename="lfs.dae"/>'), "Git LFS"),
    "damaged glb": (shape("visual", '<mesh filename="link.glb"/>'), "cannot be read"),
    "damaged ply": (shape("visual", '<mesh filename="link.ply"/>'), "cannot be read"),
    "damaged stl": (shape("visual", '<mesh filename="link.stl"/>'), "no triangles"),
    "no format": (shape("visual", '<mesh filename="link.xyz1"/>'), "cannot be read"),
    "damaged obj": (shape("visual", '<mesh filename="link.obj"/>'), "no triangles"),
    "damaged dae": (shape("visual", '<mesh filename="link.dae"/>'), "cannot be read"),
    "dae of nothing": (shape("visual", '<mesh filename="nothing.dae"/>'), "cannot be read"),
    "dae of an asset": (shape("visual", '<mesh filename="asset.dae"/>'), "cannot be read"),
    "a page that says why not": (shape("visual", '<mesh filename="page.dae"/>'), "cannot be read"),
    "dae without geometries": (shape("visual", '<mesh filename="hollow.dae"/>'), "no triangles"),
    "dae with lost sources": (shape("visual", '<mesh filename="lost.dae"/>'), "no triangles"),
}  # fmt: skip


def _meshes(folder):
    (folder / "good.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (folder / "empty.obj").touch()
    for name in ("lfs.dae", "lfs.stl"):
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    for name in ("link.glb", "link.ply", "link.xyz1", "link.dae", "link.stl", "link.obj"):
        (folder / name).write_bytes(b"glTF" + bytes(60))
    (folder / "nothing.dae").write_text("<COLLADA/>")
    (folder / "asset.dae").write_text("<COLLADA><asset/></COLLADA>")
    (folder / "page.dae").write_text("<!DOCTYPE html><html><body><p>404</p></body></html>")
    whole = _dae()
    (folder / "hollow.dae").write_text(_without("library_geometries", whole))
    (folder / "lost.dae").write_text(re.sub('source="#[^"]*"', 'source="#gone"', whole))


def _dae():
    return trimesh.exchange.dae.export_collada(trimesh.creation.box((0.3, 0.3, 0.3))).decode()


def _without(tag, text):
    return re.sub(f"<{tag}>.*</{tag}>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize(("look", "said"), LOOKS.values(), ids=LOOKS.keys())
def test_looks_never_refuse_an_arm(look, said, urdf, tmp_path):
    _meshes(tmp_path)
    chain = read_urdf(urdf(arm(l2=inertial() + look)))
    assert chain.n == 6
    assert not chain.unmeasured
    assert [note for note in chain.notes if said in note and "left out" in note]
    assert _picture(chain).std() > 0


def _picture(chain):
    camera = Camera(chain)
    camera.place(chain.home, [0.0, 0, 1, 0, 0, 0, 1])
    picture = camera.picture(View(width=32, height=24))[0]
    camera.close()
    return picture


@pytest.mark.parametrize("missing", ["nothing", "asset"])
def test_collada_looks_like_what_it_holds(missing, urdf, tmp_path):
    """PyBullet crashes on a file without an <asset>, which is good for all else."""
    (tmp_path / "box.dae").write_text(_without(missing, _dae()))
    pictures = [
        _picture(read_urdf(urdf(arm(l2=inertial() + shape("visual", geometry)))))
        for geometry in ('<mesh filename="box.dae"/>', '<box size="0.3 0.3 0.3"/>', '<sphere radius="0.01"/>')
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_an_inline_colour_is_its_own_whatever_its_name(urdf):
    """Exporters give many colours one name; the first of a name is that of shapes which give the name alone."""
    inline = '<material name="c"><color rgba="{}"/></material>'
    looks = [shape("visual", '<sphere radius="0.1"/>', x) for x in (inline.format("1 0 0 1"), inline.format("0 1 0 1"))]
    looks.append(shape("visual", '<sphere radius="0.1"/>', '<material name="c"/>'))
    chain = read_urdf(urdf(arm(l2=inertial() + "".join(looks))))
    assert [s.rgba for s in chain.shapes] == [(1, 0, 0, 1), (0, 1, 0, 1), (1, 0, 0, 1)]


@pytest.mark.parametrize("rgba", ["0.5 0.5 0.5", "grey", "", "1 1 1 nan"])
def test_a_named_colour_that_is_none_is_left_out(rgba, urdf):
    used = shape("visual", '<sphere radius="0.1"/>', '<material name="grey"/>')
    chain = read_urdf(urdf(arm(f'<material name="grey"><color rgba="{rgba}"/></material>', l2=inertial() + used)))
    assert [s.rgba for s in chain.shapes] == [None]
    assert [note for note in chain.notes if "'grey'" in note and "left out" in note]


# --- inertias -------------------------------------------------------------------------------------------------------


def _tensor(mass, tensor):
    names = zip(("ixx", "ixy", "ixz", "iyy", "iyz", "izz"), tensor[np.triu_indices(3)], strict=True)
    values = " ".join(f'{name}="{float(value)!r}"' for name, value in names)
    return f'<inertial><mass value="{mass!r}"/><inertia {values}/></inertial>'


def _turned(moments, seed):
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return R @ np.diag(moments) @ R.T


@limits(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.floats(1e-6, 1.0), thick=st.sampled_from([0.0, 1e-17, -1e-17, 1e-9]))
def test_a_rod_is_given_some_thickness_and_noted(seed, size, thick, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rod")
    rod = _tensor(0.5, _turned(np.array([1.0, 1.0, thick]) * size, seed))
    chain = _read(folder, arm(n=3, l3=rod))
    assert is_physical(chain.inertia[2])
    assert np.linalg.eigvalsh(chain.inertia[2])[0] > 1e-4 * size
    assert [note for note in chain.notes if "'l3'" in note and "repaired" in note]
    assert_equals_pybullet(chain, folder / "canonical.urdf", write_urdf(chain))


@limits(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.floats(1e-6, 0.4), fixed=st.booleans())
def test_a_slip_below_zero_is_repaired_with_a_warning(seed, share, fixed, tmp_path_factory):
    own = _tensor(0.02, _turned(np.array([1e-5, 1e-5, -1e-5 * share]), seed))
    camera = f'<link name="cam">{own}</link>' + joint("cj", "l6", "cam", "fixed", "")
    with pytest.warns(UserWarning, match=r"negative one .* repaired"):
        chain = _read(tmp_path_factory.mktemp("slip"), arm(camera) if fixed else arm(l6=own))
    assert is_physical(chain.inertia[-1])
    assert [note for note in chain.notes if "repaired" in note]


@pytest.mark.parametrize("read", [read_urdf, load_chain, load_arm])
def test_the_warning_of_repairs_comes_once_and_points_at_the_caller(read, urdf):
    broken = inertial(1.0, (0.1, 0.1, 0.5))
    with pytest.warns(UserWarning, match="'l2' broke .* 'l4' broke") as caught:
        read(urdf(arm(l2=broken, l4=broken)))
    assert [warning.filename for warning in caught] == [__file__]


def test_what_is_no_inertia_at_all_is_refused(urdf):
    with pytest.raises(UsageError, match="none may be negative"):
        read_urdf(urdf(arm(l3=inertial(1.0, (-0.1, 0.1, 0.1)))))


# --- limits ---------------------------------------------------------------------------------------------------------


def _limited(limit):
    return arm().replace(ARM_LIMIT, f'<limit {limit} effort="300"/>', 1)


@pytest.mark.parametrize("size", ["1e16", "1e+09", "99999", "inf"])
def test_limits_beyond_meaning_are_none(size, urdf):
    chain = read_urdf(urdf(_limited(f'lower="-{size}" upper="{size}" velocity="2"')))
    assert chain.joint_types[0] == "continuous"
    assert (chain.lower[0], chain.upper[0], chain.home[0]) == (-np.inf, np.inf, 0.0)
    assert [note for note in chain.notes if "'j1'" in note and "continuous" in note]
    assert len(random_reference(chain, np.random.default_rng(0), dt=0.02).q) < 5000  # it returns


@pytest.mark.parametrize(("limit", "wanted"), [('lower="-1e16" upper="1"', 1.0), ('lower="0.5" upper="1e300"', 0.5)])
def test_a_joint_without_limit_on_one_side_keeps_the_other(limit, wanted, urdf):
    chain = read_urdf(urdf(_limited(f'{limit} velocity="2"')))
    assert wanted in (chain.lower[0], chain.upper[0])
    assert chain.upper[0] - chain.lower[0] == pytest.approx(8 * np.pi)
    assert [note for note in chain.notes if "'j1'" in note and "turns" in note]


@pytest.mark.parametrize("limit", ['lower="-1e16" upper="1e16"', 'lower="0" upper="1e16"', 'lower="500" upper="1200"'])
def test_a_rail_without_end_is_refused(limit, urdf):
    text = _limited(f'{limit} velocity="2"').replace('"revolute"', '"prismatic"', 1)
    with pytest.raises(UsageError, match=r"'j1' has the range .* rail"):
        read_urdf(urdf(text))


@pytest.mark.parametrize(("degrees", "noted"), [(170, True), (90, True), (15, True), (2 * np.pi, False), (3, False)])
def test_limits_like_degrees_are_noted(degrees, noted, urdf):
    chain = read_urdf(urdf(_limited(f'lower="-{degrees}" upper="{degrees}" velocity="2"')))
    assert chain.upper[0] == degrees
    assert bool([note for note in chain.notes if "degrees" in note and "'j1'" in note]) == noted


@pytest.mark.parametrize("velocity", ["110", "1e16", "inf"])
def test_velocities_beyond_what_can_be_simulated_are_cut(velocity, urdf):
    chain = read_urdf(urdf(_limited(f'lower="-2" upper="2" velocity="{velocity}"')))
    assert chain.velocity.tolist() == [50, 2, 2, 2, 2, 2]
    assert np.isfinite(chain.jerk).all()
    assert [note for note in chain.notes if "velocity" in note and "j1" in note]


# --- all faults at once ---------------------------------------------------------------------------------------------


def test_every_joint_and_quantity_is_named_in_one_sentence(urdf):
    with pytest.raises(UsageError) as error:
        read_urdf(urdf(arm().replace('velocity="2" effort="80"', 'velocity="0" effort="0"')))
    said = str(error.value)
    assert all(f"'j{k}'" in said for k in range(1, 7))
    assert "velocity limit 0 and the effort limit 0" in said
    assert said.count(".") == 1


def test_faults_of_different_kinds_are_named_together(urdf):
    text = arm(l2=inertial(-1.0), l3="").replace('upper="2"', 'upper="-2"', 1)
    text = text.replace('velocity="2"', "", 2).replace('effort="80"', 'effort="-1"', 3)
    with pytest.raises(UsageError) as error:
        read_urdf(urdf(text))
    for said in ("'j1'", "'j2'", "'j3'", "empty range", "no velocity", "effort limit -1", "negative mass"):
        assert said in str(error.value)


def test_numbers_that_are_none_are_named_together(urdf):
    text = robot(links("base", "a"), f'<link name="b">{inertial().replace("1.0", "heavy")}</link>')
    text = text.replace("</robot>", joint("j", "base", "a", extra='<axis xyz="up"/>') + joint("k", "a", "c"))
    with pytest.raises(UsageError) as error:
        read_urdf(urdf(text + "</robot>"))
    for said in ("'heavy'", "'up'", "child link 'c'"):
        assert said in str(error.value)


def _replaced(text, words):
    for old, new in words.items():
        text = text.replace(old, new)
    return text


TOGETHER = {
    "home and mass": (
        arm('<armctl home="5 0 0 0 0 0"/>', l2=inertial(-1.0)),
        ("home posture '5 0 0 0 0 0'", "'l2' has the negative mass"),
    ),
    "home, limits, tip and mass": (
        arm('<armctl home="5" tip_xyz="0 0" tip_rpy="up"/>', l2=inertial(-1.0)).replace('upper="2"', 'upper="-2"', 1),
        ("home of <armctl> is '5'; expected 6", "'j1' has the empty range", "tip_xyz", "tip_rpy", "negative mass"),
    ),
    "masses of two kinds": (
        arm(l2=inertial(-1.0, (-0.1, 0.1, 0.1)), l3="", l4=inertial(1.0, (0, 0, 0))),
        ("'l2' has the negative mass", "'l2' has the non-physical", "'l3' moves but has no mass", "'l4' moves but"),
    ),
    "a circle of mimics": (
        arm(
            links("f", "g"),
            joint("jf", "l6", "f", extra='<mimic joint="jg"/>') + joint("jg", "l6", "g", extra='<mimic joint="jf"/>'),
        ).replace('upper="2"', 'upper="-2"', 1),
        ("'j1' has the empty range", "mimics itself"),
    ),
    "numbers of a link": (
        arm(l2=_replaced(inertial(), {"1.0": "heavy", "0.02": "a", "0.04": "b", 'rpy="0.0': 'rpy="'})),
        ("The mass of link 'l2' is 'heavy'", "The ixx of link 'l2'", "The izz of link 'l2'", "The origin rpy of the"),
    ),
    "numbers of a joint": (
        robot(
            links("base", "a"),
            joint(
                "j", "x", "y", "screw", '<limit lower="low"/>',
                '<origin xyz="1" rpy="2"/><axis xyz="0 0 0"/><dynamics damping="d"/><mimic multiplier="m" offset="o"/>',
            ),
        ),
        ("type 'screw'", "parent link 'x'", "child link 'y'", "lower of joint 'j'", "xyz of joint 'j' is '1'", "rpy of",
         "zero axis", "damping of", "mimic multiplier", "mimic offset"),
    ),
    "double names and numbers": (
        robot(links("base", "a", "a", "b", "b"), joint("j", "base", "a", extra='<axis xyz="up"/>')),
        ("two links named 'a' and two links named 'b'", "'up'"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "faults"), TOGETHER.values(), ids=TOGETHER.keys())
def test_faults_of_one_part_do_not_hide_those_of_another(text, faults, urdf):
    with pytest.raises(UsageError) as error:
        read_urdf(urdf(text))
    for said in faults:
        assert str(error.value).count(said) == 1


def test_reading_again_says_nothing_new(urdf):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_urdf(urdf(PLAIN)).notes == read_urdf(urdf(PLAIN)).notes
