"""One training run over several machines: one process on each, process 0 reads and writes the run folder.

    armctl train tracker --coordinator node1:7654 --processes 2 --process-id 0     # on node1
    armctl train tracker --coordinator node1:7654 --processes 2 --process-id 1     # on node2
    srun --ntasks-per-node 1 armctl train tracker --coordinator $(hostname):7654   # SLURM, in the batch script

All functions do the obvious where there is one process only.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from armctl.errors import UsageError
from armctl.learn.rendezvous import join, meet

T = TypeVar("T")
MESSAGE = 2000


def connect(
    coordinator: str | None, processes: int | None = None, process_id: int | None = None, timeout: float = 300.0
) -> None:
    """Join the other processes; nothing where coordinator is None. To be called before any JAX computation.

    coordinator: HOST:PORT of process 0; processes, process_id: how many and which, those of SLURM (SLURM_NTASKS,
    SLURM_PROCID) when None; timeout: s to wait for all. Raises UsageError where they do not come together.
    """
    if coordinator is None:
        if processes is not None or process_id is not None:
            raise UsageError("--processes and --process-id need --coordinator HOST:PORT, the address of process 0.")
        return
    count = _number(processes, "--processes", "SLURM_NTASKS")
    which = _number(process_id, "--process-id", "SLURM_PROCID")
    if not 0 <= which < count:
        raise UsageError(f"--process-id is {which}; with --processes {count} it lies in 0 to {count - 1}.")
    with _quiet():
        meeting = meet(coordinator, count, which, timeout)
    join(meeting, coordinator, count, which)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep off stderr what C++ libraries write on every way that a meeting can fail."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _number(given: int | None, flag: str, variable: str) -> int:
    if given is not None:
        return given
    text = os.environ.get(variable, "")
    if not text.isdigit():
        raise UsageError(f"--coordinator needs {flag}, which only SLURM's {variable} can stand in for; give it.")
    return int(text)


def is_first() -> bool:
    """Whether this process writes the results."""
    return jax.process_index() == 0


def on_first(work: Callable[[], T]) -> T | None:
    """Do something on process 0 only -> its result there, None elsewhere; every process must call this together.

    Raises UsageError on every process where process 0 refuses or cannot use a file.
    """
    if jax.process_count() == 1:
        return work()
    value, refusal = None, ""
    if is_first():
        try:
            value = work()
        except (UsageError, OSError) as error:
            refusal = str(error) or type(error).__name__
    text = np.zeros(MESSAGE, np.uint8)
    coded = np.frombuffer(refusal.encode()[:MESSAGE], np.uint8)
    text[: len(coded)] = coded
    said = np.asarray(multihost_utils.broadcast_one_to_all(text)).tobytes().rstrip(b"\0")
    if said:
        raise UsageError(said.decode(errors="replace"))
    return value


def from_first(work: Callable[[], dict[str, np.ndarray]], like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays that process 0 makes, on every process; like: arrays of the same names, shapes and types."""
    value = on_first(work)
    if jax.process_count() == 1:
        assert value is not None
        return value
    sent: Any = multihost_utils.broadcast_one_to_all(value if is_first() else like)
    return {name: np.asarray(array) for name, array in sent.items()}


def agree(text: str) -> None:
    """Raise UsageError on every process where this text, the settings of the run, is not the same on all."""
    if jax.process_count() == 1:
        return
    digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
    digests = np.asarray(multihost_utils.process_allgather(digest))
    other = np.flatnonzero((digests != digests[0]).any(axis=1))
    if len(other):
        raise UsageError(
            f"Process {other[0]} has other settings or references than process 0; give all processes the same command "
            "and version, and with different processors the same references (--data DIR)."
        )
