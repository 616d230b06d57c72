"""References of different lengths stacked into arrays, and the preview windows that controllers see."""

from typing import NamedTuple

import numpy as np

from armctl.geometry import quat_to_matrix
from armctl.motion.reference import Reference
from armctl.plant.observe import Window
from armctl.typing import Array


class ReferenceBank(NamedTuple):
    """N references padded to T samples by holding their last pose at rest."""

    samples: Window  # fields (N, T, ...)
    pose: Array  # (N, T, 7) m + quaternion xyzw, sign-continuous: samples.p and samples.R in the form of observations
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
    return ReferenceBank(window, pose, np.minimum(length, T))


def still_goals(q: np.ndarray, pose: np.ndarray, samples: int) -> ReferenceBank:
    """References that are one pose each, held at rest for so many samples. q: (N, n) rad; pose: (N, 7) m + xyzw."""
    q, pose = q[:, None], pose[:, None]
    still = np.zeros((*q.shape[:2], 6))
    window = Window(q, 0 * q, 0 * q, pose[..., :3], quat_to_matrix(pose[..., 3:]), still, still)
    return ReferenceBank(window, pose, np.full(len(q), samples))


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
