"""Statistics on distributions whose answer is known."""

import numpy as np
import pytest

from armctl.bench import stats


def test_iqm_is_the_mean_of_the_middle_half():
    assert stats.iqm(np.array([1.0, 2, 3, 4, 5, 6, 7, 1e9])) == pytest.approx(4.5)
    assert stats.iqm(np.arange(101.0)) == pytest.approx(50)
    assert stats.iqm(np.array([3.0])) == 3
    assert stats.iqm(np.array([[5.0, 1, 3], [0, 0, 0]])) == pytest.approx([3, 0])
    assert np.isnan(stats.iqm(np.array([])))


def test_iqm_counts_border_values_fractionally():
    values = np.array([0.0, 1, 2, 10, 100])
    assert stats.iqm(values) == pytest.approx(stats.iqm(np.repeat(values, 4)))


def test_cvar_is_the_mean_of_the_worst_tenth():
    assert stats.cvar(np.arange(1.0, 101)) == pytest.approx(95.5)
    assert stats.cvar(np.array([2.0, 7.0])) == 7


def test_bootstrap_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(300):
        found = stats.interval(rng.normal(5, 1, 60), samples=400, seed=trial)
        hits += found["low"] <= 5 <= found["high"]
    assert 0.88 <= hits / 300 <= 0.99


def test_stratified_resampling_never_crosses_strata():
    strata = np.array(["a"] * 5 + ["b"] * 7)
    index = stats.resample(strata, 50)
    assert (strata[index] == strata).all()
    values = np.where(strata == "a", 1.0, 100.0)
    found = stats.interval(values, strata)
    assert found["low"] == found["high"] == found["iqm"]


def test_interval_is_seeded_and_leaves_out_what_is_not_finite():
    values = np.random.default_rng(0).normal(size=30)
    assert stats.interval(values) == stats.interval(values)
    assert stats.interval(np.append(values, np.nan)) == stats.interval(values)
    assert stats.interval(np.array([np.nan]))["count"] == 0


def test_profile_is_the_distribution_function():
    values = np.arange(1.0, 11)
    assert stats.performance_profile(values, np.array([0.5, 5, 10])) == pytest.approx([0, 0.5, 1])
    low, high = stats.profile_band(values, np.array([0.5, 5, 10]))
    assert low[0] == high[0] == 0
    assert low[1] < 0.5 < high[1]
    assert low[2] == high[2] == 1


def test_comparisons_of_paired_values():
    rng = np.random.default_rng(2)
    difficulty = rng.lognormal(2, 1, 200)
    better, worse = difficulty, difficulty + 1 + rng.normal(0, 0.1, 200)
    assert stats.probability_of_improvement(better, worse)["probability"] == 1
    assert stats.probability_of_improvement(better, better)["probability"] == 0.5
    difference = stats.paired_difference(better, worse)
    assert difference["iqm"] == pytest.approx(-1, abs=0.03)
    assert difference["low"] <= difference["iqm"] <= difference["high"] < 0
