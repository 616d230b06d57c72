"""The states that a run is kept in: a folder for each judgement, there whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "checkpoints"
POLICY, NORMALISER, REPLAY = "policy.zip", "vecnormalize.pkl", "replay.pkl"
WITHOUT_REPLAY: dict[str, Any] = {"replay_buffer_class": None, "replay_buffer_kwargs": {}, "buffer_size": 1}
"""Given to a model that is loaded to act alone: a hindsight buffer could not even be made without its environment."""


def keep(out: Path, steps: int, write: Callable[[Path], None]) -> Path:
    """Write the state after so many steps; it is there under its name only once it is whole."""
    place = out / FOLDER / f"{steps:09d}"
    unfinished = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write(unfinished)
    shutil.rmtree(place, ignore_errors=True)
    os.replace(unfinished, place)
    return place


def kept(out: Path) -> list[int]:
    """After how many steps there is a state, the earliest first."""
    return sorted(int(one.name) for one in (out / FOLDER).glob("[0-9]*") if one.name.isdigit())


def place(out: Path, steps: int) -> Path:
    """The folder of the state after so many steps."""
    return out / FOLDER / f"{steps:09d}"


def tidy(out: Path, best: int) -> None:
    """Keep the latest state and the best, and the experience of the latest alone."""
    for steps in kept(out)[:-1]:
        if steps == best:
            (place(out, steps) / REPLAY).unlink(missing_ok=True)
        else:
            shutil.rmtree(place(out, steps))
