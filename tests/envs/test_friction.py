"""Friction in PyBullet's plant and in the twin: it holds, lets go, takes energy and never gives any."""

import jax
import numpy as np
import pybullet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl import rigid, twin
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.friction import bounded_stop, friction_torque
from armctl.envs.bullet.plant import Plant
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.robots import ROBOTS, plain_arm

DT = 0.002
FORCE = 2.0
"""Of dry friction in these tests, N m."""


@jax.jit
def hold(arm, params, q, tau):
    """The twin after 20 control steps under a held torque."""
    config = ServoConfig(control="torque")
    start = twin.reset(arm, config, q, params=params)
    return jax.lax.scan(lambda s, _: (twin.step(arm, config, params, s, tau)[0], None), start, length=20)[0]


def in_both(scenario, tau):
    """Joint positions from home after 0.2 s under a held torque, of plant and twin, (2, n) rad."""
    chain = load_chain("planar3")
    plant = Plant(chain, ServoConfig(control="torque"))
    plant.reset(scenario, chain.home, np.zeros(3))
    for _ in range(20):
        plant.step(tau.tolist())
    q = plant.q
    plant.close()
    said = hold(plain_arm("planar3"), plant_params(chain, scenario), chain.home, tau).q
    return np.array([q, said]) - chain.home


@pytest.mark.parametrize("stiction", [1.0, 1.5])
@pytest.mark.parametrize("joint", [0, 1, 2])
def test_a_joint_sticks_below_its_friction_and_breaks_away_at_it(joint, stiction, x64):
    chain = load_chain("planar3")
    hold_still = rigid.gravity(chain, chain.home)
    scenario = Scenario(coulomb=FORCE, stiction=stiction)
    extra = np.zeros(3)
    extra[joint] = stiction * FORCE
    stuck = in_both(scenario, hold_still + 0.999 * extra)
    assert np.abs(stuck).max() < 1e-12
    slipping = in_both(scenario, hold_still + 1.001 * extra)
    assert (slipping[:, joint] > 1e-8).all()
    assert np.abs(slipping[0] - slipping[1]).max() < 1e-12


@pytest.mark.parametrize("robot", ROBOTS)
def test_dry_friction_is_what_pybullets_own_motor_does(robot):
    """A motor that wants the joints to stand still, bounded by the same force, where its sweeps have converged."""
    chain, rng = load_chain(robot), np.random.default_rng(0)
    ours, theirs = ArmBody(chain), ArmBody(chain)
    ours.reset(chain.home, np.zeros(chain.n))
    worst, stuck = 0.0, 0
    for _ in range(200):
        q, qd = ours.state()
        force = chain.effort * rng.choice([0.002, 0.02])
        tau = rigid.gravity(chain, q) + 0.01 * chain.effort * rng.uniform(-1, 1, chain.n) - 0.02 * chain.effort * qd
        theirs.reset(q, qd)
        pybullet.setJointMotorControlArray(
            theirs.id, theirs.joints, pybullet.VELOCITY_CONTROL, targetVelocities=[0.0] * chain.n,
            forces=force.tolist(), physicsClientId=theirs.client,
        )  # fmt: skip
        theirs.set_torque(tau.tolist())
        theirs.step()
        ours.set_torque((tau + friction_torque(ours, q, qd, tau, None, force)).tolist())
        ours.step()
        after = ours.state()[1]
        worst, stuck = max(worst, np.abs(after - theirs.state()[1]).max()), stuck + np.sum(np.abs(after) < 1e-12)
        outside = (ours.state()[0] < chain.lower) | (ours.state()[0] > chain.upper)
        if (
            outside.any() or np.abs(after).max() > 20
        ):  # where stops and the cap on speed act, the order of things counts
            ours.reset(chain.home, np.zeros(chain.n))
    ours.close()
    theirs.close()
    assert worst < 1e-10
    assert stuck > 20 * chain.n


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_impulses_that_stop_joints_are_complementary(seed, n):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n)) * np.exp(rng.uniform(-2, 2, n))
    A = root @ root.T + 1e-3 * np.eye(n)
    free, bound = 5 * rng.normal(size=n), np.exp(rng.uniform(-6, 6, n))
    qd, impulse = bounded_stop(A, free, bound)
    size = np.abs(A).max() * np.abs(free).max()
    np.testing.assert_allclose(A @ (qd - free), impulse, atol=1e-9 * size)
    assert (np.abs(impulse) <= bound + 1e-9 * size).all()
    held = np.abs(qd) < 1e-12
    assert (held | (np.abs(np.abs(impulse) - bound) < 1e-9 * size)).all()
    assert (held | (impulse * qd <= 0)).all()


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(ROBOTS), st.integers(0, 2**31), st.floats(-3, 4).map(lambda x: 10.0**x),
    st.floats(-3, 4).map(lambda x: 10.0**x), st.floats(1, 10),
)  # fmt: skip
def test_friction_never_adds_energy(robot, seed, viscous, coulomb, stiction):
    """Its work in every physics step, at the velocity half way through, is at most zero."""
    chain, rng = load_chain(robot), np.random.default_rng(seed)
    body = ArmBody(chain, stops=False)
    body.reset(chain.home + 0.3 * rng.normal(size=chain.n), rng.normal(size=chain.n))
    damping, dry = np.full(chain.n, viscous), np.full(chain.n, coulomb * stiction)
    for _ in range(5):
        q, qd = body.state()
        tau = rigid.gravity(chain, q) + 0.2 * chain.effort * rng.uniform(-1, 1, chain.n)
        rub = friction_torque(body, q, qd, tau, damping, dry)
        body.set_torque((tau + rub).tolist())
        body.step()
        after = body.state()[1]
        assert rub @ after <= 1e-9 * (1 + np.abs(rub).max())
        # what friction changed of the kinetic energy, M (qd+ - free) = dt rub, is negative too
        M = body.mass_matrix(q)
        free = after - DT * np.linalg.solve(M, rub)
        change = after @ M @ after - free @ M @ free
        assert change <= 1e-9 * (1 + np.abs(free @ M @ free))
    body.close()


def test_friction_of_a_file_is_kept_and_the_servo_counts_on_it(urdf):
    """As much damping as many files have on light wrists: kept, stable, and velocities are still reached."""
    from pathlib import Path

    text = Path(load_chain("planar3").source).read_text()
    chain = load_chain(urdf(text.replace("</joint>", '<dynamics damping="10" friction="1"/></joint>')))
    assert (chain.damping == 10).all()
    assert not any("friction" in note for note in chain.notes)
    plant = Plant(chain, ServoConfig())
    plant.reset(Scenario(), chain.home, np.zeros(3))
    wanted = np.array([0.3, -0.2, 0.25])
    for _ in range(40):
        plant.step(wanted.tolist())
    np.testing.assert_allclose(plant.qd, wanted, rtol=0.02)
    plant.close()


@pytest.mark.parametrize(
    ("robot", "viscous", "coulomb"),
    [("xarm6", 0.2, 0), ("ur5e", 0.5, 0), ("gen3", 0.5, 0), ("iiwa14", 1, 1), ("xarm6", 0, 1), ("panda", 50, 20)],
)
def test_friction_far_beyond_what_is_explicitly_stable_only_slows(robot, viscous, coulomb, x64):
    """Explicit friction of this size ended at 1e9 rad/s; now plant and twin creep alike."""
    chain, config, scenario = load_chain(robot), ServoConfig(), Scenario(viscous=viscous, coulomb=coulomb)
    plant, rng = Plant(chain, config), np.random.default_rng(0)
    plant.reset(scenario, chain.home, np.zeros(chain.n))
    commands = 0.1 * chain.velocity * rng.uniform(-1, 1, (60, chain.n))
    for wanted in commands:
        plant.step(wanted.tolist())
        assert (np.abs(plant.qd) < chain.velocity).all()
    if robot == "iiwa14":  # one compilation for both kinds of friction
        arm, params = plain_arm(robot), plant_params(chain, scenario)
        start = twin.reset(arm, config, chain.home, params=params)
        follow = lambda state, wanted: (twin.step(arm, config, params, state, wanted)[0], None)  # noqa: E731
        np.testing.assert_allclose(jax.lax.scan(follow, start, commands)[0].q, plant.q, rtol=0, atol=1e-8)
    plant.close()
