"""Workers that are processes of this machine, each behind a pipe."""

import os
import signal
import threading
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from armctl import store
from armctl.jobs.desk import Desk
from armctl.jobs.worker import Lost

PATIENCE = 1.0
"""Seconds that a process has to end by itself."""


class Process:
    """A worker in a process of its own."""

    def __init__(self, payload: bytes, threads: int) -> None:
        context = get_context("forkserver")  # a process in which JAX has run must not be forked
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, payload, threads), name="armctl job")
        self._process.start()
        theirs.close()  # so that the pipe ends with the worker
        # It may have children, so it is no daemon; one that was not ended would keep the interpreter from ending.
        self._end = util.Finalize(self, _end, (self.pipe, self._process), exitpriority=10)

    def send(self, item: Any) -> None:
        """Give it an item; of a process that is gone the answer tells."""
        import cloudpickle

        with suppress(OSError):
            self.pipe.send_bytes(cloudpickle.dumps(item))

    def answer(self) -> bytes:
        """Its answer: that it is ready, then one for each item. Raises Lost once it is gone."""
        try:
            return self.pipe.recv_bytes()
        except (EOFError, OSError):
            raise Lost(self._ended()) from None

    def _ended(self) -> str:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"by {signal.Signals(-code).name}, as where memory is short"
        guard = '; a script that runs jobs needs `if __name__ == "__main__":`' if code == 1 else ""
        return f"with exit status {code}{guard}"

    def close(self) -> None:
        """End it, whatever it is at."""
        self._end()


class Machine:
    """The workers of this machine, which share its cores."""

    def __init__(self, payload: bytes, workers: int) -> None:
        self._payload, self.workers = payload, workers

    def hire(self) -> Process:
        """A new worker, which answers when it is ready."""
        return Process(self._payload, max(1, store.cores() // self.workers))

    def first(self, workers: list[Process]) -> Process:
        """One that has answered, or is gone; waits for it."""
        ready: Any = connection.wait([worker.pipe for worker in workers])
        return next(worker for worker in workers if worker.pipe in ready)

    def close(self) -> None:
        """Nothing: its workers are closed one by one."""


def _serve(pipe: Connection, payload: bytes, threads: int) -> None:
    """A worker's life: answer until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which gets it too, ends its workers
    threading.Thread(target=_follow_parent, daemon=True).start()
    desk = Desk(payload, threads)
    with suppress(EOFError, OSError):
        pipe.send_bytes(desk.ready())
        while True:
            pipe.send_bytes(desk.do(pipe.recv_bytes()))


def _follow_parent() -> None:
    """End with a parent that is killed, in the midst of an item: one that resumes does it anew, in the same files."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _end(pipe: Connection, process: BaseProcess) -> None:
    pipe.close()
    process.terminate()
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()
