"""`armctl completion`: a script by which a shell completes commands and flags, without asking Python."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Literal

import tyro

from armctl.commands.console import show
from armctl.commands.parsing import Flag, arguments_of, options, parse
from armctl.scene import NAMED

SCRIPT = """\
# completion of armctl; written by 'armctl completion', to be written again when armctl changes
{preface}_armctl() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
    case "${{COMP_WORDS[*]:1:$((COMP_CWORD - 1))}} " in
{cases}
    esac
    if [[ ${{COMP_WORDS[COMP_CWORD - 1]}} == --scene ]]; then words="{scenes}"; fi
    # files where a flag is not begun
    if [[ $words == --* && $word != -* ]]; then words=""; fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _armctl armctl
"""
PREFACE = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}


@dataclass(frozen=True)
class CompletionArguments:
    """Print a script that completes armctl's commands and flags in a shell."""

    shell: Annotated[tyro.conf.Positional[Literal["bash", "zsh"]], tyro.conf.arg(metavar="SHELL")] = "bash"
    """bash or zsh."""
    json: Flag = False
    """Print what there is to complete, as JSON, instead of a script."""


def run(argv: Sequence[str], prog: str, places: Mapping[str, str] = MappingProxyType({})) -> int:
    """`armctl completion`, where places has MODULE:FUNCTION of every command; returns the exit status."""
    arguments = parse(CompletionArguments, argv, prog)
    flags = {name: flags_of(place) for name, place in places.items()}
    show(flags, script(flags, arguments.shell), arguments.json)
    return 0


def flags_of(place: str) -> list[str]:
    """The flags of the command that is MODULE:FUNCTION of this package."""
    module, function = place.split(":")
    found = options(arguments_of(getattr(import_module(f"armctl.commands.{module}"), function)))
    return [name for name in found if name.startswith("--")]


def script(flags: Mapping[str, Sequence[str]], shell: str) -> str:
    """What a shell has to read; flags: those of every command."""
    following: dict[str, list[str]] = {}  # words so far -> the words that a command goes on with
    for name in flags:
        first, *second = name.split()
        following.setdefault("", []).append(first)
        if second:  # of a word that is a command by itself too its flags
            following.setdefault(f"{first} ", [*flags[first], "--help"] if first in flags else []).extend(second)
    cases = [_case(f'"{before or " "}"', dict.fromkeys(words)) for before, words in following.items()]
    longest = sorted(flags, key=lambda name: -len(name.split()))
    cases += [_case(f'"{name} "*', [*flags[name], "--help"]) for name in longest]
    return SCRIPT.format(preface=PREFACE[shell], cases="\n".join(cases), scenes=" ".join(NAMED)).rstrip("\n")


def _case(pattern: str, words: Iterable[str]) -> str:
    return f'        {pattern}) words="{" ".join(words)}" ;;'
