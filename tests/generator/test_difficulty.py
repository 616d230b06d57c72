"""Laws of the difficulty critic."""

import numpy as np
import pytest

from armctl.errors import UsageError
from armctl.generator.difficulty import FEATURES, features, fit_critic
from armctl.motion.sampling import random_reference
from armctl.urdf import load_chain


def described(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, len(FEATURES)))


def test_the_critic_recovers_a_law_and_says_how_well():
    x = described(300)
    noise = np.random.default_rng(1).normal(size=300)
    law = 0.8 * x[:, 1] - 0.5 * x[:, 4] + 0.3 * x[:, 2] ** 2
    errors = np.exp(law + 0.2 * noise)
    critic = fit_critic(x, np.stack([errors, 2 * errors], axis=1))
    assert critic.rank_correlation > 0.85
    fresh = described(200, 5)
    truth = 0.8 * fresh[:, 1] - 0.5 * fresh[:, 4] + 0.3 * fresh[:, 2] ** 2 + np.log(2) / 2
    assert np.corrcoef(critic.predict(fresh), truth)[0, 1] > 0.9


def test_the_critic_admits_that_noise_cannot_be_predicted():
    errors = np.exp(np.random.default_rng(1).normal(size=200))
    assert abs(fit_critic(described(200), errors).rank_correlation) < 0.3


def test_a_faster_run_of_the_same_motion_is_described_as_harder():
    chain = load_chain("planar3")
    slow, fast = (random_reference(chain, np.random.default_rng(3), dt=0.01, eta=eta) for eta in (0.3, 0.9))
    gap = dict(zip(FEATURES, features(fast, chain) - features(slow, chain), strict=True))
    assert gap["peak joint speed / limit"] > 0
    assert gap["rms inertial torque / limit"] > 0
    assert gap["log duration"] == pytest.approx(np.log(0.3 / 0.9), abs=0.05)
    assert gap["log tip path length"] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fit_critic(described(5), np.ones(5)),
        lambda: fit_critic(described(20), np.zeros(20)),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(UsageError):
        call()
