"""Laws of what a motion can be asked to start from, lead to or pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl import geometry, rigid
from armctl.errors import UsageError
from armctl.motion.free import is_free
from armctl.motion.postures import TipPose, postures
from armctl.motion.sampling import random_configuration
from armctl.scene import Body, Scene
from armctl.urdf import load_chain

PANDA, PLANAR = load_chain("panda"), load_chain("planar3")


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**31 - 1), chain=st.sampled_from([PANDA, load_chain("ur5e")]))
def test_a_reachable_pose_is_met_by_free_postures_nearest_first(seed, chain):
    truth = random_configuration(chain, np.random.default_rng(seed))
    pose = geometry.matrix_to_pose(rigid.forward_kinematics(chain, truth))
    found = postures(TipPose(pose[:3], 3.0 * pose[3:]), chain, "goal", near=truth)
    T = rigid.forward_kinematics(chain, found)
    assert np.linalg.norm(T[:, :3, 3] - pose[:3], axis=-1).max() < 1e-3
    assert geometry.orientation_angle(T[:, :3, :3], geometry.quat_to_matrix(pose[3:])).max() < np.radians(0.1)
    assert is_free(chain, found).all()
    assert (np.diff(np.linalg.norm(found - truth, axis=-1)) >= 0).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.1 -0.2 0.3", [0.1, -0.2, 0.3]),
        ("5.729578, -11.459156, 17.188734 deg", [0.1, -0.2, 0.3]),
        ("home", PLANAR.home),
    ],
)
def test_joints_as_text_are_themselves(text, said):
    np.testing.assert_allclose(postures(text, PLANAR, "start"), [said], atol=1e-8)


def test_a_pose_as_text_is_in_rad_or_degrees_or_a_quaternion():
    q = PANDA.home
    T = rigid.forward_kinematics(PANDA, q)
    place, rpy = " ".join(map(str, T[:3, 3])), geometry.matrix_rpy(T[:3, :3])
    quaternion = geometry.matrix_to_quat(T[:3, :3])
    turned = [
        f"{' '.join(map(str, rpy))}",
        f"{' '.join(map(str, np.degrees(rpy)))} deg",
        " ".join(map(str, quaternion)),
    ]
    first, *others = (postures(f"pose {place} {turn}", PANDA, "goal") for turn in turned)
    for other in others:
        np.testing.assert_allclose(other[0], first[0], atol=1e-4)
    anyhow = postures(f"pose {place}", PANDA, "goal")
    assert np.abs(rigid.forward_kinematics(PANDA, anyhow)[:, :3, 3] - T[:3, 3]).max() < 1e-3


def test_what_cannot_be_is_refused_in_a_sentence_that_says_by_how_much():
    crate = Scene("crate", (Body("box", (0.3, 2.0, 0.2), (0.6, 0.0, 0.1)),))
    for asked, scene, words in [
        ("pose 2 0 0.5", None, "out of reach of panda: the nearest posture misses it by 1[0-9]{3} mm"),
        ("0 0", None, "'0 0'; give 7 joint values"),
        ("0 0 0 0 0 0 x", None, "give 7 joint values"),
        (np.zeros(6), None, "7 finite joint values"),
        (np.full(7, 3.0), None, "joint . of panda at 3.000, outside its limits"),
        (TipPose((0, 0, np.nan)), None, "three and four finite"),
        (TipPose((0.4, 0, 0.4), (0, 0, 0, 0)), None, "three and four finite"),
        ("pose 0.55 0 0.15", crate, "scene 'crate' in each of the [0-9]+ postures that reach it; choose another"),
    ]:
        with pytest.raises(UsageError, match=words):
            postures(asked, PANDA, "goal", scene=scene)
