"""What goes wrong in a way that a user can do something about, each in one sentence."""

import sys
import warnings
from typing import Any


class UsageError(ValueError):
    """A user's input cannot be used; the message names the offending value and the remedy.

    The command line prints it as one sentence and leaves with exit status 2.
    """


class NonFiniteError(RuntimeError):
    """A computation met too many numbers that are not finite to go on.

    `learner` holds the last good parameters; `breakdown` says what broke first, None where it could not be found. The
    command line prints it as one sentence and leaves with exit status 1.
    """

    def __init__(self, message: str, learner: Any = None, breakdown: Any = None) -> None:
        super().__init__(message)
        self.learner, self.breakdown = learner, breakdown


class UnstableError(RuntimeError):
    """No parameters were found whose closed loop is stable on every plant that they are judged on.

    The command line prints it as one sentence and leaves with exit status 1.
    """


class WorkerError(RuntimeError):
    """A process that ran environments or jobs is gone, or cannot send what it was asked for; the message says what to
    do.

    The command line prints it as one sentence and leaves with exit status 1.
    """


def warn(text: str) -> None:
    """A UserWarning at the line that called the package, from however deep inside it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, UserWarning, stacklevel=level)
