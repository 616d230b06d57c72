"""References of different lengths stacked into arrays, and the preview windows that controllers see."""

from typing import Any, NamedTuple

import numpy as np

from armctl.geometry import quat_to_matrix
from armctl.motion.reference import Reference
from armctl.plant.observe import Window

Array = Any


class ReferenceBank(NamedTuple):
    """N references padded to T samples by holding their last pose at rest."""

    samples: Window  # fields (N, T, ...)
    length: Array  # (N,) samples before padding


def stack_references(references: list[Reference], samples: int | None = None) -> ReferenceBank:
    """Stack references of one arm and one sampling time.

    references: of T_i samples each; samples: padded length, the longest of them when None.
    """
    length = np.array([len(r.q) for r in references])
    T = samples or int(length.max())
    moving = {"qd", "qdd", "twist", "accel"}
    fields = {}
    for name in ("q", "qd", "qdd", "pose", "twist", "accel"):
        fields[name] = np.stack([_pad(getattr(r, name), T, hold=name not in moving) for r in references])
    pose = fields.pop("pose")
    window = Window(p=pose[..., :3], R=quat_to_matrix(pose[..., 3:]), **fields)
    return ReferenceBank(window, np.minimum(length, T))


def _pad(x: np.ndarray, T: int, hold: bool) -> np.ndarray:
    if len(x) >= T:
        return x[:T]
    tail = np.repeat(x[-1:], T - len(x), axis=0)
    return np.concatenate([x, tail if hold else np.zeros_like(tail)])


def windows(bank: ReferenceBank, index: Array, step: Array, preview: int) -> Window:
    """Preview windows of a batch. index: (B,) reference, step: (B,) control step -> Window of (B, preview+1, ...)."""
    T = bank.samples.q.shape[1]
    xp = bank.samples.q.__array_namespace__()
    rows = xp.clip(step[:, None] + xp.arange(preview + 1), 0, T - 1)
    return Window(*(x[index[:, None], rows] for x in bank.samples))
