"""The estimate: it finds what the log was made with, says how sure it is, and notices what it cannot know."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.identify import parameters, shooting
from armctl.identify.fit import FitConfig, identify
from armctl.plant.scenario import Scenario
from tests.identify.logs import CHAIN, LOADED, twin_log

GROUPS = ("payload", "friction")
NOISY = replace(LOADED, position_noise=1e-5, velocity_noise=1e-3)


@lru_cache
def found(scenario=LOADED, latency=0, iterations=30):
    """A fit to a log that does not say what made it."""
    return identify(
        CHAIN,
        [replace(twin_log(scenario), truth=None)],
        FitConfig(groups=GROUPS, latency=latency, iterations=iterations),
    )


def deviations(result, scenario):
    """Deviation from the truth, of everything but the payload's offset along the joint axes, and its std."""
    seen = [i for i, item in enumerate(result.items) if item.name != axis_of(result)]
    return (result.values - result.known(CHAIN, scenario))[seen], result.std[seen]


def axis_of(result):
    """The payload coordinate along the planar arm's axes, which no motion of it can tell."""
    axis = CHAIN.T_last_tip[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    return f"payload {'xyz'[int(np.argmax(np.abs(axis)))]}"


def test_noise_free_parameters_are_recovered():
    deviation, _ = deviations(found(), LOADED)
    assert np.abs(deviation).max() < 1e-6
    assert found().converged


def test_what_no_motion_shows_is_left_to_the_prior_and_said():
    result, name = found(), axis_of(found())
    index = [item.name for item in result.items].index(name)
    assert not result.told[index]
    assert [item.name for item, told in zip(result.items, result.told, strict=True) if not told] == [name]
    np.testing.assert_allclose(result.std[index], result.items[index].prior_std, rtol=1e-3)
    summary = result.summary(CHAIN)
    assert [set(direction) for direction in summary["weak_directions"]] == [{name}]
    assert any(name in warning for warning in summary["warnings"])


@pytest.mark.usefixtures("x64")
def test_sensitivities_are_finite_differences():
    log, rng = twin_log(), np.random.default_rng(0)
    items, arm = parameters.parameters(CHAIN, GROUPS), Arm.from_chain(CHAIN)
    windows = shooting.cut(CHAIN, [log], 25, 0)
    theta = parameters.vector(items, np.array([item.start for item in items])) + 0.02 * rng.normal(size=len(items))
    x0 = windows.x[:, 0] + 0.01 * rng.normal(size=windows.x[:, 0].shape)

    def predict(theta, x0):
        return np.asarray(shooting.predict(arm, log.config, items, theta, x0, windows.command))

    A, B = shooting.sensitivities(arm, log.config, items, theta, predict(theta, x0), windows.command)
    for _ in range(5):
        d_theta, d_x0, h = rng.normal(size=theta.shape), rng.normal(size=x0.shape), 1e-6
        moved = (predict(theta + h * d_theta, x0 + h * d_x0) - predict(theta - h * d_theta, x0 - h * d_x0)) / (2 * h)
        found = np.einsum("wlij,wj->wli", A, d_x0) + np.einsum("wlip,p->wli", B, d_theta)
        np.testing.assert_allclose(found, moved, atol=1e-6 * np.abs(moved).max())


def test_noise_is_found_and_deviations_are_within_what_is_stated():
    result = found(NOISY)
    np.testing.assert_allclose(result.noise[:3], NOISY.position_noise, rtol=0.25)
    np.testing.assert_allclose(result.noise[3:], NOISY.velocity_noise, rtol=0.25)
    deviation, std = deviations(result, NOISY)
    assert (np.abs(deviation) < 4 * std).all()
    assert np.abs(deviation[0]) < 0.01 * NOISY.payload_mass
    assert result.posterior.correlation_time.max() < 2


def test_a_log_in_two_parts_says_what_the_whole_says():
    log = replace(twin_log(NOISY), truth=None)
    parts = [
        replace(log, q=log.q[a:b], qd=log.qd[a:b], command=log.command[a : b - 1]) for a, b in ((0, 100), (100, 200))
    ]
    both = identify(CHAIN, parts, FitConfig(groups=GROUPS, latency=0))
    np.testing.assert_allclose(both.values, found(NOISY).values, rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("latency", [0, 2])
def test_the_delay_of_commands_is_found(latency):
    result = found(replace(NOISY, latency=latency), latency=None)
    assert result.latency == latency
    assert sorted(result.latency_costs) == [0, 1, 2, 3]
    assert min(result.latency_costs, key=result.latency_costs.get) == latency


def test_a_model_that_misses_something_widens_its_intervals_and_says_so():
    """Payload and friction fitted to an arm whose links are heavier: curvature alone would not cover that."""
    result = found(replace(NOISY, inertia_scale=(1.0, 1.1, 1.0)), iterations=5)
    assert result.posterior.correlation_time.max() > 3
    assert any("model misses something" in warning for warning in result.warnings())
    assert result.std[0] > 10 * found(NOISY).std[0]


def test_the_truth_in_a_log_changes_nothing():
    told = identify(CHAIN, [twin_log(NOISY)], FitConfig(groups=GROUPS, latency=0))
    np.testing.assert_array_equal(told.theta, found(NOISY).theta)


def test_an_unloaded_arm_is_not_given_a_payload():
    result = found(Scenario(position_noise=1e-5, velocity_noise=1e-3), iterations=5)
    assert result.values[0] < 3 * result.std[0] + 1e-6
    assert result.values[0] < 1e-3
    assert any("centre means nothing" in warning for warning in result.warnings())
    assert np.isnan(result.known(CHAIN, Scenario())[1:4]).all()


def test_the_identified_chain_is_the_true_plant():
    from armctl.plant.scenario import plant_params

    result = found()
    own, true = plant_params(result.chain(CHAIN), Scenario()), plant_params(CHAIN, LOADED)
    np.testing.assert_allclose(own.mass, true.mass, atol=1e-6)
    np.testing.assert_allclose(own.effects["viscous"], true.effects["viscous"], atol=1e-6)
    dry = [params.effects["dry_friction"].moving for params in (own, true)]
    np.testing.assert_allclose(*dry, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"window": 2}, "window is 2"),
        ({"latency": -1}, "latency is -1"),
        ({"iterations": 0}, "iterations is 0"),
        ({"groups": ("mass",)}, "'mass'"),
    ],
)
def test_wrong_settings_are_one_sentence(change, words):
    with pytest.raises(UsageError, match=words):
        identify(CHAIN, [twin_log()], FitConfig(**change))


def test_logs_of_two_kinds_are_refused():
    with pytest.raises(UsageError, match="differ in control mode"):
        identify(CHAIN, [twin_log(), replace(twin_log(), control="velocity")])
    with pytest.raises(UsageError, match="at least one"):
        identify(CHAIN, [])
