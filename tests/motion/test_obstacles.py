"""Scenes around an arm: what is called free or certified is, between samples too, and spheres are never optimistic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl.arm import Arm
from armctl.bench.suite import load_suite
from armctl.chain import joint_box
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.scene import scene_bodies
from armctl.errors import UsageError
from armctl.geometry import matrix_to_pose
from armctl.motion import gaps, sampling, spline
from armctl.motion.certificate import Checker, certify
from armctl.motion.collision import blind_bodies, clearance, scene_distances, sphere_centers
from armctl.motion.corpus import build_corpus, paths_free, references
from armctl.motion.free import check_scene, is_free
from armctl.motion.goals import draw_postures
from armctl.motion.ik import all_solutions
from armctl.motion.reaching import plan, reach_suite
from armctl.motion.sampling import path_reference, path_timing, random_configuration, random_reference
from armctl.rigid import forward_kinematics
from armctl.scene import Body, Scene, load_scene
from armctl.scene.distance import scene_arrays
from armctl.spheres import spheres
from armctl.urdf import load_chain


@pytest.fixture(scope="module")
def panda():
    return load_chain("panda")


class Exact:
    """Bullet's distances of the moving links of an arm to a scene, without any bound or cleverness."""

    def __init__(self, chain, scene):
        self.body = ArmBody(chain, collisions=True)
        self.ids = scene_bodies(self.body.client, scene)

    def __call__(self, q):
        return np.array([self._smallest(row) for row in q])

    def _smallest(self, q):
        self.body.place(q)
        return min(self.body.distance_to(k, link, 3.0) for k in self.ids for link in range(self.body.chain.n))


def motion(chain, start, goal, speed=0.6):
    path = spline.control_points(start, goal, spline.straight_inner(start, goal))
    return path_reference(chain, path, path_timing(chain, path)[0], speed, 0.01)


def sideways(chain, turn=0.8):
    """From home, turned about the base by so much to either side."""
    way = np.eye(chain.n)[0] * turn
    return motion(chain, chain.home - way, chain.home + way)


@pytest.mark.parametrize("name", ["panda", "ur5e"])
@pytest.mark.parametrize("scene", ["shelf", "pillars"])
def test_what_spheres_call_free_is(name, scene):
    chain = load_chain(name)
    scene = load_scene(scene, chain)
    q = np.random.default_rng(0).uniform(*joint_box(chain), (150, chain.n))
    exact = Exact(chain, scene)(q)
    gap = scene_distances(chain, q, scene).min((-2, -1))
    assert ((gap <= exact + 1e-4) | (gap < 0)).all()
    free = is_free(chain, q, scene)
    assert (exact[free] > 0).all()
    assert 10 < free.sum() < is_free(chain, q).sum()
    assert is_free(chain, chain.home, scene)


def test_jax_measures_as_numpy_does_and_one_program_serves_scenes_of_one_size(panda):
    arm, q = Arm.from_chain(panda), np.random.default_rng(1).uniform(*joint_box(panda), (6, panda.n))
    compiled = jax.jit(clearance)
    for name in ("table", "wall"):
        scene = load_scene(name, panda)
        said = compiled(arm, jnp.asarray(q), scene_arrays(scene, 8))
        np.testing.assert_allclose(said, clearance(panda, q, scene), atol=2e-5)
    assert compiled._cache_size() == 1


def test_a_body_in_the_spheres_but_not_in_the_arm_is_judged_by_its_shape(panda):
    middle, radius = sphere_centers(panda, panda.home)[-1], float(spheres(panda)[2][-1])
    corner = 0.95 * radius * np.array([0.11, -0.4, -0.91])  # in the sphere, beyond the end of the flange
    scene = Scene("near", (Body("sphere", (0.002,), tuple(middle + corner), name="ball"),))
    assert blind_bodies(panda, scene)
    assert is_free(panda, panda.home, scene)
    q = panda.home + np.random.default_rng(0).uniform(-0.3, 0.3, (400, panda.n))
    exact, free = Exact(panda, scene)(q), is_free(panda, q, scene)
    assert (exact[free] > 0).all()
    assert (exact < 0).any()


def test_a_contact_between_two_samples_is_found(panda):
    reference = sideways(panda)
    with Checker(panda) as checker:
        dense = checker.dense(reference)
    marks = gaps._marks(dense)
    k = len(marks) // 2
    middle = (marks[k] + marks[k + 1]) // 2
    tip, ahead = (forward_kinematics(panda, q) for q in dense[[middle, middle + 1]])
    beside = np.cross([0, 0, 1.0], ahead[:3, 3] - tip[:3, 3])
    away = -beside / np.linalg.norm(beside)  # from the base, across the motion: nearest in the middle

    def at(radius):
        return Scene("one", (Body("sphere", (radius,), tuple(tip[:3, 3] + 0.25 * away), name="ball"),))

    radius = 0.05 + float(Exact(panda, at(0.05))(dense[[middle]])[0]) + 2e-5
    assert Exact(panda, at(radius))(dense[[middle]])[0] < 0 < Exact(panda, at(radius))(dense[marks]).min()
    assert certify(reference, panda, at(radius)).broken == ("scene",)
    assert certify(reference, panda, at(radius - 5e-3)).margins["scene"] == pytest.approx(5e-3, abs=5e-4)


@pytest.mark.parametrize("name", ["panda", "ur5e"])
def test_what_is_certified_touches_nothing_on_a_grid_four_times_finer(name):
    chain, certified = load_chain(name), 0
    scene, rng = load_scene("pillars", chain), np.random.default_rng(2)
    with Checker(chain, scene) as checker:
        exact = Exact(chain, scene)
        for start, goal in random_configuration(chain, rng, 16).reshape(8, 2, chain.n):
            reference = motion(chain, start, start + 0.5 * (goal - start))
            if not checker.certify(reference).valid:
                continue
            certified += 1
            dense = checker.dense(reference)
            assert (exact(dense[np.linspace(0, len(dense) - 1, 4 * len(gaps._marks(dense))).astype(int)]) > 0).all()
    assert 1 <= certified < 8


def test_a_plane_at_the_height_of_the_floor_is_the_floor(panda):
    goal = panda.home.copy()
    goal[[1, 3, 5]] = 1.6, -0.9, 1.6
    margins = certify(motion(panda, panda.home, goal), panda, Scene("ground", (Body("plane"),))).margins
    assert margins["scene"] == pytest.approx(margins["floor"], abs=1e-6)
    assert margins["scene"] < 0


def test_a_scene_that_swallows_the_arm_is_one_sentence(panda):
    base = Scene("cell", (Body("box", (0.5, 0.5, 0.5), name="block"),))
    with pytest.raises(UsageError, match=r"'block' of scene 'cell' reaches [\d.]+ mm into the base of panda"):
        Checker(panda, base)
    tip = tuple(forward_kinematics(panda, panda.home)[:3, 3])
    with pytest.raises(UsageError, match="into link 6 of panda at its home configuration; move it"):
        check_scene(panda, Scene("cell", (Body("sphere", (0.05,), tip, name="ball"),)))
    check_scene(panda, Scene("cell", (Body("box", (1.0, 1.0, 0.1), (0, 0, -0.05), name="stand"),)))


@pytest.fixture(scope="module")
def pillars(panda):
    return load_scene("pillars", panda)


def test_a_corpus_made_in_a_scene_is_certified_in_it(panda, pillars):
    corpus = build_corpus(panda, 40, 1, ("point_to_point", "via_points"), scene=pillars)
    assert corpus.scene == corpus.subset("test").scene == pillars
    assert paths_free(panda, corpus.control_points, pillars).all()
    with Checker(panda, pillars) as checker:
        assert all(checker.certify(one).valid for one in references(corpus, panda, "train", limit=12))
    elsewhere = build_corpus(panda, 40, 1, ("point_to_point", "via_points"))
    assert not paths_free(panda, elsewhere.control_points, pillars).all()


def test_goals_solutions_and_motions_keep_off_a_scene(panda, pillars):
    q = draw_postures(panda, np.random.default_rng(0), 12, scene=pillars)
    assert (Exact(panda, pillars)(q) > 0).all()
    found = all_solutions(panda, forward_kinematics(panda, q[0]), restarts=6, scene=pillars)
    assert is_free(panda, found.q[found.success], pillars).all()
    with Checker(panda, pillars) as checker:
        assert all(checker.certify(one).valid for one in reach_suite(panda, count=2, scene=pillars))
        assert checker.certify(random_reference(panda, np.random.default_rng(0), dt=0.01, scene=pillars)).valid


def test_what_a_scene_forbids_is_one_sentence(panda, pillars, monkeypatch):
    start, goal = panda.home.copy(), matrix_to_pose(forward_kinematics(panda, panda.home))
    start[0] = 0.7
    ball = Scene("cell", (Body("sphere", (0.1,), tuple(forward_kinematics(panda, start)[:3, 3]), name="ball"),))
    with pytest.raises(UsageError, match="starts in collision, or nearly, with scene 'cell'"):
        plan(panda, goal, 0.01, start=start, scene=ball)
    monkeypatch.setattr(sampling, "is_free", lambda chain, q, scene: np.zeros(len(q), bool))
    with pytest.raises(UsageError, match="Scene 'pillars' leaves panda hardly any room"):
        random_configuration(panda, np.random.default_rng(0), scene=pillars)
    with pytest.raises(UsageError, match="suite 'shapes' is the same in every scene"):
        load_suite("shapes", panda, scene=pillars)
