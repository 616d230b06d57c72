"""What a worker does, wherever it is: it gets ready once, then answers one item after the other."""

import os
import pickle
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from armctl import store
from armctl.errors import UsageError

SETTINGS = ("JAX_", "XLA_")
"""How the environment variables begin on which results depend."""


def pack(start: Callable[[], Callable[[Any], Any]]) -> bytes:
    """What makes a desk elsewhere do as this process would: code, where modules are, settings of JAX, versions.

    Raises UsageError for what cannot be sent.
    """
    import cloudpickle

    try:
        work = cloudpickle.dumps(start)
    except Exception as error:
        raise UsageError(
            f"What a job needs cannot be sent to other processes ({type(error).__name__}: {error}); run with jobs 1."
        ) from error
    path = [os.path.abspath(entry) for entry in sys.path]
    settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    return pickle.dumps((path, os.getcwd(), settings, store.versions(), work))


class Desk:
    """A worker's place: it holds what the work needs, and answers in bytes."""

    def __init__(self, payload: bytes, threads: int) -> None:
        """payload: from `pack`; threads: how many JAX may compute with."""
        self._payload, self._threads, self._work = payload, threads, _not_ready

    def ready(self) -> bytes:
        """Get ready and say so, or what went wrong."""
        return _answer(self._start)

    def do(self, item: bytes) -> bytes:
        """The result of an item, or what was raised."""
        return _answer(lambda: self._work(pickle.loads(item)))

    def _start(self) -> None:
        # Where modules are, and what JAX reads as it starts, has to be known before the work is unpacked.
        path, folder, settings, versions, work = pickle.loads(self._payload)
        os.environ.update(settings)
        os.environ["PJRT_NPROC"] = str(self._threads)
        sys.path[:] = dict.fromkeys([*path, *sys.path])
        if Path(folder).is_dir():
            os.chdir(folder)
        _check(versions)
        import cloudpickle

        self._work = cloudpickle.loads(work)()


def read(answer: bytes) -> Any:
    """What a desk has answered; raises what was raised there."""
    try:
        done, result = pickle.loads(answer)
    except Exception as error:  # as of exceptions whose constructors want more than their text
        raise RuntimeError(f"A worker's answer cannot be read: {type(error).__name__}: {error}.") from error
    if not done:
        raise result
    return result


def _not_ready(item: Any) -> Any:
    raise RuntimeError("The worker has not been told to get ready.")


def _answer(work: Callable[[], Any]) -> bytes:
    import cloudpickle

    try:
        outcome = True, work()
    except Exception as error:
        error.add_note(f"In a worker on {socket.gethostname()}:\n{traceback.format_exc()}")
        outcome = False, error
    try:
        return cloudpickle.dumps(outcome)
    except Exception as error:
        return pickle.dumps((False, RuntimeError(f"A worker's answer cannot be sent: {outcome[1]!r} ({error}).")))


def _check(versions: dict[str, str]) -> None:
    """Raise UsageError where this worker has other versions than the process that sent it work."""
    here = store.versions()
    for package, wanted in versions.items():
        if here[package] != wanted:
            raise UsageError(
                f"{socket.gethostname()} has {package} {here[package]}, the machine that sends jobs {wanted}; results "
                "would differ: install the same on both."
            )
