"""Standard deviations that keep their word: stretched until two of them cover the truth as often as they should.

A Kalman filter's covariance is right where its model is. Friction that is no straight line, noise that is not white and
ripple that nobody modelled make it too sure; by how much, validation says.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.controllers.filter_bank import FilterBank
from armctl.learn.validation import Validation
from armctl.twin.episodes import Task

COVERED = 0.95
"""Share of the truth that two standard deviations cover."""


def calibrate(controller: FilterBank, validation: Validation) -> None:
    """Set by how much the controller's stated deviations exceed its filter's, from what it believes on validation."""
    episodes, _ = validation.windows(nnx.state(controller, nnx.Param))
    length, truths = np.asarray(validation.task.bank.length), truth(controller, validation.task)
    controller.filter.log_stretch[...] = jnp.zeros(len(truths))
    ratios: list[list[np.ndarray]] = [[] for _ in truths]
    for after in episodes[1:]:
        told = controller.estimates(after.carry)
        under_way = np.asarray(after.step) < length
        for group, (name, true) in zip(ratios, truths.items(), strict=True):
            off = np.abs(np.asarray(getattr(told, name)) - true) / np.asarray(getattr(told, f"{name}_deviation"))
            group.append(off[under_way].ravel())
    # never below what the filter itself says: where validation has no friction, any estimate of it is exact
    widths = np.array([max(1.0, np.quantile(np.concatenate(group), COVERED) / 2) for group in ratios])
    controller.filter.log_stretch[...] = jnp.asarray(np.log(widths), jnp.float32)


def truth(controller: FilterBank, task: Task) -> dict[str, Any]:
    """What there is to know of the plants of whole episodes, by the names of `Estimates`: (E,) kg and (E, n) each."""
    plants, count, n = task.plants, len(task.bank.length), controller.arm.n
    rubbing, still = plants.effects.get("dry_friction"), np.zeros((count, n))
    return {
        "payload_mass": np.asarray(plants.mass)[:, -1] - np.asarray(controller.arm.mass)[-1],
        "viscous": np.asarray(plants.effects.get("viscous", still)),
        "dry": still if rubbing is None else np.asarray(rubbing.moving),
    }
