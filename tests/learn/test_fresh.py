"""Fresh references as training goes on: a window on one series, whatever was interrupted."""

from dataclasses import replace

import numpy as np
import pytest

from armctl.controllers import saved
from armctl.errors import UsageError
from armctl.learn import tune
from armctl.motion.sampling import random_reference
from tests.learn.runs import CHAIN, CONFIG

FRESH = replace(CONFIG, references=6, fresh=2)
CHUNK = FRESH.train.chunk


def block(number):
    """Two motions of the planar arm that its number decides."""
    rng = np.random.default_rng([7, number])
    return [random_reference(CHAIN, rng, dt=0.01, duration=0.5) for _ in range(2)], {"acceptance_rate": 0.5}


def motions(task):
    """The motions of a task, each as its bytes."""
    return [row.tobytes() for row in np.asarray(task.bank.samples.q)]


def test_the_pool_is_a_window_that_moves_along_the_series():
    pool = tune.make_pool(CHAIN, block, FRESH)
    series = [motions(pool(3 * CHUNK * k).task) for k in range(2)]  # blocks 0 to 2, then 3 to 5
    before = pool(0).task
    assert not pool(0).replaced.any()
    for chunk in range(1, 4):
        now = pool(CHUNK * chunk)
        kept = [a == b for a, b in zip(motions(before), motions(now.task), strict=True)]
        np.testing.assert_array_equal(kept, ~now.replaced)
        assert now.replaced.sum() == FRESH.fresh
        assert now.row["acceptance_rate"] == 0.5
        before = now.task
    assert set(motions(before)) == set(series[1])
    pool.close()


@pytest.mark.slow
def test_fresh_references_are_the_same_after_an_interruption(tmp_path):
    rows = []
    one = tune.tune(FRESH, block, tmp_path / "one", progress=rows.append)
    assert {"acceptance_rate", "proposal_seconds"} <= set(rows[0])

    def stop(row):
        if row["update"] == CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune.tune(FRESH, block, tmp_path / "cut", progress=stop)
    two = tune.tune(FRESH, block, tmp_path / "cut", resume=True)
    fixed = tune.tune(FRESH, lambda number: block(0), tmp_path / "fixed")
    same = saved.parameters(two), saved.parameters(fixed)
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, same[0][name])
    assert any((value != same[1][name]).any() for name, value in saved.parameters(one).items())
    with pytest.raises(UsageError, match="data="):
        tune.tune(FRESH, lambda number: block(number + 1), tmp_path / "cut", resume=True)


def test_fresh_references_are_validated_on_others(tmp_path):
    config = replace(FRESH, train=replace(FRESH.train, validation=4))
    with pytest.raises(UsageError, match="give others to validate on"):
        tune.tune(config, block, tmp_path / "run")
    assert not (tmp_path / "run").exists()
