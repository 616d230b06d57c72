"""The ISO 9283 pose test: five poses in the inclined plane of a cube, visited over and over, standing still at each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.motion import sampling, spline

DWELL = 0.5  # s spent standing still at each pose
CYCLES = 3  # visits of each pose, for repeatability


def pose_cycle(
    chain: Chain, s: np.ndarray, q: np.ndarray, dt: float, choose: Callable[[float], float]
) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    """Motion (q, qd, qdd), each (K, n), of the pose test and its meta data: t_min, eta, binding, dwells.

    s, q: the path (M,), (M, n) rad through P1, P5, P4, P3, P2, P1 at s = 0, 0.2, ... 1. dt: s.
    choose: maps the shortest duration, s, to the wanted one. Moves are point to point in joints, so that every visit
    asks for exactly the same posture.
    """
    marks = q[np.round(np.linspace(0, 1, 6) * (len(s) - 1)).astype(int)]
    marks[-1] = marks[0]
    legs = spline.control_points(marks[:-1], marks[1:], spline.straight_inner(marks[:-1], marks[1:]))
    t_min, binding = sampling.path_timing(chain, legs)
    still = DWELL * 5 * CYCLES
    shortest = CYCLES * float(t_min.sum())
    eta = shortest / (choose(shortest + still) - still)
    parts: list[list[np.ndarray]] = []
    hold, dwells, time = round(DWELL / dt), [], 0.0
    for k in range(5 * CYCLES):
        move = sampling.time_samples(legs[k % 5], t_min[k % 5] / eta, dt)
        stand = (np.repeat(move[0][-1:], hold, axis=0), np.zeros((hold, chain.n)), np.zeros((hold, chain.n)))
        parts.append([np.concatenate([m[bool(parts) :], h]) for m, h in zip(move, stand, strict=True)])
        time += (len(move[0]) - 1) * dt
        dwells.append([5 - k % 5, time, time + hold * dt])
        time += hold * dt
    motion = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    binds = spline.CONSTRAINTS[int(binding[np.argmax(t_min)])]
    return motion, {"eta": eta, "t_min": shortest + still, "binding": binds, "dwells": dwells}
