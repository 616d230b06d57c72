"""From PyBullet to an identified arm that any controller takes."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import rigid, store
from armctl.arm import Arm, load_arm
from armctl.chain import joint_box
from armctl.controllers import make
from armctl.errors import UsageError
from armctl.identify.excitation import BOX_MARGIN, excitation
from armctl.identify.fit import NOISE_ROUNDS, FitConfig, delays, identify
from armctl.identify.output import write_run
from armctl.identify.record import record
from armctl.motion.collision import clearance, safe_margin
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant.observe import Measurement
from armctl.plant.scenario import Scenario, plant_params, true_chain
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain, read_urdf
from tests.robots import ROBOTS

CHAIN = load_chain("panda")
LOADED = Scenario(payload_mass=1.5, payload_com=(0.03, -0.02, 0.06))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The identification of a loaded arm from two noise-free seconds, and its run folder."""
    config = FitConfig(latency=0)
    told = []
    found = identify(CHAIN, [record(CHAIN, LOADED, seconds=2.0)], config, told.append)
    assert len(delays(config)) < len(told) <= len(delays(config)) + NOISE_ROUNDS
    out = tmp_path_factory.mktemp("run") / "identify"
    return found, out, write_run(found, CHAIN, out, config, truth=LOADED)


@pytest.mark.parametrize("robot", ROBOTS)
def test_excitations_stay_within_every_limit(robot):
    chain = load_chain(robot)
    q, qd, qdd = excitation(chain, 3.0, 0.01, seed=1)
    lower, upper = joint_box(chain, BOX_MARGIN)
    assert q.shape == (301, chain.n)
    assert ((q >= lower - 1e-9) & (q <= upper + 1e-9)).all()
    assert (np.abs(qd) <= chain.velocity).all()
    assert (np.abs(qdd) <= chain.acceleration).all()
    assert (np.abs(rigid.inverse_dynamics(chain, q, qd, qdd)) <= chain.effort).all()
    assert clearance(chain, q).min() > safe_margin(chain)
    assert (np.ptp(q, axis=0) > 0.1).all()
    np.testing.assert_allclose([qd[0], qd[-1], qdd[0]], 0, atol=1e-9)
    np.testing.assert_allclose(np.gradient(q, 0.01, axis=0)[1:-1], qd[1:-1], atol=0.02)


def test_a_recording_is_repeatable_and_inside_the_limits():
    told = []
    one, two = (record(CHAIN, LOADED, seconds=1.0, seed=3, progress=told.append) for _ in range(2))
    assert told == [*range(1, 101)] * 2
    np.testing.assert_array_equal(one.q, two.q)
    assert ((one.q > CHAIN.lower) & (one.q < CHAIN.upper)).all()
    assert (np.abs(one.command) <= CHAIN.effort).all()
    assert one.truth == LOADED


def test_a_recording_needs_time():
    with pytest.raises(UsageError, match=r"lasts 0\.5 s"):
        record(CHAIN, LOADED, seconds=0.5)


def test_the_payload_of_a_bullet_arm_is_recovered(run):
    found, _, summary = run
    deviation = np.abs(found.values - found.known(CHAIN, LOADED))
    assert deviation[0] < 1e-6
    assert deviation[1:].max() < 1e-6
    assert summary["converged"]
    assert summary["warnings"] == []
    assert [row["truth"] for row in summary["parameters"]] == [1.5, 0.03, -0.02, 0.06]


def test_the_run_folder_holds_the_arm(run):
    _, out, summary = run
    assert {path.name for path in out.iterdir()} == {"config.json", "summary.json", "arm.urdf", "identify.png"}
    assert store.read_json(out / "summary.json") == summary
    assert (out / "identify.png").read_bytes().startswith(b"\x89PNG")
    own = plant_params(read_urdf(out / "arm.urdf"), Scenario())
    true = plant_params(CHAIN, LOADED)
    for name in ("mass", "first_moment", "inertia"):
        np.testing.assert_allclose(getattr(own, name), getattr(true, name), atol=1e-6)
    assert not own.effects
    assert read_urdf(out / "arm.urdf").tip == CHAIN.tip


def test_friction_of_an_arm_is_written_when_asked(tmp_path):
    from dataclasses import replace

    from armctl.urdf import write_urdf

    chain = replace(CHAIN, damping=np.arange(7.0) / 1000, friction=np.arange(7.0) / 1000)
    (tmp_path / "arm.urdf").write_text(write_urdf(chain, friction=True))
    read = read_urdf(tmp_path / "arm.urdf")
    np.testing.assert_array_equal(read.damping, chain.damping)
    np.testing.assert_array_equal(read.friction, chain.friction)


def test_computed_torque_tracks_better_on_the_identified_arm(run):
    _, out, _ = run
    nominal, identified, perfect = (
        tracking_error(arm) for arm in (Arm.from_chain(CHAIN), load_arm(out / "arm.urdf"), Arm.from_chain(loaded()))
    )
    assert identified < 0.2 * nominal
    np.testing.assert_allclose(identified, perfect, rtol=1e-2)


@lru_cache
def loaded():
    """The arm with its payload as one chain."""
    return true_chain(CHAIN, LOADED)


@lru_cache
def reference():
    """A motion that all controllers follow."""
    return random_reference(CHAIN, np.random.default_rng(5), dt=0.01, duration=1.5, eta=0.6)


def tracking_error(arm) -> float:
    """RMS joint error, rad, of computed torque with a model of the arm on the loaded PyBullet arm."""
    from armctl.envs.bullet.plant import Plant

    controller = make("computed_torque", arm)
    bank, goal = stack_references([reference()]), reference()
    command = jax.jit(lambda m, w: controller((), m, w)[1])
    plant, errors = Plant(CHAIN, ServoConfig(control="torque")), []
    try:
        plant.reset(LOADED, goal.q[0], goal.qd[0])
        for k in range(len(goal.q) - 1):
            m = Measurement(*(jnp.asarray(x, jnp.float32)[None] for x in plant.measure()))
            window = windows(bank, np.array([0]), np.array([k]), 4)
            plant.step(np.asarray(command(m, window), float)[0])
            errors.append(plant.q - goal.q[k + 1])
    finally:
        plant.close()
    return float(np.sqrt(np.mean(np.square(errors))))
