"""A small training run that tests, and the processes that they start, share; `python -m tests.learn.runs` is it.

One size for all, so that one compiled program, kept on disk, serves every test.
"""

import sys

import numpy as np

from armctl.learn import tune
from armctl.learn.learner import TrainConfig
from armctl.motion.sampling import random_reference
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
SMALL = TrainConfig(updates=12, batch=8, horizon=10, chunk=6, gain_rate=0.2, validation=0)
CONFIG = tune.TuneConfig("planar3", "computed_torque", "payload", plants=8, seconds=0.5, train=SMALL)


def references():
    """Six motions of the planar arm, always the same."""
    rng = np.random.default_rng(0)
    return [random_reference(CHAIN, rng, dt=0.01, duration=0.5) for _ in range(6)]


def main(out, coordinator, processes, process_id):
    """Resume a run as one of several processes and print the parameters that this one holds in the end."""
    from armctl.controllers import saved
    from armctl.learn import hosts

    hosts.connect(coordinator, int(processes), int(process_id), timeout=60)
    controller = tune.tune(CONFIG, references(), out, resume=True)
    for name, value in saved.parameters(controller).items():
        print(name, *np.ravel(value).tolist())


if __name__ == "__main__":
    main(*sys.argv[1:])
