"""What an episode looks like over time: errors, joints, torques, commands and estimates, as data for charts.js."""

import base64
from typing import Any

import numpy as np

from armctl.bench.metrics import orientation_error, position_error
from armctl.bench.records import Track
from armctl.bench.summary import Row
from armctl.chain import Chain
from armctl.plant.scenario import RANGES

POINTS = 400
"""Samples of a line at most, about one per pixel."""
LINES = 32
"""Entries of one estimate at most, so that whoever records an image does not fill the page."""
MISSING = 255
"""Stands for what is not a number."""
LEAST = 1e-4
"""Smallest error that is drawn, mm or deg; the axis is logarithmic."""
COMMANDS = {"torque": "N m", "velocity": "rad/s", "position": "rad", "ee_twist": "m/s, rad/s"}
"""Unit of the commands of every control mode."""
KNOWN = {
    "payload_mass": ("Payload", "kg"),
    "delay": ("Delay", "control steps"),
    "dry": ("Dry friction", "N m"),
    "viscous": ("Viscous friction", "N m s/rad"),
}
"""Title and unit of what the library's own controllers estimate."""
DEVIATION, PROBABILITY = "_deviation", "_probability"
"""How the names of estimates end that say how sure another one is, or how likely 0, 1, 2, ... are."""


def charts(chain: Chain, row: Row, track: Track, settle: float = 0.0) -> list[dict[str, Any]]:
    """The charts of one episode of one controller, errors first, each with `lines`.

    Estimates are marked `told` and have, where they are known, the `truth` and a `band` of two standard deviations.

    row: its line of `episodes.csv`, which knows the true plant. settle: time that the plant had run before, s.
    """
    errors = {
        "Position error": ("mm", position_error(track.pose, track.reference)),
        "Orientation error": ("deg", orientation_error(track.pose, track.reference)),
    }
    plain = {
        "Joint positions": ("rad", track.q),
        "Torques": ("N m", track.torque),
        "Commands": (COMMANDS.get(row.get("control", ""), ""), track.command),
    }
    logs = [
        _chart(name, unit, track.dt, np.log10(np.maximum(values, LEAST))) | {"log": True}
        for name, (unit, values) in errors.items()
    ]
    lines = [_chart(name, unit, track.dt, values) for name, (unit, values) in plain.items() if values.shape[-1]]
    return [*logs, *lines, *_estimates(chain, row, track, settle)]


def truth(chain: Chain, row: Row, name: str, time: np.ndarray) -> np.ndarray | None:
    """What an estimate should be at the plant's times (T,) s, as (T, ...); None where the scenario does not say it.

    Friction is the arm's own and what the scenario adds, dry friction that of motion.
    """
    own = {"viscous": chain.damping, "dry": chain.friction}.get(name, 0.0)
    field = {"dry": "coulomb", "delay": "latency"}.get(name, name)
    if field not in row or field not in RANGES:
        return None
    values = own + _numbers(row[field])
    then = row.get("payload_switch")
    late = time > float(then) if then and f"next_{field}" in row else np.zeros(len(time), bool)
    following = _numbers(row[f"next_{field}"]) if late.any() else values
    return np.where(late.reshape(-1, *[1] * np.ndim(values)), following, values)


def _estimates(chain: Chain, row: Row, track: Track, settle: float) -> list[dict[str, Any]]:
    """A chart of every estimate, with two standard deviations around one number where the controller says them."""
    time = settle + track.dt * np.arange(1, len(track.pose))
    names = {told: told.removesuffix(PROBABILITY) for told in track.estimates if not told.endswith(DEVIATION)}
    found = []
    for told in sorted(names, key=lambda told: [*KNOWN, names[told]].index(names[told])):
        name, values = names[told], track.estimates[told]
        if name != told and values.ndim == 2:
            values = values @ np.arange(values.shape[-1])
        title, unit = KNOWN.get(name, (name.replace("_", " ").capitalize(), ""))
        chart = _chart(title, unit, track.dt, values) | {"told": True}
        right, deviation = truth(chain, row, name, time), track.estimates.get(told + DEVIATION)
        if right is not None and right.size in (len(time), values.size):
            chart["truth"] = _lines(right, len(values))
        if deviation is not None and values.shape == deviation.shape == time.shape:
            chart["band"] = _lines(np.stack([values - 2 * deviation, values + 2 * deviation], axis=1), len(values))
        found.append(chart)
    return found


def _chart(title: str, unit: str, dt: float, values: np.ndarray) -> dict[str, Any]:
    every = _every(len(values))
    return {"title": title, "unit": unit, "dt": every * dt, "lines": _lines(values, len(values))}


def _lines(values: np.ndarray, samples: int) -> list[dict[str, Any]]:
    """Values (T, ...) as one line for each of their entries."""
    flat = np.asarray(values, float).reshape(samples, int(np.prod(np.shape(values)[1:])))
    return [packed(line) for line in flat[:: _every(samples), :LINES].T]


def _every(samples: int) -> int:
    return max(1, -(-samples // POINTS))


def packed(values: np.ndarray) -> dict[str, Any]:
    """Numbers (T,) as bytes in base64, each so many `unit`s above `low`, what is not finite as `MISSING`.

    254 steps are finer than a chart's pixels. Numbers that are all alike are packed as one and their `count`.
    """
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.zeros(1)
    low, unit = known.min(), (known.max() - known.min()) / (MISSING - 1)
    alike = len(values) > 1 and unit == 0 and finite.all()
    steps = np.where(finite, np.round((np.where(finite, values, low) - low) / (unit or 1.0)), MISSING).astype(np.uint8)
    data = base64.b64encode((steps[:1] if alike else steps).tobytes()).decode()
    line = {"low": float(f"{low:.7g}"), "unit": float(f"{unit:.7g}"), "data": data}
    return line | {"count": len(values)} if alike else line


def _numbers(cell: Any) -> np.ndarray:
    """A cell of `episodes.csv` as a number or several."""
    values = np.array([float(word) for word in str(cell).split()] or [0.0])
    return values if len(values) > 1 else values[0]
