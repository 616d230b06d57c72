"""PyBullet, imported and called without its chatter: standard output belongs to results."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["p", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Send what C code prints on standard output and standard error to nowhere (Bullet reports every load there)."""
    sys.stdout.flush()
    sys.stderr.flush()
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    saved = os.dup(1), os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        yield
    finally:
        libc.fflush(None)
        for fd, copy in enumerate(saved, start=1):
            os.dup2(copy, fd)
            os.close(copy)
        os.close(sink)


with quiet():
    import pybullet as p
