"""References: what is saved is what is loaded, the tip moves as the joints say, and bad files are named."""

import numpy as np
import pytest

from armctl import geometry, rigid
from armctl.errors import UsageError
from armctl.motion import csv_import
from armctl.motion.files import load_reference, load_suite_dir, save_reference
from armctl.motion.reference import Reference, over_limits
from armctl.motion.sampling import random_reference
from armctl.motion.shapes import make_shape
from armctl.urdf import load_chain

DT = 0.01


@pytest.fixture(scope="module")
def panda():
    return load_chain("panda")


@pytest.fixture(scope="module")
def motion(panda):
    return random_reference(panda, np.random.default_rng(4), dt=DT, eta=0.8)


def write_csv(path, header, table):
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt="%.12g")
    return path


def times(reference):
    return np.arange(len(reference.q)) * reference.dt


def test_save_and_load_are_inverse(panda, motion, tmp_path):
    loaded = load_reference(save_reference(motion, tmp_path / "a.npz"), panda)
    assert (loaded.name, loaded.dt, loaded.meta) == (motion.name, motion.dt, motion.meta)
    for key in ("q", "qd", "qdd", "pose", "twist", "accel"):
        np.testing.assert_array_equal(getattr(loaded, key), getattr(motion, key))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_twist_and_acceleration_are_the_derivatives_of_the_pose(motion):
    velocity = (motion.pose[2:, :3] - motion.pose[:-2, :3]) / (2 * DT)
    np.testing.assert_allclose(motion.twist[1:-1, :3], velocity, atol=2e-3 * np.abs(velocity).max())
    R = geometry.quat_to_matrix(motion.pose[:, 3:])
    spin = geometry.rotation_error_vector(R[2:], R[:-2]) / (2 * DT)
    np.testing.assert_allclose(motion.twist[1:-1, 3:], spin, atol=2e-3 * np.abs(spin).max())
    change = (motion.twist[2:] - motion.twist[:-2]) / (2 * DT)
    np.testing.assert_allclose(motion.accel[1:-1], change, atol=5e-3 * np.abs(change).max())


def test_quaternions_are_continuous(panda):
    q = np.linspace(panda.home, panda.home + np.array([0, 0, 0, 0, 0, 0, 2.0]), 200)
    q[:, 0] = np.linspace(-2.8, 2.8, 200)
    pose = Reference.from_joints(panda, DT, q).pose
    assert (np.sum(pose[1:, 3:] * pose[:-1, 3:], axis=1) > 0.9).all()


def test_missing_derivatives_come_from_a_spline(panda, motion):
    again = Reference.from_joints(panda, DT, motion.q)
    np.testing.assert_allclose(again.qd, motion.qd, atol=1e-4 * np.abs(motion.qd).max())
    np.testing.assert_allclose(again.qdd, motion.qdd, atol=1e-2 * np.abs(motion.qdd).max())


def test_resampling_keeps_the_motion(panda, motion):
    fine = motion.resampled(panda, DT / 4)
    np.testing.assert_allclose(fine.q[::4], motion.q, atol=1e-12)
    np.testing.assert_allclose(fine.qd[::4], motion.qd, atol=1e-9)
    back = fine.resampled(panda, DT)
    np.testing.assert_allclose(back.pose, motion.pose, atol=1e-9)


def test_joint_csv_round_trip(panda, motion, tmp_path):
    table = np.column_stack([times(motion), motion.q])
    path = write_csv(tmp_path / "joints.csv", "t,q1,q2,q3,q4,q5,q6,q7", table)
    loaded = load_reference(path, panda)
    assert loaded.dt == pytest.approx(DT)
    np.testing.assert_allclose(loaded.q, motion.q, atol=1e-9)
    np.testing.assert_allclose(loaded.pose, motion.pose, atol=1e-8)


def test_pose_csv_round_trip(panda, tmp_path):
    circle = make_shape("circle", panda, DT)
    table = np.column_stack([times(circle), circle.pose])[::2]
    loaded = load_reference(write_csv(tmp_path / "poses.csv", "t,x,y,z,qx,qy,qz,qw", table), panda, DT)
    assert np.abs(loaded.pose[:, :3] - circle.pose[: len(loaded.q), :3]).max() < 1e-4
    R_loaded, R_circle = (geometry.quat_to_matrix(p[:, 3:]) for p in (loaded.pose, circle.pose[: len(loaded.q)]))
    assert geometry.orientation_angle(R_loaded, R_circle).max() < 1e-4
    assert np.abs(loaded.qdd).max() < 3 * np.abs(circle.qdd).max()


def test_unreachable_pose_is_named_with_time_point_and_distance(panda, tmp_path):
    circle = make_shape("circle", panda, DT)
    table = np.column_stack([times(circle), circle.pose])[::10]
    table[20:, 1] += 1.0
    path = write_csv(tmp_path / "far.csv", "t,x,y,z,qx,qy,qz,qw", table)
    message = r"far\.csv.*workspace of panda at t = 2\.000 s.*\(1\.\d+, .*missed by \d+\.\d mm"
    with pytest.raises(UsageError, match=message):
        load_reference(path, panda)


def test_first_pose_out_of_reach_is_named(panda, tmp_path):
    pose = np.array([3.0, 0, 0.5, 0, 0, 0, 1])
    path = write_csv(tmp_path / "far.csv", "t,x,y,z,qx,qy,qz,qw", [[0, *pose], [1, *pose]])
    with pytest.raises(UsageError, match=r"t = 0\.000 s.*\(3\.000, 0\.000, 0\.500\) m is missed by 2\d\d\d"):
        load_reference(path, panda)


HEADER = "t,q1,q2,q3,q4,q5,q6,q7"
ROW = ",0,-0.8,0,-2.3,0,1.5,0.8"
BAD_FILES = {
    "t,a,b\n0,1,2\n1,2,3": "use t,q1",
    f"{HEADER}\n0{ROW}\n1,0,x,0,0,0,0,0": "line 3 is not numeric",
    f"{HEADER}\n0{ROW}\n1,0,0": "line 3 needs 8 finite numbers",
    f"{HEADER}\n0{ROW}\n1,nan,0,0,-2,0,1,0": "line 3 needs 8 finite numbers",
    f"{HEADER}\n0{ROW}\n1{ROW}\n1{ROW}": "does not increase at line 4",
    f"{HEADER}\n0{ROW}\n1,9,-0.8,0,-2.3,0,1.5,0.8": r"q1 = 9\.000 at t = 1\.000 s is outside",
    f"{HEADER}\n0{ROW}": "at least 2",
    "": "at least 2",
    f"{HEADER}\n\n0{ROW}\n\n1,0,0": "line 5 needs 8 finite numbers",
    f"{HEADER}\n\n1{ROW}\n\n1{ROW}": "does not increase at line 5",
    "t,x,y,z,qx,qy,qz,qw\n0,.4,0,.4,0,0,0,2\n1,.4,0,.4,0,0,0,2": "norm 2.000",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_csv_files_are_refused_in_one_sentence(panda, tmp_path, text):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=BAD_FILES[text]) as caught:
        load_reference(path, panda)
    assert "bad.csv" in str(caught.value)


def test_bad_archives_are_refused(panda, motion, tmp_path):
    with pytest.raises(UsageError, match="no reference file"):
        load_reference(tmp_path / "none.npz", panda)
    broken = tmp_path / "broken.npz"
    broken.write_bytes(save_reference(motion, tmp_path / "a.npz").read_bytes()[:500])
    with pytest.raises(UsageError, match=r"Reference '.*broken\.npz' cannot be read"):
        load_reference(broken, panda)
    with pytest.raises(UsageError, match="another arm"):
        load_reference(tmp_path / "a.npz", load_chain("iiwa14"))
    with pytest.raises(UsageError, match=r"planar3 needs \(samples, 3 joints\)"):
        load_reference(tmp_path / "a.npz", load_chain("planar3"))
    with pytest.raises(UsageError, match="not finite at sample 1"):
        Reference.from_joints(panda, DT, np.full((3, 7), [[0.0], [np.nan], [0.0]]))


@pytest.mark.parametrize("key", ["qd", "qdd", "pose", "twist", "accel"])
def test_archives_with_damaged_arrays_are_refused(panda, motion, tmp_path, key):
    with np.load(save_reference(motion, tmp_path / "a.npz")) as data:
        arrays = dict(data)
    hurt = arrays[key].copy()
    hurt[3] = np.nan
    for damage in ({key: hurt}, {key: arrays[key][:5]}):
        np.savez(tmp_path / "b.npz", **{**arrays, **damage})
        with pytest.raises(UsageError, match=rf"b\.npz'.*'{key}' is not"):
            load_reference(tmp_path / "b.npz", panda)


def test_archives_with_a_bad_step_or_poses_of_another_motion_are_refused(panda, motion, tmp_path):
    with np.load(save_reference(motion, tmp_path / "a.npz")) as data:
        arrays = dict(data)
    for dt in (0.0, -0.01, np.nan):
        np.savez(tmp_path / "b.npz", **{**arrays, "dt": dt})
        with pytest.raises(UsageError, match=r"b\.npz' has dt = "):
            load_reference(tmp_path / "b.npz", panda, DT)
    np.savez(tmp_path / "b.npz", **{**arrays, "q": arrays["q"] + np.linspace(0, 1, len(arrays["q"]))[:, None]})
    with pytest.raises(UsageError, match="its poses are not those of panda"):
        load_reference(tmp_path / "b.npz", panda)


def test_a_byte_order_mark_is_no_part_of_the_header(panda, motion, tmp_path):
    path = write_csv(tmp_path / "a.csv", HEADER, np.column_stack([times(motion), motion.q]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_allclose(load_reference(path, panda).q, motion.q, atol=1e-9)


def test_a_suite_is_every_reference_of_a_folder_in_order(panda, motion, tmp_path):
    with pytest.raises(UsageError, match="no references"):
        load_suite_dir(tmp_path, panda)
    save_reference(motion, tmp_path / "b.npz")
    write_csv(tmp_path / "a.csv", HEADER, np.column_stack([times(motion), motion.q]))
    assert [r.name for r in load_suite_dir(tmp_path, panda, 0.02)] == ["a", motion.name]
    assert all(r.dt == 0.02 for r in load_suite_dir(tmp_path, panda, 0.02))


def test_a_jump_between_postures_is_named(panda):
    q = np.repeat(panda.home[None], 3, axis=0)
    q[2, 3] += 1.4
    with pytest.raises(UsageError, match=r"joint 4 would have to jump 1\.4 rad at t = 0\.100 s"):
        csv_import._check_jumps("x.csv", np.array([0.0, 0.1, 0.2]), q)


def test_random_references_are_reproducible_and_fill_the_duration(panda):
    for duration in (None, 3.0):
        a, b = (random_reference(panda, np.random.default_rng(9), dt=DT, duration=duration) for _ in range(2))
        np.testing.assert_array_equal(a.q, b.q)
        assert duration is None or len(a.q) == 301
        assert (a.q > panda.lower).all()
        assert (a.q < panda.upper).all()
        assert np.abs(np.diff(a.q, axis=0)).max() <= 1.01 * DT * panda.velocity.max()
        T = rigid.forward_kinematics(panda, a.q)
        np.testing.assert_allclose(geometry.pose_to_matrix(a.pose), T, atol=1e-12)


def test_a_reference_faster_than_the_arm_is_said_to_be(panda):
    t = np.linspace(0, 1, 101)
    for speed, words in ((0.5, ""), (2.0, f"asks 2.0 times the velocity limit of {panda.joint_names[2]}.")):
        q = np.tile(panda.home, (101, 1))
        q[:, 2] += speed * panda.velocity[2] * t
        assert over_limits(Reference.from_joints(panda, 0.01, q), panda).endswith(words)
    assert over_limits(Reference.from_joints(panda, 0.01, np.tile(panda.home, (5, 1))), panda) == ""
