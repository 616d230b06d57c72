"""References from tables as loggers and spreadsheets write them: read as they are meant, with what is assumed said."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armctl import geometry, rigid
from armctl.errors import UsageError
from armctl.motion.csv_columns import find_columns
from armctl.motion.files import load_reference, load_suite_dir
from armctl.motion.reference import Reference, over_limits
from armctl.urdf import load_chain
from tests.motion.tables import DATA, FEW, GEN3, PANDA, PLAIN, Q, T, lines, load, wave

LOOKS = {
    "semicolons": PLAIN.replace(",", ";"),
    "semicolons and decimal commas": PLAIN.replace(",", ";").replace(".", ","),
    "tabs": PLAIN.replace(",", "\t"),
    "blanks": PLAIN.replace(",", "  "),
    "header in a comment": f"# {PLAIN}",
    "header after %": f"%{PLAIN}",
    "comments": f"# an arm, 3 joints; by hand\n{PLAIN}# end\n",
    "windows": PLAIN.replace("\n", "\r\n"),
    "quotes": "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()),
    "a comma at the end": PLAIN.replace("\n", ",\n"),
    "upper case": PLAIN.replace("t,q", "T,Q", 1).replace(",q", ",Q"),
    "time": PLAIN.replace("t,", "time,", 1),
    "Timestamp [s]": PLAIN.replace("t,", "Timestamp [s],", 1),
    "from 0": lines(["t", *(f"joint_{i}" for i in range(7))], T, wave(PANDA, T)),
    "in brackets": lines(["t", *(f"position[{i}]" for i in range(7))], T, wave(PANDA, T)),
    "names of the arm": lines(["t", *PANDA.joint_names], T, wave(PANDA, T)),
    "names with their arm": lines(["t", *(f"Panda_{name.upper()}" for name in PANDA.joint_names)], T, wave(PANDA, T)),
    "names with what they are": lines(["t", *(f"{name}.position" for name in PANDA.joint_names)], T, wave(PANDA, T)),
    "degrees": lines(["t", *(f"q{i + 1} [deg]" for i in range(7))], T, np.degrees(wave(PANDA, T))),
    "degrees after a line": lines(["t", *(f"q{i + 1}_deg" for i in range(7))], T, np.degrees(wave(PANDA, T))),
}


@pytest.mark.parametrize("look", LOOKS)
def test_no_look_changes_a_table_of_joints(tmp_path, look):
    found = load(tmp_path, LOOKS[look])
    np.testing.assert_allclose(found.q, wave(PANDA, T), atol=1e-7)
    assert "notes" not in found.meta


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_no_encoding_changes_a_table(tmp_path, encoding):
    assert len(load(tmp_path, f"# größer\n{PLAIN}", encoding=encoding).q) == len(T)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(9)))
def test_order_and_company_of_columns_do_not_matter(tmp_path, order):
    names, table = ["t", *Q, "state"], np.column_stack([T, wave(PANDA, T)]).round(9).astype(str)
    table = np.column_stack([table, np.full(len(T), "RUN")])
    rows = [names, *table.tolist()]
    found = load(tmp_path, "\n".join(",".join(row[k] for k in order) for row in rows))
    np.testing.assert_allclose(found.q, wave(PANDA, T), atol=1e-7)


def test_velocities_and_poses_beside_joints_are_left_alone(tmp_path):
    names = ["t", *(f"{kind}{i}" for kind in ("position", "velocity", "effort") for i in range(7)), "x", "y", "z"]
    table = np.column_stack([wave(PANDA, T), np.full((len(T), 17), 99.0)])
    np.testing.assert_allclose(load(tmp_path, lines(names, T, table)).q, wave(PANDA, T), atol=1e-7)


@pytest.mark.parametrize("name", ["b.CSV", "B.Csv"])
def test_the_ending_may_be_in_upper_case_in_folders_too(tmp_path, name):
    load(tmp_path, PLAIN, name=name)
    assert [one.name for one in load_suite_dir(tmp_path, PANDA)] == [name[0]]
    assert len(load_reference(DATA / "panda_upper_case.CSV", PANDA).q) == 41


WRONG = {
    "no header": ("\n".join(PLAIN.splitlines()[1:]), "has no header"),
    "no time": (PLAIN.replace("t,", "step,", 1), "no column of time"),
    "a joint missing": (lines(["t", *Q[:6]], T, wave(PANDA, T)[:, :6]), "only 6 of 7 joints"),
    "a named joint missing": (lines(["t", *PANDA.joint_names[:6]], T, wave(PANDA, T)[:, :6]), "no joint7"),
    "a joint too many": (lines(["t", *Q, "q8"], T, np.ones((len(T), 8))), "8 joint columns, .*panda has 7"),
    "a column twice": (lines(["t", *Q, "q3"], T, np.ones((len(T), 8))), "more than one column q3"),
    "an unknown unit": (PLAIN.replace("t,", "t [h],", 1), r"column t \[h\]; units are s,"),
    "degrees unsaid": (lines(["t", *Q], T, np.degrees(wave(PANDA, T))), r"degrees, say so.*'q1 \[deg\]'"),
    "angles": (lines(["t", *"xyz", "roll", "pitch", "yaw"], T, np.ones((len(T), 6))), "orientation as roll,pitch,yaw"),
    "half a quaternion": (lines(["t", *"xyz", "qx", "qy"], T, np.ones((len(T), 5))), "orientation as qx,qy"),
    "a joint in mm": (PLAIN.replace("q3", "q3 [mm]", 1), r"column q3 \[mm\]; units are rad, deg"),
    "a joint of the arm in mm": (
        lines(["t", *PANDA.joint_names[:6], "joint7_mm"], T, wave(PANDA, T)),
        "column joint7_mm; units are rad, deg",
    ),
    "a position in degrees": (
        lines(["t", "x [deg]", "y", "z"], T, np.ones((len(T), 3))),
        r"x \[deg\]; units are m, cm",
    ),
    "a time in metres": (PLAIN.replace("t,", "t [m],", 1), r"column t \[m\]; units are s,"),
    "a quaternion in degrees": (
        lines(["t", *"xyz", "qx [deg]", "qy", "qz", "qw"], T, np.ones((len(T), 7))),
        r"qx \[deg\]; .* has no unit",
    ),
    "a short row": (PLAIN + "3,1\n", "line 43 needs 8 finite numbers"),
    "a time beyond all numbers": (PLAIN.replace("\n0.1,", "\n1e999999999,"), "line 4 needs 8 finite numbers"),
    "an earlier time": (PLAIN + PLAIN.splitlines()[3], "time does not increase at line 43"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_told_is_refused_in_one_sentence(tmp_path, wrong):
    text, words = WRONG[wrong]
    with pytest.raises(UsageError, match=words) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith("Reference '")
    assert "a.csv" in str(caught.value)


ROWS = {"joint_{}": GEN3, "gen3_joint_{}": GEN3, "joint_{}.position": GEN3, "joint_{} [rad]": GEN3, "joint{}": PANDA}


@pytest.mark.parametrize(("form", "chain"), ROWS.items(), ids=list(ROWS))
def test_joints_numbered_from_0_are_not_taken_for_those_of_an_arm_that_begins_at_1(tmp_path, form, chain):
    from_0, q = [form.format(i) for i in range(8)], wave(chain, T)
    table = np.column_stack([q, np.zeros(len(T))])
    with pytest.raises(UsageError, match=rf"has 8 joint columns, .*{chain.name} has 7 joints: leave the others out"):
        load(tmp_path, lines(["t", *from_0], T, table), chain)
    found = load(tmp_path, lines(["t", *from_0[1:], "gripper"], T, table), chain)
    np.testing.assert_allclose(found.q, q, atol=1e-7)
    one_more = load(tmp_path, lines(["t", *(form.format(i) for i in range(1, 9))], T, table), chain)
    np.testing.assert_array_equal(one_more.q, found.q)


def test_the_unit_of_a_joint_is_that_of_its_kind():
    slides = replace(PANDA, joint_types=(*PANDA.joint_types[:6], "prismatic"))
    found = find_columns(("t", *(f"q{i + 1} [deg]" for i in range(6)), "q7 [mm]"), slides)
    np.testing.assert_allclose([column.unit for column in found.joints], [*[np.pi / 180] * 6, 1e-3])
    with pytest.raises(UsageError, match=r"q7 \[deg\]; units are m, cm, mm"):
        find_columns(("t", *(f"q{i + 1} [deg]" for i in range(7))), slides)


TURNS = (
    "ee_roll ee_pitch ee_yaw", "end_effector.roll", "roll [deg]", "rot_x rot_y rot_z", "q0 q1 q2 q3", "R11 R12",
    "R[0][0]", "rotvec_x", "rpy[0] rpy[1] rpy[2]", "euler_x", "A B C", "quat_0 quat_1", "ee_qx ee_qy ee_qz ee_qw",
)  # fmt: skip


@pytest.mark.parametrize("turn", TURNS)
def test_an_orientation_in_a_form_that_is_not_read_is_not_dropped(tmp_path, turn):
    names = turn.split(" ") if "[deg]" not in turn else [turn]
    table = lines(["t", *"xyz", *names, "gripper"], T, np.ones((len(T), 4 + len(names))))
    with pytest.raises(UsageError, match="gives the orientation as ") as caught:
        load(tmp_path, table)
    assert f" as {','.join(names)}; give qx,qy,qz,qw, or leave it out" in str(caught.value)


def test_what_is_no_orientation_does_not_stand_in_the_way_of_positions(tmp_path):
    other = ["roll_rate", "velocity.roll", "force_rx", "omega_x", "joint_angle_1", "q1", "a", "gripper", "error_x"]
    table = np.column_stack([pose_table(PANDA)[:, :3], np.ones((len(FEW), len(other)))])
    with pytest.warns(UserWarning, match="no orientation; that of panda's home posture is held"):
        same_poses(load(tmp_path, lines(["t", *"xyz", *other], FEW, table)), pose_table(PANDA))


@pytest.mark.parametrize("form", ["rot_{}", "quaternion.{}", "Rotation_{}"])
def test_quaternions_are_read_under_any_name_that_tells_their_order(tmp_path, form):
    pose = pose_table(PANDA)
    names = ["t", *"xyz", *(form.format(axis) for axis in "wxyz")]
    same_poses(load(tmp_path, lines(names, FEW, pose[:, [0, 1, 2, 6, 3, 4, 5]])), pose)


def pose_table(chain):
    pose = geometry.matrix_to_pose(rigid.forward_kinematics(chain, chain.home)) * np.ones((len(FEW), 1))
    pose[:, 0] += 0.05 * np.sin(FEW)
    pose[:, 2] -= 0.03 * FEW
    return pose


def same_poses(found, pose):
    np.testing.assert_allclose(found.pose[:, :3], pose[:, :3], atol=1e-4)
    turns = (geometry.quat_to_matrix(poses[:, 3:]) for poses in (found.pose, pose))
    assert geometry.orientation_angle(*turns).max() < 1e-3


def test_tip_poses_may_be_written_as_other_tools_do(tmp_path):
    pose = pose_table(PANDA)
    names = ["timestamp", "tx", "ty", "tz", "qx", "qy", "qz", "qw"]
    found = load(tmp_path, "# " + lines(names, FEW, pose, " "))
    same_poses(found, pose)
    columns = ["Time", "pose.orientation.w", *(f"pose.orientation.{a}" for a in "xyz")]
    table = np.column_stack([pose[:, 6], pose[:, 3:6], 1e3 * pose[:, :3]])
    found = load(tmp_path, lines([*columns, *(f"pose.position.{a} [mm]" for a in "xyz")], FEW, table))
    same_poses(found, pose)


@pytest.mark.parametrize("arm", ["panda", "ur5e"])
def test_positions_without_orientation_hold_that_of_home(tmp_path, arm):
    chain = load_chain(arm)
    pose = pose_table(chain)
    with pytest.warns(UserWarning, match=f"no orientation; that of {arm}'s home posture is held"):
        found = load(tmp_path, lines(["t", "X", "Y", "Z"], FEW, pose[:, :3]), chain)
    same_poses(found, pose)


def wrapped(q):
    return np.mod(q + np.pi, 2 * np.pi) - np.pi


def test_the_file_that_wraps_at_pi_is_one_slow_motion():
    with pytest.warns(UserWarning, match="jumps by a turn are taken out of joint_1"):
        found = load_reference(DATA / "gen3_joint_1_wraps_at_pi.csv", GEN3)
    assert over_limits(found, GEN3) == ""
    np.testing.assert_allclose(np.diff(found.q[:, 0]), 0.03, atol=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(speed=st.floats(-1.2, 1.2), start=st.floats(-3.1, 3.1), dt=st.sampled_from([0.01, 0.1, 1.0]))
def test_joints_without_end_are_unwrapped_in_files_and_in_arrays(tmp_path, speed, start, dt):
    times = np.arange(25) * dt
    q = np.tile(GEN3.home, (25, 1))
    q[:, 0] = start + speed * times
    found = Reference.from_joints(GEN3, dt, np.column_stack([wrapped(q[:, 0]), q[:, 1:]]))
    np.testing.assert_allclose(found.q - found.q[0], q - q[0], atol=1e-9)
    np.testing.assert_allclose(found.qd[:, 0], speed, atol=1e-6)


def test_joints_with_limits_are_unwrapped_within_them_only(tmp_path):
    ur5e = load_chain("ur5e")
    q = np.tile(ur5e.home, (41, 1))
    q[:, 5] = 2.0 + 2.0 * T  # 6 rad at most, of 2 pi
    with pytest.warns(UserWarning, match="taken out of wrist_3"):
        found = load(tmp_path, lines(["t", *Q[:6]], T, np.column_stack([q[:, :5], wrapped(q[:, 5])])), ur5e)
    np.testing.assert_allclose(found.q, q, atol=1e-7)
    with pytest.warns(UserWarning, match="times the velocity limit"):  # a jump of a joint that cannot turn is no turn
        load(tmp_path, lines(["t", *Q], T, np.where(T < 1, -2.8, 2.8)[:, None] * np.eye(7)[0] + PANDA.home))


def test_a_long_way_that_the_arm_can_go_is_not_cut_short():
    q = np.tile(GEN3.home, (2, 1))
    q[:, 0] = -1.75, 1.75
    np.testing.assert_array_equal(Reference.from_joints(GEN3, 5.0, q).q, q)


@pytest.mark.parametrize("beyond", [1e-5, 1e-4, 0.009])
def test_joints_a_sensor_s_error_beyond_their_limits_are_set_to_them(tmp_path, beyond):
    q = np.tile(PANDA.home, (41, 1))
    q[:, 0] = PANDA.upper[0] + beyond
    with pytest.warns(UserWarning, match=r"q1 is up to .* rad beyond its limit and set to it"):
        found = load(tmp_path, lines(["t", *Q], T, q))
    assert found.q[:, 0].max() <= PANDA.upper[0] + 1e-9
    q[:, 0] = PANDA.upper[0] + 0.02
    with pytest.raises(UsageError, match=r"q1 = 2\.917 .* outside the limits \[-2\.897, 2\.897\]"):
        load(tmp_path, lines(["t", *Q], T, q))


def test_the_file_over_its_limit_by_little_is_read():
    with pytest.warns(UserWarning, match="beyond its limit and set to it"):
        assert load_reference(DATA / "panda_over_limit_by_1e-4.csv", PANDA).q[:, 0] == pytest.approx(PANDA.upper[0])


@pytest.mark.parametrize(("name", "rate"), [("velocity", "qd"), ("acceleration", "qdd"), ("jerk", "qdd")])
def test_velocity_acceleration_and_jerk_are_looked_at(name, rate):
    still = Reference.from_joints(PANDA, 0.001, np.tile(PANDA.home, (5, 1)))
    course = 0.001 * np.arange(5) if name == "jerk" else np.linspace(0, 1, 5) ** 0
    for share in (0.9, 2.0, 1.05 if name == "velocity" else 1.2):
        values = share * course[:, None] * np.eye(7)[5] * getattr(PANDA, name)[5]
        said = over_limits(replace(still, **{rate: values}), PANDA)
        assert (f" times the {name} limit of joint6" in said) == (share > 1)
    assert over_limits(still, PANDA) == ""
