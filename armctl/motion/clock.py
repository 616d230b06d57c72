"""The clock of recorded samples: in which unit its stamps are, and whether they or an even beat tell the time."""

import numpy as np

from armctl.errors import UsageError
from armctl.motion.smoothing import FEWEST, noise

LONGEST = 3600.0  # s; a longer reference is a mistaken unit, or more than fits into memory at the control rate
NAMES = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}
EPOCHS = {1e-9: 1e17, 1e-6: 1e14, 1e-3: 1e11}  # stamps since 1970 are at least so large in these units
SLOWEST = 2e-3  # share of its velocity limits below which an arm hardly moves: the unit is smaller then
SPARSE = 1.0, 20.0  # s between samples, and in all; where times as seconds are shorter they are seconds
REAL = 0.7  # an even beat is believed where it leaves less than so much of the noise that the stamps leave
UNEVEN = 1e-3  # of a step


def time_unit(first: float, offsets: np.ndarray, values: np.ndarray, limits: np.ndarray) -> float:
    """The unit, s, of stamps whose column does not name it: by their size, else the largest in which the arm moves.

    first: the first stamp; offsets: (K,) from it; values: (K, m), with speed limits (m,) in units per second.
    """
    for unit, least in EPOCHS.items():
        if abs(first) >= least:
            return unit
    if np.median(np.diff(offsets)) < SPARSE[0] or offsets[-1] < SPARSE[1]:
        return 1.0
    stride = max(1, len(values) // 20)
    moved = np.abs(values[stride:] - values[:-stride]).max(initial=0.0, axis=0) / limits
    speed = float(np.max(moved) / np.median(offsets[stride:] - offsets[:-stride]))
    return next((unit for unit in NAMES if speed / unit >= SLOWEST), 1.0)


def check_duration(seconds: float) -> None:
    """Raise UsageError, without the file's name, for a motion longer than can be meant."""
    if seconds > LONGEST:
        raise UsageError(
            f"lasts {seconds:.3g} s, more than {LONGEST:g} s; if its times are not seconds name their unit in the "
            "header, such as 't [ms]', else cut it into parts."
        )


def beat(times: np.ndarray, q: np.ndarray) -> np.ndarray | None:
    """Times (K,) of an even beat, where it fits uneven stamps and makes the motion smoother than they do, else None.

    Stamps are often taken when a sample arrives, or are rounded, while the samples themselves are taken evenly.
    times: (K,) s, not falling; q: (K, n) rad.
    """
    steps, index = np.diff(times), np.arange(len(times))
    if len(times) < FEWEST or np.ptp(steps) <= UNEVEN * steps.mean():
        return None
    step, start = np.polyfit(index, times, 1)
    even = start + step * index
    if np.abs(times - even).max() > max(step, steps[steps > 0].min()):
        return None
    if (steps > 0).all() and noise(even, q).max() >= REAL * noise(times, q).max():
        return None
    return even - even[0]
