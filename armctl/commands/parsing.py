"""From command-line words to a frozen dataclass; bad words become one sentence."""

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from armctl import store
from armctl.commands import names
from armctl.commands.console import say
from armctl.errors import UsageError

T = TypeVar("T")
Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
Flag = tyro.conf.FlagCreatePairsOff[bool]
"""A switch that is off; one that is on shows both its names, so that its help is not that of the contrary."""
Limit = Annotated[int | None, tyro.conf.arg(metavar="INT")]
Address = Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")]
WIDE = "4000"  # columns; a message that is not wrapped can be read back word by word
NARROW = "80"  # columns; options stand under one another


QUESTION = ("what do you take?",)
"""Words in place of a command line, by which `arguments_of` asks a command for its arguments."""


class Answer(Exception):
    """What a command answers to QUESTION: the class of its arguments."""

    def __init__(self, arguments: type) -> None:
        super().__init__(arguments.__name__)
        self.arguments = arguments


def parse(arguments: type[T], argv: Sequence[str], prog: str) -> T:
    """The dataclass that the words describe; `--help` prints it and leaves, an old name is understood with a hint.

    Raises UsageError, in one sentence, for unknown flags, missing or unreadable values.
    """
    if argv is QUESTION:
        raise Answer(arguments)
    argv, hints = names.current(argv, prog.removeprefix("armctl "), options(arguments))
    for hint in hints:
        say(hint)
    message = io.StringIO()
    helped = not {"-h", "--help"}.isdisjoint(argv)
    try:
        with contextlib.redirect_stderr(message), contextlib.nullcontext() if helped else _columns(WIDE):
            given = tyro.cli(arguments, args=list(argv), prog=prog)
    except SystemExit as leaving:
        if not leaving.code:
            raise
        raise UsageError(f"{sentence(message.getvalue())}; see '{prog} --help'.") from None
    _check_numbers(given)
    return given


def arguments_of(command: Callable[[Sequence[str], str], int]) -> type:
    """The class of a command's arguments; no command does anything before it has parsed its words."""
    try:
        command(QUESTION, "")
    except Answer as answer:
        return answer.arguments
    raise AssertionError(f"{command} did not parse its words first")


def options(arguments: type) -> list[str]:
    """The flags of a command, and its positional arguments in capitals, as its help names them."""
    page = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(page), _columns(NARROW):
        tyro.cli(arguments, args=["--help"], prog="armctl")
    rows = re.findall(r"^. (--\w[\w.-]*(?:, --[\w.-]+)*|[A-Z]{2,}(?=\W))", page.getvalue(), flags=re.MULTILINE)
    return [name for row in rows for name in row.split(", ")]


def _check_numbers(given: Any) -> None:
    """Raise UsageError for what no command that has such a flag can use."""
    seed, limit, control_dt = (getattr(given, name, None) for name in ("seed", "limit", "control_dt"))
    if seed is not None and seed < 0:
        raise UsageError(f"--seed is {seed}; give 0 or more.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; give at least 1, or leave it out for all.")
    if control_dt is not None and not 0 < control_dt <= 1:
        raise UsageError(f"--control-dt is {control_dt:g}; it must lie in (0, 1] s.")


def sentence(box: str) -> str:
    """What a framed message of tyro says, on one line and without its footer."""
    rows = [line.strip("│╭╮╰╯ ") for line in box.splitlines()]
    parts = [part.strip() for part in "\n".join(rows[1:]).split("\n─")]
    wrong = re.sub(r"^Error parsing \w+: ", "", " ".join(parts[0].split()))
    meant = [line for part in parts for line in part.splitlines() if line.startswith("--") and "Perhaps" in part]
    return wrong.rstrip(".") + (f" (perhaps {' or '.join(meant)})" if meant else "")


def unfinished(out: Path) -> bool:
    """Whether a folder holds a run that was killed, terminated or interrupted."""
    if not (out / "config.json").is_file():
        return False
    summary = out / "summary.json"
    return not summary.is_file() or store.read_json(summary).get("status") == "interrupted"


@contextlib.contextmanager
def _columns(width: str) -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = width
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def part(arguments: Any, config: type[T]) -> T:
    """The library's own configuration out of a command's arguments, which extend it."""
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    return config(**{name: getattr(arguments, name) for name in names})


def words(text: str, flag: str) -> list[str]:
    """The entries of a comma-separated flag; UsageError where there is none or one stands twice."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries or len(set(entries)) < len(entries):
        raise UsageError(f"{flag} is {text!r}; give different names separated by commas.")
    return entries


def check_out(
    out: Path, *, overwrite: bool, resume: bool | None = None, mark: str = "config.json", kind: str | None = None
) -> None:
    """Refuse an output folder before any work is done for it.

    resume: None where the command cannot resume. mark: file by which a folder that may be replaced is known;
    kind: what its summary says that it holds, in place of a mark.
    Raises UsageError for a file, a folder that is not empty without leave to touch it, one that is not armctl's, or two
    contrary wishes.
    """
    if overwrite and resume:
        raise UsageError("--overwrite and --resume exclude each other; give one of them.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"'{out}' is a file; name a folder with --out.")
    if not out.exists() or store.unstarted(out):
        return
    if not (overwrite or resume):
        remedy = "replace it with --overwrite" if resume is None else "continue it with --resume or --overwrite it"
        what = "already exists, an unfinished run" if unfinished(out) else "already exists"
        raise UsageError(f"'{out}' {what}; {remedy}, or name another folder with --out.")
    if not (store.kind_of(out) == kind if kind else (out / mark).is_file()):
        raise UsageError(f"'{out}' was not written by this command, so it is left alone; name another.")
