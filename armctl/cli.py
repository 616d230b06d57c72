"""The command line: `armctl COMMAND ...`.

A command's module is imported only when it is called, so that `armctl --help` needs neither JAX nor PyBullet. stdout
carries results, stderr everything else. Exit status: 0 done, 1 something does not work, 2 wrong input, 130 Ctrl-C, 141
nobody reads on, 143 terminated.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TextIO

from armctl import __version__
from armctl.errors import NonFiniteError, UnstableError, UsageError, WorkerError

Command = Callable[..., int]

COMMANDS = {
    "robots": ("robots:run", "list the arms"),
    "doctor": ("doctor:run", "check that everything works on this machine"),
    "completion": ("completion:run", "let the shell complete commands and flags"),
    "demo": ("demo:run", "the whole loop once: train, generate, compare, report"),
    "tune": ("training:run_tune", "tune the gains of a controller through the twin"),
    "train tracker": ("training:run_tracker", "train the differential network"),
    "train tracker_mlp": ("training:run_tracker", "train its unstructured counterpart"),
    "train generator": ("generator:run", "train the goal generator"),
    "train rl": ("rl:run", "train a policy by reinforcement learning"),
    "cotrain": ("cotrain:run", "train tracker and generator in rounds, steered by regret"),
    "sample": ("references:run_sample", "propose certified goal trajectories"),
    "suite": ("references:run_suite", "write the references of a named suite"),
    "suite build": ("suite_build:run", "make a frozen suite of your own: scenes, bands of difficulty"),
    "improve": ("improve:run", "make motions shorter, smoother, clearer, or easier for a controller"),
    "record": ("identify:run_record", "let a PyBullet arm move and write its log"),
    "identify": ("identify:run_identify", "estimate payload, friction or inertia from logs, through the twin"),
    "bench": ("bench:run_bench", "compare controllers in PyBullet"),
    "audit": ("controller_audit:run", "measure what a controller is not good at, in the twin"),
    "audit generator": ("generator_audit:run", "measure what a generator is worth, beside rivals"),
    "export": ("export:run", "write a controller as a folder that runs without JAX"),
    "report": ("report:run", "write the page of a bench anew, or one that compares several"),
}
INTERRUPTED, UNREAD, TERMINATED = 130, 141, 143
RESUME = "the same command with --resume continues the run."
RESUMABLE = ("tune", "train tracker", "train tracker_mlp", "train rl", "cotrain", "bench", "demo", "audit generator")
AFTER_INTERRUPT = dict.fromkeys(RESUMABLE, RESUME)
AFTER_INTERRUPT["audit"] = "the same command with --overwrite starts anew."


class Terminated(KeyboardInterrupt):
    """SIGTERM, which like Ctrl-C lets a run write what it has."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. argv: its words, those of the process if absent. Returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.showwarning = _warn
    with _terminable():
        status = guarded(lambda: _run(words), _name(words))
    if argv is None and status in (INTERRUPTED, TERMINATED):
        _leave_at_once(status)
    return status


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM is an exception, where Python lets a thread take signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line, without where in the source it was given."""
    print(f"armctl: {message}", file=sys.stderr)


def _leave_at_once(status: int) -> None:
    """End the process without tearing it down: after Ctrl-C within a compilation JAX crashes there."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def guarded(work: Callable[[], int], command: str = "") -> int:
    """Exit status of some work; wrong input, training that broke down and Ctrl-C become one sentence on stderr.

    A reader that leaves, such as head, ends the work without a word, as it ends other programs.
    """
    try:
        status = _told(work, command)
        sys.stdout.flush()  # while a broken pipe can still be caught
    except BrokenPipeError:
        if not (left := [stream for stream in (sys.stdout, sys.stderr) if _unread(stream)]):
            raise
        for stream in left:  # else the interpreter would complain as it flushes them at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return UNREAD
    return status


def _unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file at all, as in notebooks
        return False


def _told(work: Callable[[], int], command: str) -> int:
    """Exit status of some work, with a sentence about what went wrong."""
    try:
        return work()
    except UsageError as error:
        return _fail(str(error), 2)
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"'{error.filename}' cannot be used: {error.strerror}.", 2)
    except KeyboardInterrupt as error:
        how, status = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        return _fail(f"{how}; {AFTER_INTERRUPT.get(command, 'nothing was written.')}", status)
    except (NonFiniteError, UnstableError, WorkerError) as error:
        return _fail(str(error), 1)


def _fail(sentence: str, status: int) -> int:
    print(f"armctl: {' '.join(sentence.split())}", file=sys.stderr)
    return status


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(usage(COMMANDS))
        return 0
    if words[0] == "--version":
        print(__version__)
        return 0
    name = _name(words)
    if name not in COMMANDS:
        return _group(words)
    set_compilation_cache()
    module, function = COMMANDS[name][0].split(":")
    command: Command = getattr(import_module(f"armctl.commands.{module}"), function)
    if name == "completion":  # the one command that is about the others
        command = partial(command, places={other: place for other, (place, _) in COMMANDS.items()})
    try:
        return command(words[len(name.split()) :], f"armctl {name}")
    except SystemExit as leaving:  # --help
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)


def _name(words: list[str]) -> str:
    """The command, of one or two words, that a line begins with."""
    pair = " ".join(words[:2])
    return pair if pair in COMMANDS else " ".join(words[:1])


def _group(words: list[str]) -> int:
    """Help on the commands that begin with a word, or UsageError for a word that begins none."""
    group = {name: entry for name, entry in COMMANDS.items() if name.split()[0] == words[0]}
    if group and words[1:2] in (["-h"], ["--help"]):
        print(usage(group))
        return 0
    known = ", ".join(dict.fromkeys(name.split()[-1 if group else 0] for name in group or COMMANDS))
    given = " ".join(words[:2] if group else words[:1])
    raise UsageError(f"Unknown command '{given}'; choose one of {known}, or see 'armctl --help'.")


def usage(commands: dict[str, tuple[str, str]]) -> str:
    """What `armctl --help` prints."""
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in commands.items()]
    head = ["usage: armctl COMMAND [options]", "", "A robot-arm control laboratory.", "", "commands:"]
    foot = ["", "armctl COMMAND --help lists the options of a command, armctl --version prints the version."]
    return "\n".join([*head, *lines, *foot])


def set_compilation_cache() -> None:
    """Let JAX keep what it compiles between runs; it reads these settings when it is first imported."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "armctl" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


if __name__ == "__main__":
    sys.exit(main())
