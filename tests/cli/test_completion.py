"""A shell completes commands and flags by a script, without asking Python."""

import contextlib
import io
import json
import shutil
import subprocess
import timeit

import pytest

from armctl import cli
from armctl.scene import NAMED
from tests.cli.cases import refused
from tests.cli.test_names import known

ASK = 'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _armctl; printf "%s\\n" "${COMPREPLY[@]}"'
FIRST = list(dict.fromkeys(name.split()[0] for name in cli.COMMANDS))
SECOND = [name.split()[1] for name in cli.COMMANDS if name.startswith("train ")]


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers for the last of some words, of which armctl is the first."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    folder = tmp_path_factory.mktemp("completion")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert cli.main(["completion", "bash"]) == 0
    (folder / "script").write_text(printed.getvalue())

    def offered(*words):
        done = subprocess.run(
            ["bash", "--norc", "-c", ASK, "bash", "armctl", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return offered


def test_commands_are_completed(complete):
    assert complete("") == FIRST
    assert complete("tr") == ["train"]
    assert complete("train", "") == SECOND
    assert complete("train", "tracker_") == ["tracker_mlp"]


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_flags_are_completed(complete, name):
    flags = [flag for flag in known(name) if flag.startswith("--")]
    assert complete(*name.split(), "--") == [*flags, "--help"]
    assert complete(*name.split(), "--json", "--jso") == ["--json"]
    assert complete(*name.split(), "--json", "") == []  # files, which bash finds itself


def test_named_scenes_are_completed_and_files_too(complete):
    assert complete("bench", "--scene", "") == list(NAMED)
    assert complete("bench", "--scene", "sh") == ["shelf"]
    assert complete("bench", "--scene", "./") == []  # files, which bash finds itself


def test_completing_is_fast(complete):
    assert min(timeit.repeat(lambda: complete("bench", "--s"), number=1, repeat=5)) < 0.3


def test_what_is_no_command_completes_to_nothing(complete):
    assert complete("fly", "--") == []


def test_scripts_differ_by_what_a_shell_needs_first(capsys):
    assert cli.main(["completion", "bash"]) == 0
    bash = capsys.readouterr().out.splitlines()
    assert cli.main(["completion", "zsh"]) == 0
    zsh = capsys.readouterr().out.splitlines()
    assert [line for line in zsh if line not in bash] == ["autoload -U +X bashcompinit && bashcompinit"]
    assert cli.main(["completion", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(cli.COMMANDS)
    refused(capsys, ["completion", "fish"], "fish", "bash")
