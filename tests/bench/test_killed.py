"""A bench that is killed with -9 at random moments, again and again, ends as one that was not."""

import random
import time

import pytest

from experiments import killed

OPTIONS = killed.BENCH.replace("diff_ik,", "").split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A bench that was left alone, and how long it took, s."""
    out = tmp_path_factory.mktemp("whole") / "run"
    began = time.perf_counter()
    assert killed.bench(OPTIONS, out)
    return out, time.perf_counter() - began


@pytest.mark.slow
def test_killed_at_random_moments_it_resumes_to_the_same_summary(whole, tmp_path):
    """Begun in this process alone, gone on with by two workers."""
    out, lasted = whole
    for _ in range(2):
        killed.bench([*OPTIONS, "--jobs", "2"], tmp_path / "run", random.uniform(0.3, 0.9) * lasted)
    assert killed.bench(OPTIONS, tmp_path / "run")
    assert killed.result(tmp_path / "run") == killed.result(out)
