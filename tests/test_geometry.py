"""Laws of rotations and poses, against SciPy, on NumPy and JAX alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from armctl import geometry as geo

seeds = given(seed=st.integers(0, 2**32 - 1))
few = settings(max_examples=50, deadline=None, database=None)
SHAPES = [(), (4,), (2, 3)]


def random_rotations(seed, shape=(5,)):
    return Rotation.random(int(np.prod(shape)), rng=np.random.default_rng(seed)).as_matrix().reshape(*shape, 3, 3)


def rotvec(angle, seed=0):
    """Rotation vectors of one angle about random axes, (6, 3)."""
    axis = np.random.default_rng(seed).normal(size=(6, 3))
    return angle * axis / np.linalg.norm(axis, axis=-1, keepdims=True)


def rotations(w):
    """Rotation matrices of rotation vectors, (..., 3) -> (..., 3, 3)."""
    return Rotation.from_rotvec(w).as_matrix()


@few
@seeds
def test_quaternions_are_scipys_with_non_negative_w(seed):
    R = random_rotations(seed)
    want = Rotation.from_matrix(R).as_quat(canonical=True)
    quat = geo.matrix_to_quat(R)
    np.testing.assert_allclose(quat, want, atol=1e-14)
    assert (quat[..., 3] >= 0).all()
    np.testing.assert_allclose(geo.quat_to_matrix(quat), R, atol=1e-14)
    np.testing.assert_allclose(geo.quat_to_matrix(-3 * quat), R, atol=1e-14)  # sign and norm do not matter


@few
@seeds
def test_log_is_scipys(seed):
    R = random_rotations(seed)
    w = geo.rotation_log(R)
    np.testing.assert_allclose(w, Rotation.from_matrix(R).as_rotvec(), atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-8, 1e-5, 1e-4, 1e-3, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-6, np.pi])
def test_log_at_every_angle(angle):
    w = rotvec(angle)
    R = rotations(w)
    back = geo.rotation_log(R)
    if angle == np.pi:  # either sign of the axis is right
        np.testing.assert_allclose(np.linalg.norm(back, axis=-1), np.pi, atol=1e-12)
        np.testing.assert_allclose(np.abs(np.sum(back * w, axis=-1)), np.pi**2, atol=1e-7)
    else:
        np.testing.assert_allclose(back, w, atol=1e-9)
    np.testing.assert_allclose(geo.orientation_angle(R, np.eye(3)), angle, atol=1e-9)


@few
@seeds
def test_error_vector_turns_one_rotation_into_the_other_in_the_world_frame(seed):
    A, B = random_rotations(seed, (2, 4))
    error = geo.rotation_error_vector(A, B)
    np.testing.assert_allclose(rotations(error) @ B, A, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(error, axis=-1), geo.orientation_angle(A, B), atol=1e-12)
    np.testing.assert_allclose(geo.orientation_angle(A, B), geo.orientation_angle(B, A), atol=1e-12)


def test_chordal_error_is_sine_times_axis():
    A = random_rotations(3, (6,))
    for angle in (1e-3, 0.5, 2.0):
        w = rotvec(angle)
        chord = geo.chordal_error(rotations(w) @ A, A)
        np.testing.assert_allclose(chord, np.sin(angle) / angle * w, atol=1e-14)
    w = rotvec(1e-3)
    error = geo.rotation_error_vector(rotations(w) @ A, A)
    assert np.abs(geo.chordal_error(rotations(w) @ A, A) - error).max() < 1e-9  # third order


@few
@seeds
def test_poses_and_transforms_are_inverse(seed):
    rng = np.random.default_rng(seed)
    pose = np.concatenate([rng.normal(size=(4, 3)), Rotation.random(4, rng=rng).as_quat(canonical=True)], axis=-1)
    T = geo.pose_to_matrix(pose)
    np.testing.assert_array_equal(T[..., 3, :], np.tile([0.0, 0.0, 0.0, 1.0], (4, 1)))
    np.testing.assert_allclose(T[..., :3, :3], Rotation.from_quat(pose[:, 3:]).as_matrix(), atol=1e-14)
    np.testing.assert_allclose(geo.matrix_to_pose(T), pose, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_numpy_and_jax_agree_on_any_batch_and_keep_their_type(shape, x64):
    A, B = random_rotations(0, shape), random_rotations(1, shape)
    w = geo.rotation_log(A)
    pose = np.concatenate([w, geo.matrix_to_quat(A)], axis=-1)
    calls = [
        (geo.quat_to_matrix, pose[..., 3:]),
        (geo.matrix_to_quat, A),
        (geo.rotation_log, A),
        (geo.rotation_error_vector, A, B),
        (geo.chordal_error, A, B),
        (geo.orientation_angle, A, B),
        (geo.pose_to_matrix, pose),
        (geo.matrix_to_pose, geo.pose_to_matrix(pose)),
    ]
    everything = jax.jit(lambda arguments: [call[0](*args) for call, args in zip(calls, arguments, strict=True)])
    on_jax = everything([args for _, *args in calls])
    for (function, *args), traced in zip(calls, on_jax, strict=True):
        plain = function(*args)
        assert isinstance(plain, np.ndarray | np.floating), function
        assert isinstance(traced, jax.Array), function
        assert plain.shape == traced.shape == (*shape, *plain.shape[len(shape) :]), function
        np.testing.assert_allclose(traced, plain, atol=1e-14, err_msg=function.__name__)


def test_log_has_its_true_gradient_at_the_identity(x64):
    def through(w):
        turned = geo.rotation_log(jax.scipy.linalg.expm(jnp.cross(jnp.eye(3), w)))
        return turned, turned

    linearise = jax.jit(jax.jacobian(through, has_aux=True))
    for w in (np.zeros(3), 1e-9 * np.ones(3), np.array([0.0, 1e-5, 0.0]), np.array([0.3, -0.2, 0.5])):
        slope, value = linearise(w)
        np.testing.assert_allclose(value, w, atol=1e-15)
        np.testing.assert_allclose(slope, np.eye(3), atol=1e-6)


def test_gradients_are_finite_at_the_identity_and_at_half_turns(x64):
    half = jnp.asarray(Rotation.from_rotvec([0.0, np.pi, 0.0]).as_matrix())
    for R in (jnp.eye(3), half):
        for scalar in (
            lambda R: jnp.sum(geo.rotation_log(R)),
            lambda R: geo.orientation_angle(R, jnp.eye(3)),
            lambda R: jnp.sum(geo.chordal_error(R, jnp.eye(3)) ** 2),
        ):
            value, gradient = jax.jit(jax.value_and_grad(scalar))(R)
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()


def test_single_precision_keeps_small_angles():
    for angle in (1e-3, 1e-4, 1e-5):
        w = rotvec(angle)
        back = geo.rotation_log(rotations(w).astype(np.float32))
        assert back.dtype == np.float32
        np.testing.assert_allclose(back, w, atol=2e-7)  # the entries of R are rounded at 1e-7
