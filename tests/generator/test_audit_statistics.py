"""Every audit statistic on distributions whose answer is known: the same, shifted, copied and collapsed."""

import numpy as np
import pytest

from armctl.generator.audit.classifier import c2st
from armctl.generator.audit.copying import copying
from armctl.generator.audit.diversity import density_coverage, time_averaged_kernel, typical_width, vendi
from armctl.generator.audit.two_sample import energy_distance, mmd
from armctl.generator.ranks import mann_whitney_z, ranks, spearman

N, S, JOINTS = 120, 8, 3
MIX = np.random.default_rng(7).normal(size=(6, S * JOINTS))


def draw(seed, count=N, shift=0.0):
    """A population of low intrinsic dimension, as trajectories are."""
    return (np.random.default_rng(seed).normal(size=(count, 6)) + shift) @ MIX


def collapsed(seed, count=N):
    return draw(seed, 1) + 0.05 * np.random.default_rng(seed).normal(size=(count, S * JOINTS))


def test_classifier_is_at_chance_on_one_distribution_and_sure_on_two():
    same, error = c2st(draw(0), draw(1))
    assert abs(same - 0.5) < 5 * error
    shifted, _ = c2st(draw(0), draw(1, shift=1.5))
    assert shifted > 0.9


@pytest.mark.parametrize("test", [mmd, energy_distance])
def test_permutation_p_is_uniform_under_the_null_and_small_under_a_shift(test):
    p = [test(draw(2 * i, 40), draw(2 * i + 1, 40), permutations=99, seed=i)[1] for i in range(60)]
    # Kolmogorov-Smirnov against the uniform law; 0.21 is its 1 % point for 60 draws.
    assert np.abs(np.sort(p) - (np.arange(60) + 0.5) / 60).max() < 0.21
    statistic, p_shift = test(draw(0), draw(1, shift=1.0))
    assert p_shift < 0.01
    assert statistic > 0


def test_a_copied_set_is_caught_by_the_nearest_neighbours():
    train, held_out = draw(0, 300), draw(1)
    ratio, z = copying(train, held_out, draw(2))
    assert abs(z) < 3
    assert 0.8 < ratio < 1.25
    ratio, z = copying(train, held_out, train[:N] + 1e-3)
    assert z < -5
    assert ratio < 0.1


def test_mode_collapse_lowers_coverage_and_vendi():
    held_out, width = draw(0), typical_width(draw(0).reshape(N, S, JOINTS))
    _, coverage = density_coverage(held_out, draw(1))
    _, coverage_collapsed = density_coverage(held_out, collapsed(2))
    assert coverage > 0.85
    assert coverage_collapsed < 0.2
    diverse, same = (vendi(x.reshape(N, S, JOINTS), width) for x in (draw(1), collapsed(2)))
    assert same < 1.2 < diverse


def test_vendi_counts_distinct_paths():
    paths = np.repeat(100.0 * np.arange(4)[:, None, None], 5, 0) + np.zeros((20, S, JOINTS))
    assert np.isclose(vendi(paths, width=1.0), 4.0)
    assert np.allclose(np.diag(time_averaged_kernel(paths)), 1.0)


def test_ranks_share_ties_and_rank_statistics_follow():
    assert np.array_equal(ranks([3.0, 1.0, 1.0, 2.0]), [4.0, 1.5, 1.5, 3.0])
    x = np.random.default_rng(0).normal(size=50)
    assert np.isclose(spearman(x, np.exp(x)), 1.0)
    assert np.isclose(spearman(x, -x), -1.0)
    assert spearman(x, np.ones(50)) == 0.0
    assert np.isclose(mann_whitney_z(x, x), 0.0)
    assert mann_whitney_z(x - 10, x) < -5
