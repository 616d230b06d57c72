"""Training over several devices is training over one: same draws, same losses, same parameters."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from armctl.errors import UsageError
from armctl.learn import devices
from tests.learn.runs import SMALL
from tests.quick import XLA_FLAGS

CHILD = """
import json, re
import jax, numpy as np
from armctl import controllers
from armctl.arm import load_arm
from armctl.controllers import saved
from armctl.learn import train as training, tune
from tests.learn.runs import CHAIN, CONFIG, SMALL, references

arm = load_arm("planar3")
task = tune.make_task(CHAIN, references(), CONFIG)
setting = tune.training_setting(arm, "torque", CONFIG)

def train(devices):
    controller, rows = controllers.make("computed_torque", arm), []
    note = lambda _, row: rows.append(row)
    learner = training.train(controller, setting, task, SMALL, on_chunk=note, devices=devices)
    shards = {(shard.device.id, shard.data.shape[0]) for x in jax.tree.leaves(learner.episodes)
              for shard in x.addressable_shards}
    return {
        "losses": [row["loss"] for row in rows],
        "parameters": {name: value.tolist() for name, value in saved.parameters(controller).items()},
        "episodes": [np.asarray(x).tolist() for x in (learner.episodes.plant, learner.episodes.step)],
        "held": sorted(shards),
        "whole": all(x.is_fully_replicated for x in jax.tree.leaves((learner.params, learner.optimiser))),
    }

make_update, texts = training.make_update, []

def recorded(*arguments):
    # the same update, which also keeps its machine program in words
    update, compiled = make_update(*arguments), []

    def call(learner, task):
        if not compiled:
            compiled.append(update.lower(learner, task).compile())
            texts.append(compiled[0].as_text())
        return compiled[0](learner, task)

    return call

training.make_update = recorded
result = {"one": train(jax.devices()[:1]), "all": train(None), "count": len(jax.devices())}
result["sums"] = [line for line in texts[1].splitlines() if " all-reduce(" in line]
result["exchanges"] = len(re.findall(r" (all-gather|all-to-all|collective-permute)\\(", texts[1]))
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def trained():
    """One run on one of eight devices and one on all of them, in a process of their own."""
    flags = f"--xla_force_host_platform_device_count=8 {XLA_FLAGS}"
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_eight_devices_train_as_one(trained):
    """To float32 rounding: the sums over episodes are taken in another order."""
    one, all_ = trained["one"], trained["all"]
    assert trained["count"] == 8
    np.testing.assert_allclose(all_["losses"], one["losses"], rtol=1e-5)
    for name, value in one["parameters"].items():
        np.testing.assert_allclose(all_["parameters"][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_draws_do_not_depend_on_the_number_of_devices(trained):
    assert trained["all"]["episodes"] == trained["one"]["episodes"]


@pytest.mark.slow
def test_every_device_holds_its_share_of_the_episodes_and_all_parameters(trained):
    assert trained["all"]["held"] == [[device, SMALL.batch // 8] for device in range(8)]
    assert trained["all"]["whole"]
    assert trained["one"]["held"] == [[0, SMALL.batch]]


@pytest.mark.slow
def test_devices_add_up_once_per_update_and_not_in_every_step_of_the_backward_pass(trained):
    assert any("shard_map/psum" in line for line in trained["sums"])
    assert not any("transpose(" in line for line in trained["sums"])
    assert trained["exchanges"] == 0


def test_a_batch_that_the_devices_do_not_divide_is_refused():
    with pytest.raises(UsageError, match=r"batch is 100, which 8 devices .* such as 104"):
        devices.shardings(100, [None] * 8)
