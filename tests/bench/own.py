"""Controllers from outside and a short bench for their tests."""

import armctl
from armctl.bench.plan import BenchConfig
from armctl.plant.scenario import Scenario
from tests.bench.arms import reach

CONFIG = BenchConfig(robot="planar3", batch=2, hold=0.1)
SUITES = {"short": [reach("near", 0.2, 31), reach("far", 0.4, 41)]}
SCENARIOS = {"nominal": Scenario(), "late": Scenario(latency=1, velocity_noise=1e-3)}


class Constant:
    """The same command for ever."""

    def __init__(self, command, control="torque", environment=None):
        self.command, self.control, self.environment = command, control, environment

    def act(self, observation):
        return self.command


def bench(controllers, out, scenarios=SCENARIOS, config=CONFIG, suites=SUITES, **options):
    return armctl.run_bench(controllers, suites, scenarios, out, config=config, progress=False, **options)
