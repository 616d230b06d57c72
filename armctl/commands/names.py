"""One name for one thing: what a flag was called before, and names of one thing that differ in number only."""

from collections.abc import Sequence

EITHER = ("scenario", "controller", "suite")
"""Things that some commands take one of and others several, so that both numbers are understood."""
TRAINING = {"--train.seed": "--seed", "--train.patience": "--max-nonfinite", "--train.": "--"}
OLD: dict[str, dict[str, str]] = {
    "demo": {
        "--corpus": "--motions",
        "--difficulty": "--speed",
        "--flow.seed": "--seed",
        "--flow.steps": "--flow.updates",
        "--tuning.seed": "--seed",
        "--tuning.patience": "--max-nonfinite",
        "--tuning.": "--",
    },
    "tune": TRAINING,
    "train tracker": TRAINING,
    "train tracker_mlp": TRAINING,
    "train generator": {"--demonstrations": "--data", "--steps": "--updates"},
}
"""Old flag -> flag, by command; one that ends in a dot stands for all that begin with it."""
VALUED = {"doctor": {"--twin": "--robot"}}
"""Switches that once had a value -> the flag that has it now, by command."""


def current(argv: Sequence[str], command: str, known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words under the names that a command knows, and a hint for each old name.

    known: the command's flags, and its positional arguments in capitals, which may be given as --NAME too.
    """
    words: list[str] = []
    hints: list[str] = []
    for word, following in zip(argv, [*argv[1:], "--"], strict=False):
        new, hint = _current(word, following, command, known)
        words += new
        hints += [hint] if hint else []
    return words, hints


def _current(word: str, following: str, command: str, known: Sequence[str]) -> tuple[list[str], str]:
    """One word under its present name, and the hint where that is another one."""
    flag, sign, value = word.partition("=")
    if not flag.startswith("--"):
        return [word], ""
    if flag in VALUED.get(command, {}) and (sign or not following.startswith("-")):
        other = VALUED[command][flag]
        return [flag, other + sign + value], f"what {flag} is about is now named by {other}"
    if flag in known:
        return [word], ""
    alike = _alike(flag, known)
    if alike is not None:
        return [alike + sign + value] if alike else [value] * bool(sign), ""
    name = _renamed(flag.replace("_", "-"), OLD.get(command, {}))
    return ([name + sign + value], f"{flag} is now called {name}") if name in known else ([word], "")


def _alike(flag: str, known: Sequence[str]) -> str | None:
    """The flag that says the same in singular or plural, "" where it is a positional argument, None where none is."""
    thing = flag.removeprefix("--").removesuffix("s")
    if thing not in EITHER:
        return None
    for name in (f"--{thing}", f"--{thing}s"):
        if name in known:
            return name
    return "" if thing.upper() in known else None


def _renamed(flag: str, old: dict[str, str]) -> str:
    """What a flag is called now; itself where it is not in the table."""
    if flag in old:
        return old[flag]
    return next((new + flag.removeprefix(k) for k, new in old.items() if k[-1] == "." and flag.startswith(k)), flag)
