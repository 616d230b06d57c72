"""What a bench run leaves on disk: `episodes.csv` and one `tracks/*.npz` per batch of episodes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from armctl import store
from armctl.bench.metrics import Episode
from armctl.bench.summary import Row, paired_order
from armctl.errors import UsageError
from armctl.plant.scenario import JOINTS, SIZES
from armctl.scene.body import Scene
from armctl.scene.files import load_scene

TEXT = (
    "controller",
    "controller_title",
    "controller_family",
    "suite",
    "reference",
    "scenario",
    "failure",
    "file",
    "family",
    "robot",
    "control",
    "objective",
    "information",
    "tuning_budget",
    "trained_on",
    "batch",
    "payload_switch",
    "effects",
    *SIZES,
    *JOINTS,
)

ESTIMATE = "estimate_"
"""In front of the names of what controllers estimate."""


@dataclass(frozen=True, eq=False)
class Track:
    """The recorded motion of one episode; `moving` samples belong to the reference, the rest hold its end."""

    dt: float
    moving: int
    pose: np.ndarray
    """(T, 7) tip pose, m and quaternion xyzw."""
    reference: np.ndarray
    """(T, 7)"""
    q: np.ndarray
    """(T, n) rad"""
    dwells: np.ndarray
    """(K, 3) pose number, start and end of every stay at a test pose, s; K = 0 for most references"""
    command: np.ndarray
    """(T - 1, m) in the units of the control mode; m = 0 in runs from before it was recorded"""
    torque: np.ndarray
    """(T - 1, n) N m; n = 0 in such runs"""
    estimates: dict[str, np.ndarray]
    """(T - 1, ...) by name, of what this controller took the plant for"""


def save_tracks(path: Path, episodes: list[Episode], dwells: list[list[Any]]) -> None:
    """Write the motions of a batch of episodes, padded by their last sample, and of every control step, padded by NaN,
    the commands (in the units of the control mode), torques (N m) and what the controller estimates; atomically."""
    stays = np.full((len(episodes), max(map(len, dwells), default=0), 3), np.nan)
    for row, stay in zip(stays, dwells, strict=True):
        row[: len(stay)] = np.reshape(stay, (-1, 3))
    longest = max(len(episode.pose) for episode in episodes)
    arrays = {
        name: np.stack([_padded(getattr(episode, name), longest) for episode in episodes]).astype(np.float32)
        for name in ("pose", "reference", "q")
    }
    steps = {"command": [one.command for one in episodes], "torque": [one.torque for one in episodes]}
    for name in dict.fromkeys(name for one in episodes for name in one.estimates):
        like = next(one.estimates[name] for one in episodes if name in one.estimates)[:0]
        steps[f"{ESTIMATE}{name}"] = [one.estimates.get(name, like) for one in episodes]
    arrays |= {name: np.stack([_padded_by_nan(x, longest - 1) for x in values]) for name, values in steps.items()}
    store.save_arrays(
        path,
        {
            **arrays,
            "dwells": stays,
            "dt": episodes[0].dt,
            "moving": np.array([episode.moving for episode in episodes]),
            "length": np.array([len(episode.pose) for episode in episodes]),
        },
    )


def read_tracks(folder: Path, rows: list[Row]) -> list[Track]:
    """The motions of rows of `episodes.csv`, in their order."""
    files = {name: store.load_arrays(Path(folder) / "tracks" / name) for name in {row["file"] for row in rows}}
    return [_track(files[row["file"]], int(row["slot"])) for row in rows]


def _track(arrays: dict[str, np.ndarray], slot: int) -> Track:
    length = int(arrays["length"][slot])
    pose, reference, q = (arrays[name][slot, :length].astype(float) for name in ("pose", "reference", "q"))
    dwells, nothing = arrays["dwells"][slot], np.zeros((slot + 1, length - 1, 0))
    command, torque = (arrays.get(name, nothing)[slot, : length - 1].astype(float) for name in ("command", "torque"))
    told = [name for name in arrays if name.startswith(ESTIMATE)]
    estimates = {name.removeprefix(ESTIMATE): arrays[name][slot, : length - 1].astype(float) for name in told}
    return Track(
        float(arrays["dt"]), int(arrays["moving"][slot]), pose, reference, q, dwells[np.isfinite(dwells[:, 0])],
        command, torque, {name: values for name, values in estimates.items() if np.isfinite(values).any()},
    )  # fmt: skip


def recorded_scene(folder: Path) -> Scene | None:
    """The scene of a bench, None where it ran in free space."""
    path = Path(folder) / "scene.json"
    return load_scene(path) if path.exists() else None


def read_table(folder: Path, order: list[str] | None = None) -> dict[str, list[Row]]:
    """The rows of `episodes.csv` by controller in the same order for each, numbers as floats.

    Raises UsageError where the folder holds no episodes.
    """
    rows = [_typed(row) for row in store.read_rows(Path(folder) / "episodes.csv")]
    if not rows:
        raise UsageError(
            f"'{folder}' holds no bench episodes (episodes.csv is missing or empty); name the --out of a bench."
        )
    names = order or list(dict.fromkeys(row["controller"] for row in rows))
    return {name: paired_order([row for row in rows if row["controller"] == name]) for name in names}


def _typed(row: dict[str, str]) -> Row:
    return {name: value if name in TEXT else float(value) if value else np.nan for name, value in row.items()}


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.repeat(values[-1:], length - len(values), axis=0)])


def _padded_by_nan(values: np.ndarray, length: int) -> np.ndarray:
    padded = np.full((length, *values.shape[1:]), np.nan, np.float32)
    padded[: len(values)] = values
    return padded
