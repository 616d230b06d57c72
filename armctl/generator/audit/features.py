"""What the audit compares: joint paths at common phases, in units of each joint's half range, and their durations."""

from collections.abc import Sequence

import numpy as np

from armctl.chain import Chain
from armctl.generator.paths import joint_range
from armctl.motion.reference import Reference

PHASES = 16


def paths(references: Sequence[Reference], chain: Chain) -> np.ndarray:
    """Normalised joint positions (N, PHASES, n) of references at equally spaced phases."""
    middle, half, _ = joint_range(chain)
    phase = np.linspace(0, 1, PHASES)
    out = np.empty((len(references), PHASES, chain.n))
    for path, reference in zip(out, references, strict=True):
        own = np.linspace(0, 1, len(reference.q))
        for joint in range(chain.n):
            path[:, joint] = np.interp(phase, own, reference.q[:, joint])
    return (out - middle) / half


def vectors(references: Sequence[Reference], chain: Chain) -> np.ndarray:
    """Rows (N, PHASES * n + 1) for two-sample tests: the flattened path and the log of its duration in s."""
    flat = paths(references, chain).reshape(len(references), -1)
    durations = np.array([[np.log(max(reference.duration, 1e-3))] for reference in references])
    return np.concatenate([flat, durations], axis=1)
