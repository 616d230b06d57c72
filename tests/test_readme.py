"""The README as a newcomer uses it: its snippet runs, and every command, id, preset and file it names exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import armctl
from armctl.registration import env_ids

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "CONTRIBUTING.md", "experiments/README.md")


def blocks(before: str) -> list[str]:
    """The fenced blocks that begin with some text."""
    return re.findall(rf"^{before}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def armctl_command(*words: str) -> subprocess.CompletedProcess:
    """`armctl` with words, in a process of its own."""
    return subprocess.run([sys.executable, "-m", "armctl.cli", *words], capture_output=True, text=True, timeout=60)


def run(snippet: str, capsys) -> str:
    """What a snippet prints."""
    exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


def test_first_snippet_runs(capsys):
    first, _ = blocks("```python")
    printed = run(first, capsys)
    assert 0 < float(re.findall(r"([\d.]+) mm", printed)[0]) < 5
    assert "(7, 7)" in printed


def test_second_snippet_finds_plant_and_twin_alike(capsys):
    _, second = blocks("```python")
    plant, twin = re.findall(r"([\d.]+) mm", run(second, capsys))
    assert plant == twin


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page):
    targets = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / page).read_text(encoding="utf-8")))
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    prose = {"with", "on"}
    assert targets - prose <= rules


def test_commands_exist():
    (tour,) = blocks("<!-- cli -->\n```")
    named = [line.split("  #")[0].strip() for line in tour.splitlines()]
    known = armctl_command("--help").stdout
    for line in named:
        command, *rest = line.split()[1:]
        words = [command, *rest[:1]] if command in ("train", "tune") else [command]
        helped = armctl_command(*words, "--help")
        assert command in known, line
        assert helped.returncode == 0, line
        for flag in re.findall(r"--[a-z-]+", line):
            assert flag in helped.stdout, line


def test_ids_and_presets_exist():
    from armctl.plant.scenario import PRESETS

    assert set(re.findall(r"`(armctl/\w+-v0)`", README)) == set(env_ids())
    row = next(line for line in README.splitlines() if line.startswith("| `scenario`"))
    assert set(re.findall(r"`([a-z_]+)`", row)) - {"scenario"} == set(PRESETS)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("http") or (ROOT / page).parent.joinpath(link).exists(), link
    for path in re.findall(r"`((?:armctl|envs|assets|experiments|tests)/[\w/.]+\.\w+)`", text):
        assert (ROOT / path).exists(), path


def test_result_blocks_are_marked_for_the_script():
    sys.path.insert(0, str(ROOT / "experiments"))
    try:
        import readme_results
    finally:
        sys.path.pop(0)
    for name in readme_results.BLOCKS:
        renewed = readme_results.replace_block(README, name, "new")
        assert f"<!-- results:{name} -->\nnew\n<!-- /results -->" in renewed
        assert len(renewed) < len(README)


def test_version_is_in_the_changelog():
    assert armctl.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
