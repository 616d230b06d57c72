"""Who steps the arms: worker processes, or this process itself."""

import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import CloudpickleWrapper

from armctl.envs.arms import Arms, Arrays
from armctl.envs.info_fields import Fields
from armctl.errors import WorkerError

STEP, MORE = b"s", b"m"
"""One byte before each message: a step, or its answer, is nothing else; otherwise a pickled message follows."""
END = b"end"
PATIENCE = 5.0
"""Seconds that a worker has to close its environments."""


class Block(NamedTuple):
    """Memory for one array that processes share: it has no name that could outlive them."""

    memory: Any
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The array itself."""
        return np.frombuffer(self.memory, self.dtype, int(np.prod(self.shape))).reshape(self.shape)


class Plan(NamedTuple):
    """What all workers are told: how to make an environment, where the arrays are, how infos are laid out."""

    make: Callable[[], gym.Env]
    actions: Block
    seeds: Block
    observations: dict[str, Block]
    numbers: Block
    fields: Fields

    def arrays(self) -> Arrays:
        """The arrays of all arms."""
        views = {key: block.array() for key, block in self.observations.items()}
        return Arrays(self.actions.array(), self.seeds.array(), views, self.numbers.array())

    def arms(self, first: int, last: int) -> Arms:
        """Some of the arms."""
        return Arms(self.make, self.arrays().rows(first, last), self.fields, first)


class Here:
    """Arms of this process, with a worker's interface."""

    def __init__(self, plan: Plan, first: int, last: int) -> None:
        self.first, self.last = first, last
        self._arms = plan.arms(first, last)
        self._answer: tuple[bool, Any] = True, []

    def send(self, name: str = "", *args: Any, **kwargs: Any) -> None:
        """Give a command, a method of Arms; a step when none is named."""
        self._answer = _obeyed(self._arms, name or "step", args, kwargs)

    def answer(self) -> tuple[bool, Any]:
        """Whether the last command was carried out, and its result or what was raised."""
        return self._answer

    def close(self) -> None:
        """Close the environments."""
        self._arms.close()


class Worker:
    """Arms of a process of their own. Raises WorkerError in one sentence once the process is gone."""

    def __init__(self, context: ForkServerContext, plan: Plan, first: int, last: int) -> None:
        self.first, self.last = first, last
        self._pipe, theirs = context.Pipe()
        task = CloudpickleWrapper(plan.make), plan._replace(make=_nothing), first, last
        self._process = context.Process(
            target=_work, args=(theirs, *task), daemon=True, name=f"arms {first}-{last - 1}"
        )
        self._process.start()
        theirs.close()  # so that the pipe ends with the worker

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def send(self, name: str = "", *args: Any, **kwargs: Any) -> None:
        """Give a command, a method of Arms; a step when none is named, without anything to pickle."""
        try:
            _tell(self._pipe, pickle.dumps((name, args, kwargs)) if name else None)
        except OSError:
            raise self._gone() from None

    def answer(self) -> tuple[bool, Any]:
        """Whether the last command was carried out, and its result or what was raised."""
        try:
            message = _told(self._pipe)
        except (EOFError, OSError):
            raise self._gone() from None
        return (True, []) if message is None else _unpickled(message)

    def _gone(self) -> WorkerError:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit status {code}"
        remedy = "with fewer arms or processes if memory was short"
        if code == 1:  # as where a worker imports a script that makes workers itself
            remedy = 'in a script under `if __name__ == "__main__":`'
        return WorkerError(
            f"The process of arms {self.first} to {self.last - 1} has ended {how}; the environment is closed: make a "
            f"new one, {remedy}."
        )

    def close(self) -> None:
        """End the process, by force where it does not end by itself."""
        with suppress(OSError, ValueError):
            _tell(self._pipe, END)
        self._pipe.close()
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _nothing() -> gym.Env:
    raise NotImplementedError


def _work(pipe: Connection, make: Callable[[], gym.Env], plan: Plan, first: int, last: int) -> None:
    """A worker's life: obey until told to end, or until nobody is there to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which gets it too, closes its workers
    try:
        arms = plan._replace(make=make).arms(first, last)
    except Exception as error:
        with suppress(EOFError, OSError):
            _told(pipe)
            _tell(pipe, _pickled((False, error)))
        return
    with suppress(EOFError, OSError):
        while (message := _told(pipe)) != END:
            name, args, kwargs = ("step", (), {}) if message is None else pickle.loads(message)
            done, result = _obeyed(arms, name, args, kwargs)
            _tell(pipe, None if done and result == [] else _pickled((done, result)))
    arms.close()


def _tell(pipe: Connection, message: bytes | None) -> None:
    """Send a message, or, where there is none to send, a byte that costs a tenth of one."""
    os.write(pipe.fileno(), STEP if message is None else MORE)
    if message is not None:
        pipe.send_bytes(message)


def _told(pipe: Connection) -> bytes | None:
    """The next message, None of a lone byte. Raises EOFError when the other side is gone."""
    byte = os.read(pipe.fileno(), 1)
    if not byte:
        raise EOFError
    return pipe.recv_bytes() if byte == MORE else None


def _obeyed(arms: Arms, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    try:
        return True, getattr(arms, name)(*args, **kwargs)
    except Exception as error:
        return False, error


def _pickled(answer: tuple[bool, Any]) -> bytes:
    try:
        return pickle.dumps(answer)
    except Exception:
        return pickle.dumps((False, WorkerError(f"A worker's answer cannot be sent: {answer[1]!r}.")))


def _unpickled(message: bytes) -> tuple[bool, Any]:
    try:
        return pickle.loads(message)
    except Exception as error:  # as of exceptions whose constructors want more than their text
        return False, WorkerError(f"A worker's answer cannot be read: {error}.")
