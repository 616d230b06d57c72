"""One name for one thing: every command knows the names of today, and understands those of before."""

from importlib import import_module

import pytest

from armctl import cli
from armctl.commands.names import EITHER, OLD, TRAINING, current
from armctl.commands.parsing import arguments_of, options

TRAINS = [name for name in cli.COMMANDS if name.startswith("train ") or name in ("tune", "demo")]


def known(name):
    """The flags and positional arguments of a command."""
    module, function = cli.COMMANDS[name][0].split(":")
    return options(arguments_of(getattr(import_module(f"armctl.commands.{module}"), function)))


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_prints_json(name):
    assert "--json" in known(name)


@pytest.mark.parametrize("name", TRAINS)
def test_what_trains_has_one_seed(name):
    assert [flag for flag in known(name) if flag.endswith("seed")] == ["--seed"]


@pytest.mark.parametrize("name", OLD)
def test_what_learns_from_gradients_is_asked_alike(name):
    flags = known(name)
    assert {"--updates", "--batch", "--learning-rate", "--clip", "--chunk", "--max-nonfinite"} <= set(flags)
    assert not [flag for flag in flags if flag.endswith(".steps")]
    assert "--data" in flags or name == "demo"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_no_command_has_two_names_for_one_thing(name):
    flags = known(name)
    assert len(set(flags)) == len(flags)
    assert not set(flags) & set(OLD.get(name, {}))
    for thing in EITHER:
        assert len({f"--{thing}", f"--{thing}s", thing.upper()} & set(flags)) <= 1


@pytest.mark.parametrize(("name", "old"), [(name, old) for name, table in OLD.items() for old in table])
def test_old_names_are_understood_with_a_hint(name, old):
    flags, new = known(name), OLD[name][old]
    if old.endswith("."):
        of_all = [flag for flag in flags if flag.startswith(new) and old + flag.removeprefix(new) not in OLD[name]]
        pairs = [(old + flag.removeprefix(new), flag) for flag in of_all]
    else:
        pairs = [(old, new)]
    for before, now in pairs:
        hint = [f"{before} is now called {now}"]
        assert current([before, "1"], name, flags) == ([now, "1"], hint)
        assert current([f"{before}=1"], name, flags) == ([f"{now}=1"], hint)
        assert current([f"{now}=1", "x"], name, flags) == ([f"{now}=1", "x"], [])


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_one_or_several_is_no_question_of_spelling(name):
    flags = known(name)
    for thing in EITHER:
        for given in (f"--{thing}", f"--{thing}s"):
            words, hints = current([given, "x", f"{given}=y"], name, flags)
            assert hints == []
            if thing.upper() in flags:
                assert words == ["x", "y"]
            elif {f"--{thing}", f"--{thing}s"} & set(flags):
                assert set(words) & set(flags)
            else:
                assert words == [given, "x", f"{given}=y"]


def test_the_arm_whose_twin_is_audited_is_named_like_any_other():
    flags = known("doctor")
    assert current(["--twin", "ur5e", "--json"], "doctor", flags)[0] == ["--twin", "--robot", "ur5e", "--json"]
    assert current(["--twin=ur5e"], "doctor", flags)[0] == ["--twin", "--robot=ur5e"]
    for argv in (["--twin"], ["--twin", "--robot", "ur5e"], ["--robot", "ur5e", "--twin"]):
        assert current(argv, "doctor", flags) == (argv, [])


@pytest.mark.parametrize(
    ("argv", "hint", "word"),
    [
        (["tune", "diff_ik", "--train.updates", "0"], "--train.updates is now called --updates", "updates is 0"),
        (
            ["tune", "diff_ik", "--train.gain_rate=nan"],
            "--train.gain_rate is now called --gain-rate",
            "gain_rate is nan",
        ),
        (["train", "generator", "--demonstrations", "none"], "--demonstrations is now called --data", "none"),
        (["tune", "--controller", "storm"], "", "storm"),
        (["bench", "--scenario", "storm"], "", "storm"),
        (["tune", "diff_ik", "--train.updatez", "3"], "", "--train.updatez"),
    ],
)
def test_the_hint_stands_above_what_comes_of_it(capfd, argv, hint, word):
    assert cli.main(argv) == 2
    *hints, said = capfd.readouterr().err.splitlines()
    assert hints == [hint] * bool(hint)
    assert word in said


def test_one_seed_is_the_seed_of_everything(monkeypatch):
    from armctl.commands import training

    seen = []
    monkeypatch.setattr(training, "run_in_folders", lambda work, runs, *rest, **options: seen.extend(runs.values()))
    monkeypatch.setattr(training, "training_references", lambda *args: ([], None))
    monkeypatch.setattr(training, "_last", lambda folder: {"position_rms_mm": 1.0})
    assert cli.main(["tune", "diff_ik", "--robot", "planar3", "--seed", "7", "--max-nonfinite", "9"]) == 0
    assert (seen[0].seed, seen[0].train.seed, seen[0].train.patience) == (7, 7, 9)
    assert TRAINING["--train.seed"] == "--seed"
