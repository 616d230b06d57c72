"""The README and the documentation as a newcomer uses them: snippets run, and all that they name exists."""

import contextlib
import io
import os
import re
import sys
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import armctl
from armctl import cli
from armctl.bench.metrics import Episode, episode_metrics
from armctl.commands.robots import describe
from armctl.controllers import base, known
from armctl.plant.presets import PRESETS
from armctl.plant.reward import WEIGHTS
from armctl.plant.scenario import Scenario
from armctl.registration import ROBOTS, env_ids
from tests import house

ROOT = Path(__file__).parents[1]
DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
PAGES = ("README.md", "CONTRIBUTING.md", "experiments/README.md", *DOCS)
SMALL = {  # makes the example of docs/own.md a matter of seconds
    '"panda"': '"planar3"',
    "chain, 400)": "chain, 10)",
    'load_suite("shapes", chain)': "[mine]",
    'write_report("runs/mine")': 'write_report("runs/mine", animation=False)',
}


@cache
def text(page: str) -> str:
    """A page as it is written."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, before: str = "```python") -> list[str]:
    """The fenced blocks of a page that begin with some text."""
    return re.findall(rf"^{before}\n(.*?)^```", text(page), flags=re.DOTALL | re.MULTILINE)


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the rows of the table on a page whose first column has this head."""
    (rows,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-:| ]+\n((?:\|.*\n)+)", text(page), flags=re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.splitlines()]


def code(words: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", words)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the snippets of a page one after the other, in an empty folder; what they print."""
    monkeypatch.chdir(tmp_path)
    before = dict(known())

    def all_of(*snippets: str) -> str:
        names: dict = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            for snippet in snippets:
                exec(compile(snippet, "a snippet", "exec"), names)
        return printed.getvalue()

    yield all_of
    base.KNOWN.clear()
    base.KNOWN.update(before)


def test_the_readme_is_short():
    assert len(text("README.md").splitlines()) <= 150


def test_snippet_of_the_readme(run):
    printed = run(*blocks("README.md"))
    assert 0 < float(re.findall(r"([\d.]+) mm", printed)[0]) < 5
    assert "(7, 7)" in printed


def test_snippet_of_the_first_page(run):
    assert 0 < float(re.findall(r"([\d.]+) mm", run(*blocks("docs/index.md")))[0]) < 200


def test_snippet_on_gradients_finds_plant_and_twin_alike(run):
    plant, twin = re.findall(r"([\d.]+) mm", run(*blocks("docs/concepts.md")))
    assert plant == twin


def test_snippet_on_scenes_certifies_a_motion_in_one(run):
    assert 0 < float(run(*blocks("docs/scenes.md"))) <= 0.1


def test_snippets_on_what_is_your_own(run, monkeypatch):
    def trained(controller, setting, task, config, learner, note, devices, held_out, exchange):
        note(learner, {"update": config.updates})

    monkeypatch.setattr("armctl.learn.tune.train", trained)  # tests/learn has trained enough
    reference, controller, bench, servo, scenario, effect = blocks("docs/own.md")
    assert len(servo.split("\n\n\n")[0].splitlines()) <= 20
    assert len(controller.split("\n\n\n")[1].splitlines()) <= 25
    for long, short in SMALL.items():
        assert long in reference + bench
        reference, bench = reference.replace(long, short), bench.replace(long, short)
    whole = '["shapes"], ["nominal"], "runs/servo"'
    assert whole in servo
    servo = servo.replace(whole, '{"shapes": [mine]}, ["nominal"], "runs/servo", config=bench')
    printed = run(reference, controller, bench, servo, scenario, effect)
    for expected in (
        r"True \w+ 0\.\d\d of",
        r"spring [\d.]+ mm",
        r"textbook [\d.]+ mm",
        r"servo [\d.]+ mm",
        "report.html",
        "latency=2",
    ):
        assert re.search(expected, printed), printed


def test_no_page_has_snippets_that_no_test_runs():
    assert {page for page in PAGES if blocks(page)} == {
        "README.md",
        "docs/index.md",
        "docs/concepts.md",
        "docs/own.md",
        "docs/scenes.md",
    }


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page):
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    fenced = re.findall(r"^```\w*\n(.*?)^```", text(page), flags=re.DOTALL | re.MULTILINE)
    written = "\n".join([*fenced, *code(text(page))])
    assert set(re.findall(r"^make ([a-z]+)", written, flags=re.MULTILINE)) <= rules


@pytest.mark.parametrize("page", PAGES)
def test_extras_exist(page):
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", text(page))) <= set(extras)


@pytest.fixture(scope="module")
def helped() -> dict[str, str]:
    """What every command prints with --help, and armctl itself under ""."""
    found, before = {}, dict(os.environ)
    for name in ("", *cli.COMMANDS):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert cli.main([*name.split(), "--help"]) == 0, name
        found[name] = printed.getvalue()
    os.environ.clear()
    os.environ.update(before)
    return found


def test_commands_exist(helped):
    (tour,) = blocks("docs/commands.md", "<!-- cli -->\n```")
    for line in tour.splitlines():
        words = line.split("  #")[0].split()[1:]
        command = max((name for name in helped if name and name == " ".join(words[: len(name.split())])), key=len)
        assert command in helped[""], line
        for flag in re.findall(r"--[a-z-]+", line):
            assert flag in helped[command], line
        if command == "tune":
            assert words[1] in known(), line


def test_common_flags_are_on_the_commands_that_are_named(helped):
    writing = {name for name in cli.COMMANDS if "--out " in helped[name]}
    groups = {"train": [name for name in cli.COMMANDS if name.startswith("train ")]}
    groups["train tracker"] = ["train tracker", "train tracker_mlp"]
    for flag, _, on in table("docs/commands.md", "flag"):
        named = {name for word in code(on) for name in groups.get(word, [word])}
        expected = named or {"all": set(cli.COMMANDS), "all that write": writing}[on]
        having = {name for name in cli.COMMANDS if re.search(rf"(?<![\w.-]){code(flag)[0]}(?![\w-])", helped[name])}
        assert having == expected, flag


def test_environments_are_described_as_they_are():
    rows = table("docs/environments.md", "arm")
    assert {name for row in rows for name in code(row[-1])} == set(env_ids())
    for robot, row in zip(("panda", "iiwa14", "ur5e", "xarm6", "gen3", "planar3"), rows, strict=True):
        assert robot in ROBOTS
        facts = describe(armctl.load_chain(robot), Path(armctl.load_chain(robot).source))
        assert row[1:4] == [f"{facts['dof']}", f"{facts['reach_m']:.2f}", f"{facts['payload_range_kg']:.1f}"]
        assert f"armctl/{robot.capitalize()}Reach-v1" in row[-1]


def test_rewards_are_described_as_they_are():
    rows = table("docs/environments.md", "term")
    assert {code(name)[0]: float(weight.replace("−", "-")) for name, weight, _ in rows} == WEIGHTS["dense"]


def test_scenarios_are_described_as_they_are():
    page = "docs/environments.md"
    row = next(values for name, values in table(page, "argument") if name == "`scenario`")
    assert set(code(row)) - {"Scenario"} == set(PRESETS)
    assert [code(name)[0] for name, _ in table(page, "preset")] == list(PRESETS)
    assert {name for row in table(page, "field") for name in code(row[0])} == {f.name for f in fields(Scenario)}


def test_controllers_are_described_as_they_are():
    written = {code(name)[0]: (family, control) for name, family, control, _ in table("docs/concepts.md", "name")}
    assert written == {name: (cls.family, cls.control) for name, cls in known().items()}
    attributes = {code(name)[0] for name, _, _ in table("docs/own.md", "class attribute")}
    assert attributes == {name for name, value in vars(base.Controller).items() if isinstance(value, str | int)} - {
        name for name in vars(base.Controller) if name.startswith("_")
    }


def test_every_metric_is_described():
    rest = np.tile([0.0, 0, 0, 0, 0, 0, 1], (5, 1))
    joints, steps = np.zeros((5, 2)), np.zeros(4, bool)
    still = Episode(0.01, 5, rest, rest, joints, joints, joints[1:], joints[1:], steps, steps, 1.0 * steps)
    written = set(code(text("docs/metrics.md")))
    families = tuple(name.rstrip("…") for name in written if name.endswith("…"))
    for name in episode_metrics(still):
        assert name in written or name.startswith(families) or name.replace("end_", "within_") in written, name


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", text(page)):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert link.startswith("http") or target.exists(), link
        if anchor and not anchor.startswith("armctl."):  # those are made from docstrings; `make docs` looks at them
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, link
    for path in code(text(page)):
        if re.fullmatch(r"(armctl|envs|assets|experiments|tests|docs)/([\w/.]+\.\w+|[\w/]*/)", path):
            assert (ROOT / path).exists(), path
        if page == "experiments/README.md" and path.endswith(".py"):
            assert (ROOT / "experiments" / path).exists(), path


def test_every_module_stands_in_the_reference():
    roots = [root for page in DOCS for root in re.findall(r"^::: (\S+)", text(page), flags=re.MULTILINE)]
    assert len(set(roots)) == len(roots)
    not_to_be_called = ("", "cli", "commands", "__main__", "moved", "assets")
    for name in house.modules():
        shown = [root for root in roots if f"{name}.".startswith(f"{root}.")]
        assert len(shown) == (house.room(name) not in not_to_be_called), name


def test_result_blocks_are_marked_for_the_script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import readme_results

    pages = {path: text(str(path)) for path in readme_results.Args().pages}
    for name in readme_results.BLOCKS:
        renewed = readme_results.replace_block(pages, name, "new")
        (changed,) = [path for path in pages if renewed[path] != pages[path]]
        assert f"<!-- results:{name} -->\nnew\n<!-- /results -->" in renewed[changed]
        assert len(renewed[changed]) < len(pages[changed])
    with pytest.raises(armctl.UsageError, match="There are 2 blocks"):
        readme_results.replace_block({**pages, Path("again.md"): text("docs/results.md")}, "identify", "new")
    sys.modules.pop("readme_results")


def test_version_is_in_the_changelog():
    assert armctl.__version__ in text("CHANGELOG.md")
