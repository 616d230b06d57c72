"""The corpus keeps its promises: limits, timing, splits by context, reversals with their parent, determinism."""

import numpy as np
import pytest

from armctl.errors import UsageError
from armctl.motion import corpus as corpora
from armctl.motion import spline
from armctl.motion.certificate import Checker
from armctl.motion.files import save_reference
from armctl.motion.sampling import path_timing
from armctl.urdf import load_chain


@pytest.fixture(scope="module")
def panda():
    return load_chain("panda")


@pytest.fixture(scope="module")
def corpus(panda):
    return corpora.build_corpus(panda, 90, seed=3)


def test_every_member_keeps_the_position_limits(panda, corpus):
    assert len(corpus) == 90
    assert (corpus.control_points > panda.lower).all()
    assert (corpus.control_points < panda.upper).all()


def test_timing_is_the_closed_form(panda, corpus):
    t_min, binding = path_timing(panda, corpus.control_points)
    np.testing.assert_allclose(corpus.t_min, t_min, rtol=1e-6)
    assert (corpus.binding == binding).mean() > 0.95
    assert corpus.eta.min() >= 0.3
    assert corpus.eta.max() <= 1.0


def test_every_family_is_there_and_its_residual_rebuilds_the_path(corpus):
    assert set(corpus.family) == set(range(len(corpus.families)))
    straight = spline.straight_inner(corpus.start, corpus.goal)
    rebuilt = spline.control_points(corpus.start, corpus.goal, straight + corpus.residual)
    np.testing.assert_allclose(rebuilt, corpus.control_points, atol=1e-12)


def test_splits_are_disjoint_by_context_and_reversals_stay_with_their_parent(corpus):
    contexts = [set(corpus.subset(split).context) for split in corpora.SPLITS]
    assert all(contexts)
    assert sum(map(len, contexts)) == len(set(corpus.context))
    twins = [np.flatnonzero(corpus.context == c) for c in corpus.context]
    pairs = [rows for rows in twins if len(rows) == 2]
    assert pairs
    for a, b in pairs:
        np.testing.assert_array_equal(corpus.control_points[a], corpus.control_points[b, ::-1])


def test_reversing_a_motion_does_not_change_its_shortest_duration(panda, corpus):
    back, _ = path_timing(panda, corpus.control_points[:20, ::-1])
    np.testing.assert_allclose(back, corpus.t_min[:20], rtol=1e-6)


def test_the_seed_decides(panda, corpus):
    told = []
    again = corpora.build_corpus(panda, 90, seed=3, progress=told.append)
    assert told == sorted(told)
    assert told[0] < told[-1] == 90
    np.testing.assert_array_equal(again.control_points, corpus.control_points)
    np.testing.assert_array_equal(again.split, corpus.split)
    assert not np.array_equal(corpora.build_corpus(panda, 90, seed=4).control_points, corpus.control_points)


def test_members_are_certified(panda, corpus):
    with Checker(panda) as checker:
        found = [checker.certify(r) for r in corpora.references(corpus, panda, "test", limit=8)]
    assert all(c.valid for c in found), [c.broken for c in found]


def test_wrong_requests_are_named(panda, corpus):
    with pytest.raises(UsageError, match="Unknown split 'all'"):
        corpus.subset("all")
    with pytest.raises(UsageError, match="waltz"):
        corpora.build_corpus(panda, 10, families=("waltz",))


def test_demonstrations_come_back_as_paths(panda, corpus, tmp_path):
    demos = corpora.references(corpus, panda, "train", limit=6)
    for demo in demos:
        save_reference(demo, tmp_path / f"{demo.name}.npz")
    imported = corpora.import_demonstrations(tmp_path, panda)
    assert imported.families == ("demonstration",)
    for demo, path, eta in zip(sorted(demos, key=lambda d: d.name), imported.control_points, imported.eta, strict=True):
        np.testing.assert_allclose(spline.evaluate(path, len(demo.q), derivatives=0)[0], demo.q, atol=1e-6)
        assert eta == pytest.approx(demo.meta["eta"], rel=0.05)


@pytest.mark.parametrize("count", [1, 2])
def test_a_folder_of_one_or_two_demonstrations_is_enough_to_learn_from(panda, corpus, tmp_path, count):
    for demo in corpora.references(corpus, panda, "train", limit=count):
        save_reference(demo, tmp_path / f"{demo.name}.npz")
    imported = corpora.import_demonstrations(tmp_path, panda)
    assert len(imported) == count == len(imported.subset("train"))
