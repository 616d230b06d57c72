"""The classical rivals with their default gains follow a motion of the nominal arm in PyBullet."""

import numpy as np
import pytest

from armctl.arm import load_arm
from armctl.bench.batch import horizon, make_policy, run_batch
from armctl.bench.plan import BenchConfig, make_tasks
from armctl.controllers import make
from armctl.motion.sampling import random_reference
from armctl.urdf import load_chain


@pytest.mark.parametrize("robot", ["panda", "ur5e"])
@pytest.mark.parametrize(
    "name", ["impedance", "extended_state_observer", "mppi", "joint_servo", "computed_torque_integral"]
)
def test_a_short_bench_runs_without_failure(name, robot):
    config, chain = BenchConfig(robot=robot, batch=1, hold=0.0), load_chain(robot)
    reference = random_reference(chain, np.random.default_rng(1), dt=0.01, eta=0.6)
    tasks = make_tasks(config, chain, {"one": [reference]}, ["nominal"])
    controller = make(name, load_arm(robot))
    (episode,) = run_batch(config, chain, controller, make_policy(controller), tasks, horizon(config, tasks))
    assert not episode.failure
    error = np.linalg.norm(episode.pose[:, :3] - episode.reference[:, :3], axis=-1)
    assert error.max() < 5e-3
