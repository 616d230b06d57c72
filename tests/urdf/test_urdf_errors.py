"""Bad URDF files are named in one sentence, with what to do about them."""

import pytest

from armctl.errors import UsageError
from armctl.urdf import find_robot, read_urdf
from tests.urdf.urdf_text import inertial, joint, links, robot

TWO = links("base", "a")
BAD = {
    "not XML": ("<robot", "not readable XML"),
    "not a robot": ("<sdf/>", "root element is <sdf>"),
    "xacro": ('<robot xmlns:xacro="http://ros.org/wiki/xacro"><xacro:x/></robot>', "xacro template"),
    "no links": (robot(), "defines no links"),
    "no moving joint": (robot(TWO, joint("j", "base", "a", "fixed", "")), "no chain to a tip"),
    "undefined link": (robot(TWO, joint("j", "base", "b")), "child link 'b'"),
    "unknown type": (robot(TWO, joint("j", "base", "a", "screw")), "unknown type 'screw'"),
    "two parents": (robot(links("base", "a", "b"), joint("j", "base", "b"), joint("k", "a", "b")), "loop"),
    "cycle": (robot(TWO, joint("j", "base", "a"), joint("k", "a", "base")), "loop"),
    "no limits": (robot(TWO, joint("j", "base", "a", limit="")), "'j' has no lower and upper limit"),
    "no velocity": (robot(TWO, joint("j", "base", "a", "continuous", limit="")), "'j' has no velocity limit"),
    "empty range": (
        robot(TWO, joint("j", "base", "a", limit='<limit lower="1" upper="1" velocity="1" effort="1"/>')),
        "empty range",
    ),
    "zero effort": (
        robot(TWO, joint("j", "base", "a", limit='<limit lower="0" upper="1" velocity="1" effort="0"/>')),
        "effort limit 0",
    ),
    "not a number": (robot(TWO, joint("j", "base", "a", extra='<axis xyz="0 0 up"/>')), "not numeric"),
    "not finite": (robot(TWO, joint("j", "base", "a", extra='<origin xyz="0 0 nan"/>')), "finite"),
    "double joint": (
        robot('<link name="base"/><link name="a"/><link name="b"/>', joint("j", "base", "a") + joint("j", "a", "b")),
        "two joints named 'j'",
    ),
    "double link": (robot('<link name="base"/><link name="a"/><link name="a"/>', ""), "two links named 'a'"),
    "wrong count": (robot(TWO, joint("j", "base", "a", extra='<axis xyz="0 1"/>')), "expected 3"),
    "zero axis": (robot(TWO, joint("j", "base", "a", extra='<axis xyz="0 0 0"/>')), "zero axis"),
    "planar": (robot(TWO, joint("j", "base", "a", "planar")), "'j' is planar"),
    "floating": (robot(TWO, joint("j", "base", "a", "floating")), "'j' is floating"),
    "mimic": (
        robot(links("base", "a", "b"), joint("j", "base", "a", extra='<mimic joint="k"/>'), joint("k", "a", "b")),
        "mimics 'k'",
    ),
    "no mass": (robot(links("base", "a", a=""), joint("j", "base", "a")), "no mass"),
    "no inertia": (robot(links("base", "a", a=inertial(1.0, (0, 0, 0))), joint("j", "base", "a")), "inertia of zero"),
    "negative mass": (robot(links("base", "a", a=inertial(-1.0)), joint("j", "base", "a")), "negative mass"),
    "negative inertia": (
        robot(links("base", "a", a=inertial(1.0, (-0.1, 0.1, 0.1))), joint("j", "base", "a")),
        "non-physical principal inertias",
    ),
    "bad home": (robot('<armctl home="5"/>', TWO, joint("j", "base", "a")), "outside the joint limits"),
    "short home": (robot('<armctl home=""/>', TWO, joint("j", "base", "a")), "expected 1"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_named_in_one_sentence(text, said, urdf):
    with pytest.raises(UsageError) as error:
        read_urdf(urdf(text))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_list_the_candidates(urdf):
    path = urdf(robot(links("base", "a", "b"), joint("j", "base", "a"), joint("m", "a", "b", "fixed", "")))
    with pytest.raises(UsageError, match=r"no link 'hand' .* candidates: a, b"):
        read_urdf(path, tip="hand")
    with pytest.raises(UsageError, match="no chain to the tip 'base'"):
        read_urdf(path, tip="base")
    with pytest.raises(UsageError, match=r"Unknown robot 'pandda'; choose one of .*panda"):
        find_robot("pandda")
    with pytest.raises(UsageError, match=r"no URDF file 'gone\.urdf'"):
        find_robot("gone.urdf")
    with pytest.raises(UsageError, match="There is no file"):
        read_urdf("gone.urdf")
