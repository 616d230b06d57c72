"""Distances to a scene: Bullet's own, the same in NumPy and JAX, with gradients that are finite and right."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl.envs.bullet.client import p
from armctl.envs.bullet.scene import scene_bodies
from armctl.scene import SHAPES, Body, Scene, signed_distance
from armctl.scene.distance import scene_arrays

RADIUS = 0.01  # m, of the probe
lengths = st.floats(0.02, 0.6)
coordinates = st.floats(-1.0, 1.0)


@st.composite
def bodies(draw, shapes=tuple(SHAPES)):
    shape = draw(st.sampled_from(shapes))
    turn = np.random.default_rng(draw(st.integers(0, 2**20))).normal(size=4)
    size = tuple(draw(lengths) for _ in range(SHAPES[shape]))
    return Body(shape, size, tuple(draw(coordinates) for _ in range(3)), tuple(turn / np.linalg.norm(turn)))


@pytest.fixture(scope="module")
def world():
    client = p.connect(p.DIRECT)
    yield client
    p.disconnect(client)


@given(body=bodies(), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_distances_are_those_of_bullet(world, body, seed):
    p.resetSimulation(physicsClientId=world)
    (solid,) = scene_bodies(world, Scene("one", (body,)))
    sphere = p.createCollisionShape(p.GEOM_SPHERE, radius=RADIUS, physicsClientId=world)
    probe = p.createMultiBody(0.0, sphere, physicsClientId=world)
    points = np.array(body.position) + np.random.default_rng(seed).normal(size=(8, 3)) * 0.4
    for point, said in zip(points, signed_distance(Scene("one", (body,)), points)[:, 0], strict=True):
        p.resetBasePositionAndOrientation(probe, point.tolist(), [0, 0, 0, 1], physicsClientId=world)
        (found,) = p.getClosestPoints(solid, probe, 20.0, physicsClientId=world)
        # deep inside, Bullet's depth is an estimate; whether it is inside, and by how much near the surface, is not
        assert found[8] + RADIUS == pytest.approx(said, abs=1e-3) if said > -RADIUS / 2 else found[8] < 0


@given(made=st.lists(bodies(), min_size=1, max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_scene_is_the_sum_of_its_bodies_and_filling_up_changes_nothing(made, seed):
    points = np.random.default_rng(seed).normal(size=(2, 5, 3))
    scene = Scene("all", tuple(made))
    found = signed_distance(scene, points)
    alone = [signed_distance(Scene("one", (body,)), points) for body in made]
    np.testing.assert_array_equal(found, np.concatenate(alone, axis=-1))
    filled = signed_distance(scene_arrays(scene, 6), points)
    np.testing.assert_array_equal(filled[..., : len(made)], found)
    assert (filled[..., len(made) :] > 1e3).all()


ONE_OF_EACH = Scene(
    "each",
    tuple(
        Body(shape, (0.2, 0.3, 0.25)[:count], (0.4 * k, 0.1, -0.2), (0.1, 0.7, -0.1, 0.7))
        for k, (shape, count) in enumerate(SHAPES.items())
    ),
)
distances = jax.jit(partial(signed_distance, ONE_OF_EACH))
slopes = jax.jit(lambda points: jax.vmap(jax.jacfwd(partial(signed_distance, ONE_OF_EACH)))(points))


def test_jax_says_the_same_and_its_gradient_is_that_of_differences():
    points = np.random.default_rng(0).normal(size=(64, 3))
    np.testing.assert_allclose(distances(jnp.asarray(points)), signed_distance(ONE_OF_EACH, points), atol=2e-6)
    step, found = 1e-6, np.asarray(slopes(jnp.asarray(points)))
    for axis in np.eye(3):
        ahead, behind = (signed_distance(ONE_OF_EACH, points + sign * step * axis) for sign in (1, -1))
        np.testing.assert_allclose(found @ axis, (ahead - behind) / (2 * step), atol=2e-3)
    assert np.linalg.norm(found, axis=-1) == pytest.approx(1.0, abs=1e-4)


def test_gradients_are_finite_where_there_is_none():
    arrays = scene_arrays(ONE_OF_EACH)
    corners = arrays.position + np.einsum("kij,kj->ki", arrays.rotation, arrays.half)
    points = jnp.asarray(np.concatenate([arrays.position, corners]))  # middles, axes, corners and rims
    assert bool(jnp.isfinite(slopes(points)).all())
