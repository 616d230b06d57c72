"""A resumed bench goes on with the same things, by value, and no other."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from armctl.bench import run
from armctl.bench.identity import identity
from tests.bench.own import CONFIG, Constant, bench


class Told(Constant):
    """Remembers in `reset` what it was told, and never forgets."""

    def __init__(self, weights=None, names=()):
        super().__init__(np.zeros(3))
        self.weights, self.names, self.inner = weights, names, Constant(0.0)

    def reset(self, info):
        self.heard = [*getattr(self, "heard", []), info["seed"]]


def test_an_interrupted_bench_goes_on_with_a_controller_that_remembers(tmp_path, monkeypatch):
    told, record, calls = Told(), run._record, []

    def interrupt(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(arguments)
        record(*arguments)

    config = replace(CONFIG, batch=1)
    monkeypatch.setattr(run, "_record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench({"told": told}, tmp_path / "run", config=config)
    monkeypatch.setattr(run, "_record", record)
    bench({"told": told}, tmp_path / "run", config=config, resume=True)
    assert not hasattr(told, "heard")  # what one gives is left as it was


def _times(gain):
    return lambda x: gain * x


def test_identity_is_by_value_and_the_same_in_every_process():
    weights = np.zeros((60, 60))
    other = weights.copy()
    other[30, 30] = 1e-9
    assert identity(Told(weights)) == identity(Told(weights.copy())) != identity(Told(other))
    changed = Told(weights)
    changed.inner.command = 1.0
    assert identity(changed) != identity(Told(weights))
    assert identity(lambda x: x + 1) != identity(lambda x: x + 2)
    closed = [_times(gain) for gain in (1, 2)]
    given = [lambda x, k=k: k * x for k in (1, 2)]
    for one, two in (closed, given, (partial(max, 1), partial(max, 2)), (lambda: abs.real, lambda: abs.imag)):
        assert identity(one) != identity(two)
    loop = Told()
    loop.inner = loop
    identity(loop)
    code = "from armctl.bench.identity import identity; print(identity({'a': {'x', 'y', 'z'}, 'b': (1.0, None)}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
        ).stdout
        for seed in range(3)
    }
    assert len(found) == 1
    assert found != {""}
