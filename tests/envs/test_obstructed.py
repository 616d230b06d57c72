"""Arms among the bodies of a scene: stopped by them, seen with them, and told of contact, in PyBullet and the twin."""

import copy
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.seeding import np_random

from armctl import rigid
from armctl.arm import Arm
from armctl.envs.bullet.client import p
from armctl.envs.bullet.obstructed import ObstructedBody
from armctl.envs.bullet.plant import Plant
from armctl.envs.reach import ReachEnv
from armctl.envs.track import TrackEnv
from armctl.envs.vector import make_vec
from armctl.errors import UsageError
from armctl.motion.reference import Reference
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig
from armctl.scene import Body, Scene, save_scene
from armctl.twin.contact import touching_scene
from armctl.twin.tasks import make_task
from armctl.urdf import load_chain

CHAIN, ARM = load_chain("panda"), load_chain("planar3")
BOXES = {  # in the way of an arm that goes down from home
    "box": Body("box", (0.3, 0.3, 0.1), (0.36, 0.0, 0.3)),
    "sphere": Body("sphere", (0.12,), (0.36, 0.0, 0.3)),
    "cylinder": Body("cylinder", (0.12, 0.2), (0.36, 0.0, 0.28)),
    "capsule": Body("capsule", (0.1, 0.3), (0.36, 0.0, 0.3), (0.0, 0.7071067811865476, 0.0, 0.7071067811865476)),
    "plane": Body("plane", (), (0.36, 0.0, 0.35), (0.0, -0.573576436, 0.0, 0.819152044)),
}
DOWN = np.array([0.0, 0.0, -0.5, 0.0, 0.0, 0.0])


def scene_of(*bodies):
    return Scene("some", bodies)


def depths(body):
    """How deep the arm is in each body of its world, m, by Bullet's own distances."""
    near = [p.getClosestPoints(body.id, other, 0.0, physicsClientId=body.client) for other in body._bodies]
    moving = [[-point[8] for point in points if point[3] >= 0] for points in near]
    return [max(some, default=0.0) for some in moving]


def pushed(plant, steps=90):
    """Go down from home, and yield after every control step."""
    plant.reset(Scenario(), CHAIN.home, 0 * CHAIN.home)
    for _ in range(steps):
        J = rigid.jacobian(CHAIN, plant.q)
        plant.step(np.clip(np.linalg.pinv(J) @ DOWN, -2, 2).tolist())
        yield


@pytest.mark.parametrize(("shape", "motor"), [*zip(BOXES, 3 * ["servo", "bullet"], strict=False), ("box", "bullet")])
def test_an_arm_that_is_pushed_into_a_body_stops_at_it_and_both_backends_know(shape, motor):
    scene = scene_of(BOXES[shape])
    plant = Plant(CHAIN, ServoConfig(control="velocity"), motor, scene)
    deepest, met, q = [], [], []
    for _ in pushed(plant):
        deepest.append(max(depths(plant.body)))
        met.append(plant.contact)
        q.append(plant.q)
    plant.close()
    said = jax.jit(partial(touching_scene, Arm.from_chain(CHAIN), scene))(jnp.asarray(np.array(q), jnp.float32))
    assert not met[0]
    assert sum(met) > 10
    assert max(deepest) < 1e-3
    assert all(meets for meets, deep in zip(met[1:], deepest, strict=False) if deep > 0)  # in the next physics step
    assert all(told for told, meets in zip(said.tolist(), met, strict=True) if meets)
    assert not said[0]


def test_contact_is_reported_where_bullet_has_it():
    plant = Plant(CHAIN, ServoConfig(control="velocity", physics_dt=0.01), scene=scene_of(BOXES["box"]))
    seen = []
    for _ in pushed(plant):  # with one physics step in a control step Bullet still knows all that there was
        points = p.getContactPoints(plant.body.id, physicsClientId=plant.body.client)
        seen.append(any(point[8] <= 0 or point[9] > 0 for point in points))
        assert plant.contact == seen[-1]
    plant.close()
    assert any(seen)


def test_a_falling_arm_is_stopped_and_pays_for_it():
    env = ReachEnv("panda", control="torque", scene=scene_of(BOXES["box"]))
    env.reset(seed=0)
    infos = []
    for _ in range(100):
        infos.append(env.step(np.zeros(7))[4])
        assert max(depths(env.plant.body)) < 5e-3  # it comes down at 2 m/s
    met = [info for info in infos if info["scene_contact"]]
    assert met
    assert all(info["reward_terms"]["collision"] == -0.1 for info in met)
    env.close()


def test_where_nothing_is_touched_a_scene_changes_nothing():
    far = scene_of(Body("box", (0.1, 0.1, 0.1), (3.0, 0.0, 0.0)))
    runs = []
    for given in ({}, {"scene": far}):
        env = ReachEnv("panda", **given)
        env.reset(seed=1)
        runs.append([env.step(np.full(7, 0.1))[0]["observation"] for _ in range(30)])
        env.close()
    np.testing.assert_array_equal(*runs)


def test_one_seed_is_one_episode_also_after_contact_and_in_copies():
    scene, runs = scene_of(BOXES["box"]), []
    env = ReachEnv("panda", control="ee_twist", scene=scene, motor="bullet")
    for one in (env, env, copy.deepcopy(env)):
        one.reset(seed=4)
        out = [one.step([0.2, 0, -1, 0, 0, 0]) for _ in range(80)]
        runs.append(np.array([step[0]["observation"] for step in out]))
        assert any(step[4]["scene_contact"] for step in out)
        one.close() if one is not env else None
    env.close()
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_a_body_is_in_rgb_and_depth_where_it_stands_and_nowhere_else():
    above = (0.5, 0.0, 1.5, 1.0, 0.0, 0.0, 0.0)  # looks straight down
    red = Body("box", (0.2, 0.2, 0.1), (0.75, 0.3, 0.05), rgba=(0.9, 0.1, 0.1, 1.0))
    seen = []
    for given in ({}, {"scene": scene_of(red)}):
        env = ReachEnv("panda", observe="image", camera={"at": above}, goal=(0.3, -0.4, 0.3, 1, 0, 0, 0), **given)
        seen.append(env.reset(seed=0)[0])
        env.close()
    nearer = (seen[0]["depth"] - seen[1]["depth"])[..., 0]
    changed = np.abs(nearer) > 1e-3
    np.testing.assert_allclose(np.median(nearer[changed]), 0.1, atol=0.01)
    x, y = (np.tan(0.5) * (2 * np.argwhere(changed).mean(axis=0)[::-1] + 1 - 64) / 64).tolist()
    np.testing.assert_allclose([0.5 + 1.4 * x, -1.4 * y], [0.75, 0.3], atol=0.03)
    assert (seen[1]["rgb"][changed][:, 0] > 2.0 * seen[1]["rgb"][changed][:, 1]).mean() > 0.7
    np.testing.assert_array_equal(seen[0]["rgb"][0, :8], seen[1]["rgb"][0, :8])


def test_both_backends_of_make_vec_report_contact(tmp_path):
    tip = rigid.forward_kinematics(ARM, ARM.home - 0.7 * np.eye(3)[0])[:3, 3]
    path = save_scene(scene_of(Body("cylinder", (0.05, 0.4), tuple(tip))), tmp_path / "post.json")
    action = np.tile(np.array([-0.5, 0.0, 0.0], np.float32), (2, 1))
    first = {}
    for backend, more in (("bullet", {"processes": 1}), ("twin", {})):
        envs = make_vec("armctl/Planar3Reach-v1", 2, backend=backend, scene=path, bank_size=2, control="torque", **more)
        envs.reset(seed=0)
        said = np.array([envs.step(action)[4]["scene_contact"] for _ in range(60)])
        assert said.any(axis=0).all()
        assert not said[0].any()
        first[backend] = int(np.argmax(said.any(axis=1)))
        envs.close()
    assert first["twin"] <= first["bullet"] < first["twin"] + 20


def test_an_arm_that_stands_in_a_body_is_refused():
    with pytest.raises(UsageError, match=r"Body 'lump' of scene 'some' .* home configuration; move it\."):
        ReachEnv("panda", scene=scene_of(Body("sphere", (0.1,), (0.1, 0.0, 0.6), name="lump")))
    with pytest.raises(UsageError, match="no scene"):
        TrackEnv("panda", scene="kitchen")


def test_drawn_goals_and_references_keep_clear_and_are_the_same_in_the_twin():
    envs = {make: make("panda", scene="pillars") for make in (ReachEnv, TrackEnv)}
    reach, track = envs.values()
    for seed in range(3):
        reach.reset(seed=seed)
        track.reset(seed=seed)
        for q in track.reference.q[::20]:
            track.plant.body.place(q)
            track.plant.body.check_clear()
    rngs = [np_random(seed)[0] for seed in range(3)]
    drawn = make_task("reach", reach.chain, 0.01, 1, {}, reach.scene).draw(rngs).bank.pose[2, 0]
    np.testing.assert_allclose(drawn, np.concatenate(reach.targets[0]), atol=1e-12)
    bank = make_task("track", track.chain, 0.01, 1, {}, track.scene).draw([np_random(2)[0]]).bank
    np.testing.assert_allclose(bank.samples.q[0], track.reference.q, atol=1e-12)
    for env in envs.values():
        env.close()


def test_a_reference_that_starts_in_a_body_is_refused_and_the_environment_goes_on():
    q = np.tile(CHAIN.home, (50, 1))
    tip = rigid.forward_kinematics(CHAIN, CHAIN.home + 0.6 * np.eye(7)[0])[:3, 3]
    env = TrackEnv("panda", scene=scene_of(Body("sphere", (0.08,), tuple(tip), name="ball")))
    there = Reference.from_joints(CHAIN, 0.01, q + 0.6 * np.eye(7)[0], 0 * q, 0 * q, name="there")
    with pytest.raises(UsageError, match="deep in body 'ball'"):
        env.reset(options={"reference": there})
    env.reset(options={"reference": Reference.from_joints(CHAIN, 0.01, q, 0 * q, 0 * q, name="here")})
    env.step(np.zeros(7))
    env.close()


def test_a_body_on_which_the_arm_stands_does_not_hold_it():
    body = ObstructedBody(CHAIN, scene_of(Body("plane")))
    body.step()
    assert not body.met
    body.close()
