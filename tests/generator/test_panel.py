"""Laws of difficulty: a percentile of what a frozen panel of controllers finds hard, and the speed that has it."""

import numpy as np
import pytest

from armctl.errors import UsageError
from armctl.generator import panel
from armctl.generator.difficulty import described, features, shape_of_paths
from armctl.generator.panel import learn_dial
from armctl.generator.ranks import spearman
from armctl.motion.corpus import build_corpus, references
from armctl.urdf import load_chain


@pytest.fixture(scope="module")
def chain():
    return load_chain("planar3")


@pytest.fixture(scope="module")
def corpus(chain):
    return build_corpus(chain, 120, 3)


@pytest.fixture(scope="module")
def dial(corpus, chain):
    """Of controllers that lag by a time of their own; what real ones do is the law of tests/learn/test_tracking.py."""

    def lagging(controller, chain, motions, scenarios):
        lags = [(0.01 + 0.01 * scenario.payload_mass) * len(controller.name) for scenario in scenarios]
        return np.array([[lag * np.sqrt(np.mean(one.twist[:, :3] ** 2)) + 1e-4 for lag in lags] for one in motions])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "tracking_rms", lagging)
        return learn_dial(corpus, chain, "payload", ["computed_torque", "diff_ik"], judged=60, plants=2)


def test_paths_and_their_references_are_described_alike(chain, corpus):
    of_paths = described(corpus.subset("val"), chain)
    of_references = np.stack([features(motion, chain) for motion in references(corpus, chain, "val", 0.002)])
    np.testing.assert_allclose(of_paths, of_references, rtol=0.02, atol=0.06)


def test_difficulty_is_the_share_of_the_corpus_that_is_easier(dial, corpus, chain):
    found = dial.percentile(described(corpus, chain))
    np.testing.assert_allclose(np.sort(found), np.linspace(0, 1, len(corpus)), atol=1e-9)
    assert dial.critic.rank_correlation > 0.5


def test_a_speed_is_found_that_makes_a_path_as_difficult_as_asked(dial, corpus, chain):
    shape = shape_of_paths(chain, corpus.control_points)
    for asked in (0.3, 0.7):
        eta, reached = dial.speeds(shape, corpus.t_min, asked, near=np.full(len(corpus), 0.6))
        np.testing.assert_allclose(reached, dial.percentile(shape.features(corpus.t_min / eta)))
        assert np.mean(np.abs(reached - asked) < 0.05) > 0.5
    assert spearman(eta, np.linspace(0, 1, len(eta))) < 0.5  # it is no one speed


def test_too_small_a_corpus_is_refused(chain, corpus):
    with pytest.raises(UsageError, match="too few to learn what is difficult"):
        learn_dial(corpus.take(np.arange(9)), chain)
