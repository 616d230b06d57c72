"""Laws of the servo, of the noise and of the preview windows, on NumPy and JAX."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from armctl import rigid
from armctl.errors import UsageError
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant import servo
from armctl.plant.effects.noise import Noise
from armctl.plant.effects.push import Push, PushParams
from armctl.plant.effects.strength import Strength
from armctl.plant.observe import Measurement, counter_normal, observation_vector
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.robots import random_motion

NO_FRICTION = (0.0, 0.0)

# --- servo settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control_dt", [0.0, -0.01, 0.0123, float("nan"), float("inf")])
def test_steps_that_do_not_fit_are_named(control_dt):
    with pytest.raises(UsageError, match=r"not a whole number of physics steps|give a finite number"):
        ServoConfig(control_dt=control_dt)


# --- servo ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("robot", ["panda", "gen3", "planar3"])
def test_velocity_error_contracts_at_the_same_rate_everywhere(robot):
    """On the nominal arm, without the velocity-dependent forces that the law ignores, e' = (1 - k dt) e per step."""
    chain, config = load_chain(robot), ServoConfig()
    q, qd, _, _ = random_motion(chain, 4)
    M, g = rigid.mass_and_gravity(chain, q)
    wanted = 0.5 * chain.velocity
    tau = servo.commanded_torque(config, wanted, q, qd, M, g, chain.velocity, *NO_FRICTION)
    qdd = np.linalg.solve(M, (tau - g)[..., None])[..., 0]
    after = wanted - (qd + config.physics_dt * qdd)
    np.testing.assert_allclose(after, (1 - config.velocity_gain * config.physics_dt) * (wanted - qd), atol=1e-9)


def test_position_law_is_a_clipped_velocity_towards_the_target():
    chain, config = load_chain("panda"), ServoConfig(control="position")
    q, qd, _, _ = random_motion(chain, 4)
    M, g = rigid.mass_and_gravity(chain, q)
    target = q + np.linspace(-2, 2, 7)
    wanted = np.clip(config.position_gain * (target - q), -chain.velocity, chain.velocity)
    position = servo.commanded_torque(config, target, q, qd, M, g, chain.velocity, *NO_FRICTION)
    velocity = servo.commanded_torque(ServoConfig(), wanted, q, qd, M, g, chain.velocity, *NO_FRICTION)
    np.testing.assert_allclose(position, velocity, atol=1e-10)


def test_motors_saturate_before_they_weaken():
    effort = np.array([10.0, 10.0])
    asked = servo.saturated(np.array([50.0, -5.0]), effort)
    error = np.array([-0.1, 0.0])
    given, _ = Strength.torque(error, None, asked, 0 * asked, 0 * asked, 0.0, 0.002)
    np.testing.assert_allclose(given, [9.0, -5.0])


def test_twist_commands_move_the_tip_and_respect_velocity_limits():
    chain = load_chain("panda")
    J = rigid.jacobian(chain, chain.home)
    twist = np.array([0.1, 0.0, -0.1, 0.0, 0.2, 0.0])
    slow = servo.joint_velocity_from_twist(J, twist, chain.velocity)
    np.testing.assert_allclose(J @ slow, twist, atol=0.02)
    fast = servo.joint_velocity_from_twist(J, 100 * twist, chain.velocity)
    assert np.abs(fast / chain.velocity).max() == pytest.approx(1)
    np.testing.assert_allclose(np.cross(J[:3] @ fast, J[:3] @ slow), 0, atol=1e-9)  # slower, not elsewhere


def test_pulses_cover_whole_physics_steps():
    p = PushParams(np.ones(6), np.array([0.1, 0.25]))
    active = [bool(Push.wrench(p, np.asarray(0.002 * k), 0.002).any()) for k in range(200)]
    assert [active.index(True), sum(active)] == [50, 75]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"control": "thought"}, "thought.*velocity"),
        ({"control_dt": 0.005}, "multiple"),
        ({"control_dt": 0.001}, "multiple"),
        ({"physics_dt": 0.0}, "multiple"),
        ({"velocity_gain": 1000.0}, "unstable"),
    ],
)
def test_impossible_servos_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        ServoConfig(**settings)


# --- noise ----------------------------------------------------------------------------------------------------------


def test_noise_is_standard_normal_and_white():
    steps = np.arange(4000, dtype=np.uint32)
    draws = counter_normal(np.full(4000, 3, np.uint32), steps, 14)
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3
    assert abs(draws.mean()) < 4 / np.sqrt(draws.size)
    assert abs(draws.var() - 1) < 4 * np.sqrt(2 / draws.size)
    correlation = np.corrcoef(draws, rowvar=False) - np.eye(14)
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    lagged = np.mean(draws[1:] * draws[:-1], axis=0)
    assert np.abs(lagged).max() < 5 / np.sqrt(4000)
    other = counter_normal(np.full(4000, 4, np.uint32), steps, 14)
    assert np.abs(np.mean(draws * other, axis=0)).max() < 5 / np.sqrt(4000)


def test_noise_is_the_same_on_numpy_and_jax_and_in_any_order():
    seed, step = np.arange(6, dtype=np.uint32), np.array([0, 1, 5, 1000, 7, 2**31], np.uint32)
    draws = counter_normal(seed, step, 5)
    np.testing.assert_allclose(counter_normal(jnp.asarray(seed), jnp.asarray(step), 5), draws, atol=2e-6)
    for k in range(6):
        np.testing.assert_array_equal(counter_normal(seed[k], step[k], 5), draws[k])


def test_measurements_add_the_stated_noise():
    q, count = np.zeros((3000, 4)), 3000
    noise = np.tile([1e-3, 1e-2], (count, 1))
    draw = np.zeros(count, np.uint32), np.arange(count, dtype=np.uint32)
    seen = Noise.measured(noise, Measurement(q, q), *draw)
    assert seen.q.std() == pytest.approx(1e-3, rel=0.05)
    assert seen.qd.std() == pytest.approx(1e-2, rel=0.05)
    clean = Noise.measured(0 * noise, Measurement(q + 1, q), *draw)
    np.testing.assert_array_equal(clean.q, q + 1)


def test_observation_errors_are_zero_on_the_target():
    chain = load_chain("panda")
    T = rigid.forward_kinematics(chain, chain.home)
    p, R = np.tile(T[:3, 3], (3, 1)), np.tile(T[:3, :3], (3, 1, 1))
    vector = observation_vector(Measurement(chain.home, 0 * chain.home), T[:3, 3], T[:3, :3], p, R)
    assert vector.shape == (14 + 9 + 18,)
    np.testing.assert_allclose(vector[-18:], 0, atol=1e-12)


# --- references in a bank -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def references():
    rng = np.random.default_rng(0)
    return [random_reference(load_chain("planar3"), rng, dt=0.01, duration=d) for d in (0.3, 0.5, 0.2)]


def test_bank_holds_the_last_pose_at_rest(references):
    bank = stack_references(references)
    np.testing.assert_array_equal(bank.length, [31, 51, 21])
    assert bank.samples.q.shape == (3, 51, 3)
    for k, r in enumerate(references):
        size = len(r.q)
        np.testing.assert_array_equal(bank.samples.q[k, :size], r.q)
        np.testing.assert_array_equal(bank.samples.twist[k, :size], r.twist)
        np.testing.assert_array_equal(bank.samples.p[k, size:], np.tile(r.pose[-1, :3], (51 - size, 1)))
        for moving in (bank.samples.qd, bank.samples.qdd, bank.samples.twist, bank.samples.accel):
            assert not moving[k, size:].any()
    assert stack_references(references, 25).samples.q.shape == (3, 25, 3)
    np.testing.assert_array_equal(stack_references(references, 25).length, [25, 25, 21])


def test_windows_look_ahead_and_stop_at_the_end(references):
    bank = stack_references(references)
    index, step = np.array([1, 0, 2]), np.array([0, 10, 49])
    w = windows(bank, index, step, 4)
    assert w.q.shape == (3, 5, 3)
    assert w.R.shape == (3, 5, 3, 3)
    for b in range(3):
        for k in range(5):
            row = min(step[b] + k, 50)
            np.testing.assert_array_equal(w.p[b, k], bank.samples.p[index[b], row])
    later = windows(bank, index, step + 1, 4)
    np.testing.assert_array_equal(w.q[:, 1:], later.q[:, :-1])  # what was ahead comes nearer by one
