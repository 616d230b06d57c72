"""Actions in [-1, 1] and the commands they stand for, stated once for plant and twin."""

from math import isfinite
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.servo import TWIST_LIMIT, ServoConfig


def action_scale(chain: Chain, config: ServoConfig) -> np.ndarray:
    """Physical value of a full action: N m, rad/s, rad of target change, or m/s and rad/s of the tip; (n,) or (6,)."""
    return {
        "torque": chain.effort,
        "velocity": chain.velocity,
        "position": chain.velocity * config.control_dt,
        "ee_twist": np.array(TWIST_LIMIT),
    }[config.control]


def check_action(action: Any, size: int, control: str) -> list[float]:
    """The action's numbers, clipped to [-1, 1]. Raises UsageError for another shape than (size,), NaN or infinity."""
    if not (type(action) is np.ndarray and action.dtype.char in "fd"):  # what agents send needs no copy
        try:
            action = np.asarray(action, dtype=float)
        except (TypeError, ValueError):
            raise UsageError(f"The action is a {type(action).__name__}; give {size} numbers in [-1, 1].") from None
    if action.shape != (size,):
        raise UsageError(f"The action has shape {action.shape}; control={control!r} takes {size} numbers, ({size},).")
    values = action.tolist()
    if not isfinite(sum(values)) and not all(map(isfinite, values)):
        bad = list(map(isfinite, values)).index(False)
        raise UsageError(f"Entry {bad} of the action is {values[bad]}; give finite numbers in [-1, 1].")
    return [-1.0 if x < -1.0 else 1.0 if x > 1.0 else x for x in values]


def check_actions(actions: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Actions of many arms as float32 (arms, m). Raises UsageError for another shape, NaN or infinity."""
    try:
        actions = np.asarray(actions, dtype=np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"The actions are a {type(actions).__name__}; give numbers in [-1, 1], {shape}.") from None
    if actions.shape != shape:
        raise UsageError(f"The actions have shape {actions.shape}; give {shape}.")
    if not (isfinite(actions.sum()) or np.isfinite(actions).all()):
        arm = int(np.flatnonzero(~np.isfinite(actions).all(axis=-1))[0])
        raise UsageError(f"The action of arm {arm} is not finite; give numbers in [-1, 1].")
    return actions
