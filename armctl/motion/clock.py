"""The clock of recorded samples: in which unit its stamps are, and whether they or an even beat tell the time."""

import numpy as np

from armctl.errors import UsageError
from armctl.motion.smoothing import FEWEST, noise

LONGEST = 3600.0  # s; a longer reference is a mistaken unit, or more than fits into memory at the control rate
NAMES = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}
EPOCHS = {1e-9: 1e17, 1e-6: 1e14, 1e-3: 1e11}  # stamps since 1970 are at least so large in these units
SLOWEST = 2e-3  # share of its velocity limits below which an arm hardly moves: the unit is smaller then
FASTEST = 1.0  # share of them beyond which seconds are believed of a slow motion rather than a smaller unit
SPARSE = 1.0, 20.0  # s between samples, and in all; where times as seconds are shorter they are seconds
SHORTEST = 1.0  # s; a motion that would be shorter in a smaller unit is a slow one in seconds
REAL = 0.7  # an even beat is believed where it leaves less than so much of the noise that the stamps leave
UNEVEN = 1e-3  # of a step


def time_unit(first: float, offsets: np.ndarray, values: np.ndarray, limits: np.ndarray) -> tuple[float, str]:
    """The unit, s, of stamps whose column does not name it, and what is assumed with it, in words; empty if nothing.

    Stamps since 1970 have their size. Others are seconds, unless in seconds the arm would hardly move: then they are in
    the largest unit in which it does, no faster than it can and for a second at least, if there is one.
    first: the first stamp; offsets: (K,) from it; values: (K, m), with speed limits (m,) in units per second.
    """
    total = float(offsets[-1])
    for unit, least in EPOCHS.items():
        if abs(first) >= least:
            return unit, _taken_for(unit, total)
    if np.median(np.diff(offsets)) < SPARSE[0] or total < SPARSE[1]:
        return 1.0, ""
    stride = max(1, len(values) // 20)
    moved = np.abs(values[stride:] - values[:-stride]).max(initial=0.0, axis=0) / limits
    speed = float(np.max(moved) / np.median(offsets[stride:] - offsets[:-stride]))
    moves = [unit for unit in NAMES if speed / unit >= SLOWEST]
    if not moves or moves[0] == 1.0:
        return 1.0, ""
    unit = moves[0]
    if total * unit >= SHORTEST and (speed / unit <= FASTEST or total > LONGEST):
        return unit, _taken_for(unit, total)
    slow = f"its times are taken for seconds, {total:g} s in all, in which the arm hardly moves"
    return 1.0, f"{slow}; if not, name their unit, as in 't [ms]'"


def _taken_for(unit: float, total: float) -> str:
    return f"its times are taken for {NAMES[unit]}, {total * unit:g} s in all; if not, write 't [s]'"


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
