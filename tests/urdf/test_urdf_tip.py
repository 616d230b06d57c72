"""Where an arm ends when nobody says: at its flange, hand or tool frame; and where what it does not move is held."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl.audit.raw_file import raw_differences
from armctl.errors import UsageError
from armctl.urdf import read_urdf
from tests.engines import assert_equals_pinocchio
from tests.urdf.urdf_text import LIMIT, arm, inertial, joint, links, robot


def fixed(link, parent, z=0.1, body=""):
    return f'<link name="{link}">{body}</link>' + joint(
        f"to_{link}", parent, link, "fixed", "", f'<origin xyz="0 0 {z}"/>'
    )


def finger(name, parent, count, kind="revolute", limit='<limit lower="0" upper="1.5" velocity="0" effort="0.35"/>'):
    parts = []
    for k in range(count):
        parts.append(links(f"{name}{k}") + joint(f"{name}j{k}", parent, f"{name}{k}", kind, limit))
        parent = f"{name}{k}"
    return "".join(parts)


TIPS = {
    "one jaw beside a frame": ([finger("jaw", "l6", 1), fixed("gripper_frame", "l6")], "gripper_frame", 6),
    "one jaw beside an unknown frame": ([finger("part", "l6", 1), fixed("tcp", "l6")], "tcp", 6),
    "a frame beyond a body": (
        [finger("part", "l6", 1), fixed("plate", "l6"), fixed("tool0", "plate")], "tool0", 6
    ),
    "one jaw alone": ([finger("moving_jaw", "l6", 1)], "l6", 6),
    "one jaw on a hand": ([fixed("hand", "l6"), finger("claw", "hand", 1)], "hand", 6),
    "a wrist called gripper": (
        [links("gripper") + joint("gripper_roll", "l6", "gripper")], "gripper", 7
    ),
    "long fingers": ([fixed("palm", "l6"), finger("a", "palm", 4), finger("b", "palm", 4)], "palm", 6),
    "five fingers and a short thumb": (
        [fixed("palm", "l6"), *(finger(x, "palm", 4) for x in "abcd"), finger("e", "palm", 3)], "palm", 6
    ),
    "fingers that slide": ([finger("a", "l6", 1, "prismatic"), finger("b", "l6", 1, "prismatic")], "l6", 6),
    "a hand with a tool frame": (
        [fixed("palm", "l6"), fixed("grasp_point", "palm"), finger("a", "palm", 2), finger("b", "palm", 2)],
        "grasp_point", 6,
    ),
    "names of tools": ([fixed("camera", "l6"), fixed("ee_link", "l6"), fixed("tool0", "l6")], "tool0", 6),
    "a name before depth": ([fixed("a", "l6"), fixed("b", "a"), fixed("l_tcp", "l6")], "l_tcp", 6),
    "depth where no name tells": ([fixed("a", "l6"), fixed("b", "a"), fixed("c", "l6")], "b", 6),
    "no tool in a name": ([fixed("screen", "l6"), fixed("deep", "l6"), fixed("feet", "deep")], "feet", 6),
    "a follower at the end": (
        [links("f") + joint("fj", "l6", "f", extra='<mimic joint="j6"/>')], "l6", 6
    ),
    "a follower that is fixed": ([links("f") + joint("fj", "l6", "f", "fixed", "", '<mimic joint="j6"/>')], "f", 6),
    "wrist links called tools": (
        [links("tool_pitch", "tool_roll"), joint("j7", "l6", "tool_pitch"), joint("j8", "tool_pitch", "tool_roll")],
        "tool_roll", 8,
    ),
    "a wrist link called by two names": (
        [links("ee_pitch", "end_effector"), joint("j7", "l6", "ee_pitch"), joint("j8", "ee_pitch", "end_effector")],
        "end_effector", 8,
    ),
    "a link called tool before a wrist": (
        [links("tool", "last"), joint("j7", "l6", "tool"), joint("j8", "tool", "last")], "last", 8
    ),
    "a tool camera before a wrist": ([fixed("tool_camera", "l4")], "l6", 6),
    "a tool frame before a jaw": ([fixed("tool_center_point", "l6"), finger("part", "l6", 1)], "tool_center_point", 6),
    "a tool frame with more to its name": ([fixed("camera", "l6"), fixed("tool_frame", "l6")], "tool_frame", 6),
    "a camera that turns half way": ([links("cam") + joint("pan", "l3", "cam")], "l6", 6),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "tip", "n"), TIPS.values(), ids=TIPS.keys())
def test_an_arm_ends_before_its_hand(parts, tip, n, urdf):
    chain = read_urdf(urdf(arm(*parts)))
    assert (chain.tip, chain.n) == (tip, n)
    assert [note for note in chain.notes if f"{tip!r} was chosen" in note]


def test_two_arms_on_a_torso_are_no_fingers(urdf):
    parts = []
    for side in ("left", "right"):
        parent = "torso"
        for k in range(5):
            parts.append(links(f"{side}{k}") + joint(f"{side}j{k}", parent, f"{side}{k}"))
            parent = f"{side}{k}"
        parts.append(finger(f"{side}f", parent, 1) + finger(f"{side}g", parent, 1))
    turns = links("base", "hip", "waist", "torso") + joint("t1", "base", "hip") + joint("t2", "hip", "waist")
    chain = read_urdf(urdf(robot(turns + joint("t3", "waist", "torso"), *parts)))
    assert (chain.n, chain.tip) == (8, "left4")


@pytest.mark.parametrize("kind", ["revolute", "prismatic"])
@pytest.mark.parametrize(
    ("limits", "held"),
    [(("0.1", "inf"), 0.1), (("0.1", "1e16"), 0.1), (("-1e16", "-0.2"), -0.2), (("inf", "inf"), 0), (("1", "2"), 1.5)],
)
def test_a_branch_without_limit_on_one_side_is_held_at_the_other(kind, limits, held, urdf):
    limit = '<limit lower="{}" upper="{}" velocity="1" effort="1"/>'.format(*limits)
    chain = read_urdf(urdf(arm(links("cam") + joint("pan", "l3", "cam", kind, limit))))
    assert [note for note in chain.notes if "'pan'" in note and f"frozen at {held:g} " in note]
    assert np.abs(chain.com).max() < 2


# --- mimic joints ---------------------------------------------------------------------------------------------------


def _gripper(kind, lower, upper, mimic, limit="-9 9"):
    low, high = limit.split()
    body = inertial(1.0, (1e-3, 1e-3, 1e-3), (0.1, 0, 0))
    driver = joint("drive", "hand", "fa", kind, f'<limit lower="{lower}" upper="{upper}" velocity="1" effort="10"/>')
    follower = joint("follow", "hand", "fb", kind, f'<limit lower="{low}" upper="{high}" velocity="1" effort="9"/>',
                     f'<axis xyz="0 1 0"/>{mimic}')  # fmt: skip
    return (
        fixed("hand", "l6", body=inertial())
        + f'<link name="fa">{body}</link><link name="fb">{body}</link>'
        + driver
        + follower
    )


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(["prismatic", "revolute"]), lower=st.floats(0.1, 0.5), multiplier=st.floats(-2, 2),
    offset=st.floats(-1, 1), first=st.booleans(),
)  # fmt: skip
def test_a_mimic_is_held_at_multiplier_times_driver_plus_offset(
    kind, lower, multiplier, offset, first, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("mimic")
    parts = _gripper(kind, lower, lower + 0.2, f'<mimic joint="drive" multiplier="{multiplier}" offset="{offset}"/>')
    if first:  # the order of things in a file means nothing
        parts = parts[parts.index('<joint name="follow"') :] + parts[: parts.index('<joint name="follow"')]
    (folder / "mimic.urdf").write_text(arm(parts))
    wanted = multiplier * (lower + 0.1) + offset
    held = f'<limit lower="{wanted - 0.1}" upper="{wanted + 0.1}" velocity="1" effort="9"/>'
    still = _gripper(kind, lower, lower + 0.2, "").replace(
        '<limit lower="-9" upper="9" velocity="1" effort="9"/>', held
    )
    if -0.11 < wanted < 0.11:
        return  # a joint of its own would be held at zero
    (folder / "still.urdf").write_text(arm(still))
    chain, same = read_urdf(folder / "mimic.urdf"), read_urdf(folder / "still.urdf")
    np.testing.assert_allclose(chain.com, same.com, atol=1e-12)
    np.testing.assert_allclose(chain.inertia, same.inertia, atol=1e-12)
    assert [note for note in chain.notes if "'follow'" in note and f"frozen at {wanted:g}" in note]


def test_a_mimic_of_a_mimic_follows_and_the_raw_file_agrees(urdf):
    extra = _gripper("prismatic", 0.2, 0.8, '<mimic joint="drive" multiplier="-1"/>')
    extra += links("fc") + joint("third", "hand", "fc", "prismatic", LIMIT, '<mimic joint="follow" offset="0.1"/>')
    chain = read_urdf(urdf(arm(extra)))
    assert any("'follow'" in note and "frozen at -0.5" in note for note in chain.notes)
    assert any("'third'" in note and "frozen at -0.4" in note for note in chain.notes)
    assert raw_differences(chain) == []


def test_a_mimic_of_a_joint_of_the_arm_is_held_at_home_and_says_so(urdf):
    extra = links("rod") + joint(
        "link", "l2", "rod", "revolute", LIMIT, '<mimic joint="j2" multiplier="-1" offset="1"/>'
    )
    path = urdf(arm('<armctl home="0 0.5 0 0 0 0"/>', extra))
    assert any("frozen at 0.5" in note and "'j2', which moves" in note for note in read_urdf(path).notes)


def test_a_mimic_of_nothing_is_noted_and_one_of_itself_refused(urdf):
    lost = _gripper("prismatic", 0.2, 0.8, '<mimic joint="gone"/>', "-1 -0.5")
    assert any("frozen at -0.75" in note and "'gone'" in note for note in read_urdf(urdf(arm(lost))).notes)
    own = _gripper("prismatic", 0.2, 0.8, '<mimic joint="follow"/>')
    with pytest.raises(UsageError, match="'follow' mimics itself"):
        read_urdf(urdf(arm(own)))


def test_pinocchio_agrees_where_followers_rest_at_zero(urdf):
    path = urdf(arm(_gripper("prismatic", -0.2, 0.2, '<mimic joint="drive" multiplier="-3"/>')))
    assert_equals_pinocchio(read_urdf(path), path)
