"""The tracker finds out what it carries and how late it acts, the oracle is told, and both act upon it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from armctl import rigid
from armctl.controllers import make
from armctl.controllers.certainty_equivalence import attainable
from armctl.controllers.delay_bank import misfit, under_way
from armctl.controllers.feedback import Feedback, Target, coming, targets
from armctl.learn import rollout
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig, training_setting
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.twin import episodes as ep
from armctl.twin.episodes import Task, single
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
RUBBING = Scenario(payload_mass=0.8, payload_com=(0.0, 0.03, 0.0), viscous=0.1, coulomb=0.2, gravity_tilt=0.02)
PLANTS = [
    Scenario(),
    Scenario(payload_mass=1.2, payload_com=(0.02, 0.0, 0.0)),
    Scenario(payload_mass=1.2, latency=1),
    Scenario(payload_mass=0.4, latency=3),
    replace(RUBBING, actuator_strength=0.95, inertia_scale=(1.05, 0.95, 1.0)),
    Scenario(payload_mass=0.8, latency=5),
    Scenario(payload_mass=0.2, payload_switch=0.4, next_payload_mass=1.2, latency=1),
    Scenario(payload_mass=0.8, velocity_noise=1e-2),
    Scenario(payload_mass=0.8, velocity_noise=1e-3),
]
STEPS = 100


@pytest.fixture(scope="module")
def run():
    """Function of a controller's name: the controller, memories (T, B, ...) and tip errors (T, B) m over a second."""
    rng = np.random.default_rng(0)
    motions = [random_reference(CHAIN, rng, dt=0.01, duration=1.2) for _ in PLANTS]
    task = single(Task(stack_references(motions), stack_params([plant_params(CHAIN, x) for x in PLANTS])))
    found = {}

    def roll(name):
        if name not in found:
            controller = make(name, plain_arm())
            setting = training_setting(controller.arm, "torque", TuneConfig(robot="planar3"))
            count, index = len(PLANTS), jnp.arange(len(PLANTS))
            q, qd = (jnp.asarray(x)[:, 0] for x in (task.bank.samples.q, task.bank.samples.qd))
            fresh = ep.start(setting, task, q, qd, index, index, 0 * index, controller.init_carry((count,)))
            fresh = rollout.told(controller, task, fresh)

            @jax.jit
            def go(episodes):
                step = rollout.stepper(setting, task, controller, episodes, TrainConfig().objective, 1.0)

                def keep(episodes, _):
                    after, (_, errors) = step(episodes, None)
                    return after, (after.carry, jnp.sqrt(errors[0]))

                return jax.lax.scan(keep, episodes, length=STEPS)[1]

            found[name] = controller, *go(fresh)
        return found[name]

    return roll


def plain_arm():
    from armctl.arm import load_arm

    return load_arm("planar3")


def test_load_and_delay_are_found_out_within_a_second(run):
    controller, carries, _ = run("tracker")
    last = controller.estimates(jax.tree.map(lambda x: x[-1], carries))
    likely = np.argmax(last.delay_probability, axis=-1)
    np.testing.assert_array_equal(likely[1:], [x.latency for x in PLANTS[1:]])
    true = np.array([x.payload_mass if x.payload_switch is None else x.next_payload_mass for x in PLANTS])
    assert abs(float(last.payload_mass[6]) - true[6]) < 0.1  # it was exchanged 0.6 s ago
    error = np.abs(np.asarray(last.payload_mass) - true)
    assert error[:4].max() < 0.05
    usual = np.arange(len(PLANTS)) != 7  # ten times the noise that the gains are for
    assert (error < 4 * np.asarray(last.payload_mass_deviation) + 0.05)[usual].all()


def test_it_knows_when_the_delay_is_beyond_it(run):
    controller, carries, _ = run("tracker")
    caution = np.asarray(controller.estimates(jax.tree.map(lambda x: x[-1], carries)).caution)
    assert caution[5] > 0.9
    assert caution[:4].max() < 0.5


def test_the_oracle_is_a_limit(run):
    _, _, told = run("oracle")
    _, _, learned = run("tracker")
    steady = slice(60, None)
    assert np.median(told[steady], axis=0)[:5].max() < 5e-4
    assert (np.median(told[steady], axis=0)[:4] < np.median(learned[steady], axis=0)[:4] + 1e-4).all()


def test_the_oracle_is_told_what_the_plant_is(run):
    _, carries, _ = run("oracle")
    truth = jax.tree.map(lambda x: np.asarray(x)[-1], carries.truth)
    np.testing.assert_allclose(truth.plant.load[:, 0], [x.payload_mass for x in PLANTS], atol=0.05)
    np.testing.assert_allclose(truth.delay, [x.latency for x in PLANTS])
    np.testing.assert_allclose(truth.plant.strength[4], 0.95, rtol=1e-5)
    np.testing.assert_allclose(truth.plant.links[4, :2], [1.05, 0.95], rtol=1e-5)


def test_noise_is_told_from_a_wrong_model(run):
    """Noise that the filter does not reckon with is found to be there; a load that was exchanged is none."""
    _, carries, _ = run("filter_bank")
    roughness = np.median(np.asarray(carries.roughness)[50:], axis=0)
    assert roughness[7] > 2.5
    assert roughness[[1, 2, 3, 6, 8]].max() < 1.5


def test_torque_within_the_motors_is_the_nearest_in_kinetic_energy():
    """Against a bounded least-squares solver; and what motors can give is given as it is asked for."""
    rng, n = np.random.default_rng(0), 3
    for _ in range(20):
        mobility = np.linalg.inv(rigid.mass_matrix(CHAIN, rng.uniform(-2, 2, n)))
        effort, asked = rng.uniform(1, 5, n), 4 * rng.normal(size=n)
        found = np.asarray(attainable(*(jnp.asarray(x, jnp.float32) for x in (effort, asked, mobility))))
        root = np.linalg.cholesky(mobility).T
        best = lsq_linear(root, root @ asked, (-effort, effort)).x
        cut = np.clip(asked, -effort, effort)
        energy, least, most = ((x - asked) @ mobility @ (x - asked) for x in (found, best, cut))
        assert (np.abs(found) <= effort * (1 + 1e-5)).all()
        assert energy <= least + 0.2 * (most - least) + 1e-6
        np.testing.assert_allclose(attainable(effort + np.abs(asked), asked, mobility), asked, rtol=1e-6)


def test_textbook_gains_place_both_poles_of_a_double_integrator():
    """Of a joint whose acceleration is held over a control step: at 1 - r, r = 0.6 / (1 + d / 2) under delay d."""
    dt = 0.01
    feedback = Feedback(2, 3, dt)
    held = np.array([[1, dt], [0, 1]]), np.array([[dt**2 / 2], [dt]])
    for d in range(4):
        kp, kd = (np.exp(np.asarray(x[...])[0, d, 0]) for x in (feedback.log_kp, feedback.log_kd))
        poles = np.linalg.eigvals(held[0] - held[1] @ np.array([[kp, kd]]))
        np.testing.assert_allclose(poles, 1 - 0.6 / (1 + d / 2), atol=2e-3)


def test_coming_targets_begin_later_and_end_with_the_window():
    every = Target(*(jnp.arange(6.0)[None, :, None] + k for k in (0, 10, 20)))
    found = coming(every, jnp.asarray([2.9]), 4)
    np.testing.assert_array_equal(found.q[0, :, 0], [3, 4, 5, 5])
    np.testing.assert_array_equal(found.qdd[0, :, 0], [23, 24, 25, 25])
    np.testing.assert_array_equal(coming(every, jnp.asarray([40.0]), 2).q[0, :, 0], [5, 5])


def test_commands_under_way_act_one_after_the_other():
    """Under a delay of d the command d - i steps old acts in step i; from step d on the new one does."""
    commands = jnp.arange(1.0, 5.0)[:, None]  # newest first: 1 was given last
    for delay in range(4):
        ahead = under_way(jnp.eye(4)[delay], commands)
        np.testing.assert_array_equal(ahead.share, np.arange(3) < delay)
        acting = [delay - i for i in range(delay)]
        np.testing.assert_allclose(ahead.command[:delay, 0], acting)


def test_one_outlier_proves_nothing():
    assert float(misfit(jnp.asarray(1e6))) <= 10.0
    np.testing.assert_allclose(misfit(jnp.asarray(0.5)), 0.125, rtol=1e-3)


def test_targets_are_differences_of_velocities():
    reference = random_reference(CHAIN, np.random.default_rng(1), dt=0.01, duration=0.3)
    bank = stack_references([reference])
    w = jax.tree.map(lambda x: jnp.asarray(x)[0, :5], bank.samples)
    target = targets(w, 0.01)
    assert isinstance(target, Target)
    np.testing.assert_allclose(target.qd[:-1] + 0.01 * target.qdd[:-1], target.qd[1:], atol=1e-6)


def test_a_filter_that_is_right_is_calibrated():
    """On data of its own model the normalised errors of the posterior have variance one."""
    controller = make("filter_bank", plain_arm())
    filter_, rng = controller.filter, np.random.default_rng(0)
    m, n, episodes, steps = filter_.size, 3, 200, 20
    truth = rng.normal(size=(episodes, m))
    mean, P = filter_.start((episodes,))
    mean = mean[:, None]
    R = 0.1 * np.eye(n)
    step = jax.jit(filter_.update)
    for _ in range(steps):
        Y = rng.normal(size=(episodes, n, m))
        y = np.einsum("enm,em->en", Y, truth + np.asarray(filter_.prior)) + np.sqrt(0.1) * rng.normal(
            size=(episodes, n)
        )
        mean, P, white, _, sure = step(mean, P, jnp.asarray(Y, jnp.float32), jnp.asarray(R, jnp.float32), y[:, None])
    z = (np.asarray(mean)[:, 0] - truth) / np.sqrt(np.diagonal(np.asarray(P), axis1=1, axis2=2))
    assert 0.9 < z.var() < 1.1
    assert 0.8 < np.asarray(white).var() < 1.2
    assert 0 < np.asarray(sure).min() <= np.asarray(sure).max() <= 1


def test_one_blow_moves_the_mean_no_further_than_its_bound():
    """However far a measurement lies from what is expected, parameters move by a bounded number of deviations."""
    filter_ = make("filter_bank", plain_arm()).filter
    mean, P = filter_.start(())
    rng = np.random.default_rng(0)
    Y, R = jnp.asarray(rng.normal(size=(3, filter_.size)), jnp.float32), 0.1 * jnp.eye(3)
    moved = [np.linalg.norm(filter_.update(mean[None], P, Y, R, jnp.full((1, 3), y)).mean) for y in (1e3, 1e6)]
    np.testing.assert_allclose(*moved, rtol=1e-2)
    assert moved[0] < 3 * np.sqrt(3 * 9.0)
