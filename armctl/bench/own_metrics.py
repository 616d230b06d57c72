"""Metrics of the user's own, beside those that every bench has."""

from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np

from armctl.bench.metrics import Episode, episode_metrics
from armctl.bench.records import TEXT
from armctl.errors import UsageError, warn
from armctl.plant.scenario import Scenario

Metric = Callable[[Episode], float]
FACTS = ("draw", "seed", "slot", "eta", "duration_s", "preview")
"""Columns of `episodes.csv` that are neither text, nor of the plant, nor metrics."""


def check_metrics(metrics: Mapping[str, Metric]) -> None:
    """Raises UsageError for names that cannot be columns or are taken, and for what cannot be called."""
    none = np.zeros((0, 1))
    empty = Episode(1.0, 0, none, none, none, none, none, none, none, none, none, failure="none was run")
    taken = {*TEXT, *FACTS, *(field.name for field in fields(Scenario)), *episode_metrics(empty)}
    for name, metric in metrics.items():
        if not name.isidentifier():
            raise UsageError(f"'{name}' cannot name a metric; use letters, digits and _ only.")
        if name in taken:
            raise UsageError(f"The metric '{name}' has the name of a column that every bench has; give it another.")
        if not callable(metric):
            raise UsageError(f"The metric '{name}' is a {type(metric).__name__}; give a function of an Episode.")


def own_metrics(metrics: Mapping[str, Metric], episode: Episode) -> dict[str, float]:
    """The user's metrics of one episode; NaN, with a warning, where one raises an exception, and of failed episodes."""
    return {name: _value(name, metric, episode) for name, metric in metrics.items()}


def _value(name: str, metric: Metric, episode: Episode) -> float:
    if episode.failure:
        return float("nan")
    try:
        return float(metric(episode))
    except Exception as error:
        warn(f"The metric '{name}' raised {type(error).__name__}: {error}; it stays empty.")
        return float("nan")
