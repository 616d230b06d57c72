"""Settings: what is not a finite number is refused wherever there are any."""

from dataclasses import fields, replace

import numpy as np
import pytest

from armctl.bench.plan import BenchConfig
from armctl.controller_audit.config import ControllerAuditConfig
from armctl.demo import DemoConfig
from armctl.errors import UsageError
from armctl.generator import FlowConfig
from armctl.identify.fit import FitConfig
from armctl.learn.learner import TrainConfig
from armctl.learn.losses import Objective
from armctl.learn.tune import TuneConfig
from armctl.plant.servo import ServoConfig

SETTINGS = (
    BenchConfig(), ControllerAuditConfig(), DemoConfig(speed=0.5), FitConfig(), FlowConfig(), Objective(),
    ServoConfig(), TrainConfig(), TuneConfig(),
)  # fmt: skip
NUMBERS = [(one, f.name) for one in SETTINGS for f in fields(one) if isinstance(getattr(one, f.name), float)]


@pytest.mark.parametrize(("settings", "name"), NUMBERS, ids=lambda x: x if isinstance(x, str) else type(x).__name__)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(settings, name, value):
    with pytest.raises(UsageError, match=f"{name} is {value}; give a finite number"):
        replace(settings, **{name: value})
