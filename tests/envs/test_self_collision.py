"""Self-collision agrees with checking every pair; levers bound how fast distances change."""

from dataclasses import replace

import numpy as np
import pytest

from armctl import geometry
from armctl.chain import Shape, joint_box
from armctl.envs.bullet.approach import BEYOND, levers
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.self_collision import NOISE, REACH, SelfCollision, collision_pairs
from armctl.errors import UsageError
from armctl.urdf import load_chain
from tests.robots import ROBOTS, random_chain


@pytest.fixture
def body(robot):
    """An arm with its collision shapes."""
    loaded = ArmBody(load_chain(robot), collisions=True)
    yield loaded
    loaded.close()


@pytest.mark.parametrize("robot", ["panda", "gen3", "xarm6"])  # the gen3 has joints that turn round and round
def test_skipping_pairs_changes_no_answer(robot, body):
    chain, (pairs, _) = body.chain, collision_pairs(body.chain)
    check, rng, q, answers = SelfCollision(body), np.random.default_rng(0), chain.home, []
    for k in range(400):
        if k % 100 == 0:
            check.reset()
        q = np.clip(q + rng.uniform(-0.25, 0.25, chain.n), chain.lower, chain.upper)
        answers.append(check.touches(q.tolist()))
        body.place(q, np.zeros(chain.n))
        assert answers[-1] == any(body.distance(*pair, REACH) <= 0 for pair in pairs)
    assert 0 < sum(answers) < 400
    assert robot != "gen3" or np.abs(q).max() > np.pi


@pytest.mark.parametrize("robot", ROBOTS)
def test_what_is_known_of_the_home_configuration_is_true(robot, body):
    chain, (pairs, bounds) = body.chain, collision_pairs(body.chain)
    known, rng = SelfCollision(body)._home, np.random.default_rng(6)
    for _ in range(200):
        for pair, lever, clearance in zip(pairs, bounds, known.clearance, strict=True):
            way = rng.normal(size=chain.n) * (rng.uniform(size=chain.n) < 0.5) * (lever > 0)
            used = lever @ np.abs(way)
            body.place(chain.home + way * clearance * rng.uniform(0.9, 1.0) / used if used else chain.home)
            assert body.distance(*pair, 0.01) > 0
    one = [k for k in range(len(pairs)) if np.sum(bounds[k] > 0) == 1]
    wider = [known.clearance[k] > 1.1 * known.measured[k] for k in one]
    assert any(wider) or robot in ("gen3", "planar3")


def test_a_mesh_that_cannot_be_read_is_no_shape_of_an_arm(tmp_path):
    """The reader leaves it out; who puts one into a chain all the same is told."""
    mesh = Shape(2, "collision", "mesh", (1.0, 1.0, 1.0), np.eye(4), filename=str(tmp_path / "hand.dae"))
    (tmp_path / "hand.dae").write_text("<COLLADA/>")
    ball = Shape(-1, "collision", "sphere", (0.1,), np.eye(4))
    with pytest.raises(UsageError, match="cannot be read"):
        levers(replace(load_chain("planar3"), shapes=(mesh, ball)), -1, 2)


def test_an_arm_without_shapes_never_touches_itself():
    body = ArmBody(replace(load_chain("planar3"), shapes=()), collisions=True)
    check = SelfCollision(body)
    assert not any(check.touches(q) for q in np.random.default_rng(0).uniform(-3, 3, (5, 3)).tolist())
    body.close()


@pytest.mark.parametrize("robot", ROBOTS)
def test_pairs_left_out_never_touch(robot, body):
    chain, (kept, _) = body.chain, collision_pairs(body.chain)
    every = [(i, j) for i in range(-1, chain.n) for j in range(i + 2, chain.n)]
    dropped = [pair for pair in every if pair not in kept and body.distance(*pair, REACH) > 0]
    assert dropped or robot == "planar3"
    assert robot != "gen3" or (3, 5) in dropped  # by proof: its clearance may be less than 2 cm
    lower, upper = joint_box(chain, 0.0)
    met = dict.fromkeys(kept, False)
    for q in np.random.default_rng(5).uniform(lower - BEYOND, upper + BEYOND, (2000, chain.n)):
        body.place(q)
        assert all(body.distance(*pair, 0.02) > 0 for pair in dropped)
        met = {pair: met[pair] or body.distance(*pair, 0.02) <= 0 for pair in kept}
    assert any(met.values())


@pytest.mark.parametrize("robot", ["panda", "ur5e", "gen3", "planar3"])
def test_levers_bound_how_distances_change(robot, body):
    chain, (pairs, levers) = body.chain, collision_pairs(body.chain)
    still = np.zeros(chain.n)
    rng, rows = np.random.default_rng(3), []
    for _ in range(60):
        q = rng.uniform(*joint_box(chain, 0.0))
        turned = q + rng.normal(size=chain.n) * rng.uniform(0, 1) * (rng.uniform(size=chain.n) < 0.4)
        for at in (q, turned):
            body.place(at, still)
            rows.append([body.distance(*pair, REACH) for pair in pairs])
        change = np.abs(np.subtract(rows[-1], rows[-2]))
        clear = np.minimum(rows[-1], rows[-2]) > 0  # a depth is no distance
        assert np.all((change <= levers @ np.abs(turned - q) + NOISE) | ~clear)


@pytest.mark.parametrize(
    ("kind", "size"),
    [("cylinder", (0.03, 0.1)), ("capsule", (0.03, 0.1)), ("box", (0.04, 0.06, 0.1)), ("sphere", (0.05,))],
)
def test_levers_hold_for_every_shape_and_joint(kind, size):
    rng, chain = np.random.default_rng(1), random_chain()
    anywhere = geometry.pose_to_matrix(np.append(rng.normal(size=3), [0.5, -0.5, 0.1, 0.7]))
    upright = geometry.pose_to_matrix(np.array([0.0, 0.0, 0.07, 0.0, 0.0, 0.0, 1.0]))  # about the joint's own axis
    shapes = [Shape(link, "collision", kind, size, (upright, anywhere)[link % 2]) for link in range(-1, chain.n)]
    chain = replace(chain, shapes=tuple(shapes), lower=np.full(chain.n, -0.5), upper=np.full(chain.n, 0.5))
    body = ArmBody(chain, collisions=True)
    pairs = [(i, j) for i in range(-1, chain.n) for j in range(i + 2, chain.n)]
    bounds, used = np.array([levers(chain, *pair) for pair in pairs]), np.zeros((len(pairs), chain.n))
    for q in rng.uniform(-0.5, 0.5, (40, chain.n)):
        for joint in range(chain.n):  # by itself, for then the bound is sharpest
            rows = []
            for at in (q, q + 0.1 * np.eye(chain.n)[joint]):
                body.place(at)
                rows.append(np.array([body.distance(*pair, 10.0) for pair in pairs]))
            change = np.where(np.minimum(*rows) > 0, np.abs(rows[0] - rows[1]), 0.0)
            assert np.all(change <= 0.1 * bounds[:, joint] + NOISE)
            used[:, joint] = np.maximum(used[:, joint], change / 0.1)
    assert np.max(used[bounds > 0] / bounds[bounds > 0]) > 0.9
    own = [k for k, (_, link) in enumerate(pairs) if link == 4]
    assert np.all((bounds[own, 4] == 0) == (kind != "box"))  # its own joint turns a round shape into itself
    body.close()


@pytest.mark.parametrize("robot", ["panda"])
def test_an_arm_that_has_blown_up_does_not_blind_the_check(body):
    chain = body.chain
    check, rng = SelfCollision(body), np.random.default_rng(0)
    touching = next(q for q in rng.uniform(chain.lower, chain.upper, (200, 7)).tolist() if check.touches(q))
    check.reset()
    for wild in (np.inf, -np.inf, np.nan):
        assert not check.touches([*chain.home[:4], wild, *chain.home[5:]])
        assert check.touches(touching)
        assert not check.touches(chain.home.tolist())


@pytest.mark.parametrize("robot", ["iiwa14"])
def test_links_that_seldom_meet_are_watched(body):  # base and flange: in one of 1500 random configurations
    q = [-1.014, -1.725, 0.348, 2.068, 2.462, 0.951, -1.274]
    assert SelfCollision(body).touches(q)
    body.place(q)
    assert body.distance(-1, 6, REACH) < -0.01
