"""The audit of controllers: laws of its measures."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from armctl import controllers
from armctl.controller_audit import instability, opacity, over_sensitivity
from armctl.controller_audit.closed_loop import rms_mm
from armctl.controller_audit.subject import scaled_inertia, with_links
from armctl.kinematics import forward_kinematics
from armctl.plant.effects.ripple import RippleParams
from armctl.plant.scenario import PlantParams, Scenario
from tests.controller_audit.loops import ARM, CONFIG, loop


def test_right_deviations_cover_95_percent_of_the_truth():
    rng = np.random.default_rng(0)
    truth, deviation = rng.normal(size=20000), rng.uniform(0.1, 2.0, 20000)
    estimate = truth + deviation * rng.normal(size=20000)
    assert opacity.coverage(estimate, deviation, truth) == pytest.approx(0.954, abs=0.01)
    assert opacity.coverage(estimate, 0.5 * deviation, truth) == pytest.approx(0.683, abs=0.015)
    early = np.arange(20000) < 100
    assert opacity.coverage(np.where(early, 1e9, truth), deviation, truth, ~early) == 1.0


def test_ascent_finds_the_corner_of_a_box_and_is_never_worse_than_its_start():
    rng = np.random.default_rng(1)
    slope = rng.normal(size=(5, 3, 2))

    def linear(x):
        return np.sum(slope * x, axis=(0, 2)), slope, x[0].T

    start = rng.choice([-1.0, 1.0], (5, 3, 2))
    found = over_sensitivity.ascend(linear, start)
    np.testing.assert_allclose(found.value, np.sum(np.abs(slope), axis=(0, 2)))
    np.testing.assert_array_equal(found.x, np.sign(slope))
    np.testing.assert_array_equal(found.kept, found.x[0].T)

    def misled(x):
        value, slope, kept = linear(x)
        return value, np.where(np.arange(3)[:, None] == 1, np.nan, -slope), kept

    for evaluate in (linear, misled):
        assert np.all(over_sensitivity.ascend(evaluate, start).value >= linear(start)[0])


def test_bisection_finds_each_threshold_from_below():
    threshold = np.array([0.0, 0.3, 2.71, 9.0])
    found = instability.bisect(lambda x: x <= threshold, np.zeros(4), np.full(4, 5.0), halvings=12)
    assert np.all(found <= threshold)
    np.testing.assert_allclose(found, np.minimum(threshold, 5.0), atol=5 / 2**12)


def test_delay_margin_of_counts():
    assert [instability.delay_margin(np.array(x)) for x in ([1, 0], [0, 0, 2, 0], [0, 0, 0])] == [-1, 1, 2]


def test_recovery_is_when_the_tip_is_back_to_stay():
    away = np.array([[0.0, 9.0, 9.0, np.nan], [0.0, 0.5, 0.5, 0.0], [0.0, 3.0, 0.5, 0.0], [0.0, 0.5, 5.0, 0.0]])
    np.testing.assert_allclose(instability.recovery(away, 0.1, within=1.0), [0.0, 0.3, np.inf, 0.1])


def test_a_diverged_episode_counts_300_mm():
    error = np.array([[1e-3, 1.0], [1e-3, np.nan], [9.0, 9.0]])
    counted = np.array([[True] * 2, [True] * 2, [False] * 2])
    np.testing.assert_allclose(rms_mm(error, counted, np.array([True, False])), [1.0, 300.0])


def test_learned_torques_that_undo_the_ripple_agree_with_it():
    ripple = RippleParams(np.full((2, 3), 0.5), np.full((2, 3), 6.0), np.zeros((2, 3)))
    plants = PlantParams(*[np.zeros(())] * 5, effects={"ripple": ripple})
    q = np.linspace(-1, 1, 101)[:, None, None] * np.ones(3)
    truth = opacity.unmodelled(plants, q, np.ones_like(q), 2)
    np.testing.assert_allclose(truth, -0.5 * np.sin(6 * q) * np.ones((1, 2, 1)))
    np.testing.assert_allclose(opacity.correlation(2 * truth + 1, truth), 1.0)
    assert np.isnan(opacity.correlation(0 * truth, truth)).all()


def test_no_kick_needs_no_recovery_and_a_kick_does():
    subject, base = loop()
    still, _ = instability.kicked(subject, base, 0.0)
    np.testing.assert_array_equal(instability.recovery(still, CONFIG.control_dt), 0.0)
    away, _ = instability.kicked(subject, base, instability.KICK)
    assert np.all(instability.recovery(away, CONFIG.control_dt) > 0)


def test_stiff_gains_bear_less_delay_than_soft_ones():
    subject, _ = loop()
    plants = [replace(Scenario(), latency=delay) for delay in (0, 1, 2, 3)]

    def margin(stiffer):
        params = jax.tree.map(lambda x: x + np.log(stiffer), subject.loop.params)
        diverged = []
        for plant in plants:
            task = subject.task(subject.motions["test"], [plant] * CONFIG.episodes)
            diverged.append(np.sum(~subject.loop.run(task, params=params).alive))
        return instability.delay_margin(np.array(diverged))

    assert margin(30.0) < margin(0.3)


def test_longer_links_reach_further_and_inertia_scales():
    q = np.zeros((1, 3))
    nominal, long = (forward_kinematics(arm, q)[0, :3, 3] for arm in (ARM, with_links(ARM, 1.01)))
    np.testing.assert_allclose(long, 1.01 * nominal, rtol=1e-5)
    assert scaled_inertia(Scenario(inertia_scale=(1.0, 0.5, 2.0)), 2.0).inertia_scale == (2.0, 1.0, 4.0)
    assert scaled_inertia(Scenario(), 0.8).inertia_scale == pytest.approx(0.8)


def test_parts_are_switched_off_by_their_parameters():
    tracker = controllers.make("tracker", ARM)
    q, qd = np.full((2, 3), 0.3, np.float32), np.full((2, 3), 0.1, np.float32)
    whole = nnx.merge(nnx.graphdef(tracker), opacity.without_torques(tracker), nnx.state(tracker, nnx.Not(nnx.Param)))
    assert np.any(tracker.learned(q, qd))
    assert not np.any(whole.learned(q, qd))
    blind = nnx.merge(nnx.graphdef(tracker), opacity.without_bank(tracker), nnx.state(tracker, nnx.Not(nnx.Param)))
    start = tracker.posterior(np.zeros(7))
    np.testing.assert_allclose(blind.posterior(-50.0 * np.arange(7)), start, atol=1e-6)
