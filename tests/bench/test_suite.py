"""Suites: the named ones, the user's folder, and the sentence for anything else."""

import warnings

import pytest

from armctl import cli
from armctl.bench import suite
from armctl.errors import UsageError
from armctl.motion.files import save_reference
from armctl.motion.reference import over_limits
from tests.bench.arms import CHAIN, reach


def test_a_folder_of_references_is_a_suite(tmp_path):
    for name in ("b", "a", "c"):
        save_reference(reach(name, 0.2), tmp_path / f"{name}.npz")
    assert [one.name for one in suite.load_suite(str(tmp_path), CHAIN)] == ["a", "b", "c"]
    assert len(suite.load_suite("generated", CHAIN, generated=tmp_path, limit=2)) == 2
    assert suite.suite_name(str(tmp_path)) == tmp_path.name


@pytest.mark.parametrize("words", [["{}"], ["generated", "--generator", "{}"]])
def test_references_over_the_limits_are_named_once_by_what_they_are_on_the_grid(tmp_path, capsys, words):
    hasty = reach("hasty", 2.5, samples=8, dt=0.1)
    save_reference(hasty, tmp_path / "given" / "hasty.npz")
    argv = ["suite", *(word.format(tmp_path / "given") for word in words), "--robot", "planar3"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main([*argv, "--out", str(tmp_path / "out")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if " limit of " in line]
    assert said == [f"armctl: {over_limits(hasty.resampled(CHAIN, 0.01), CHAIN)}"]
    assert over_limits(hasty, CHAIN) != over_limits(hasty.resampled(CHAIN, 0.01), CHAIN)


def test_references_that_are_not_from_files_are_looked_at_too():
    with pytest.warns(UserWarning, match=r"'hasty' asks .* limit of ") as caught:
        suite.load_suite("generated", CHAIN, generated=[reach("hasty", 2.5, samples=41)])
    assert len(caught) == 1


def test_unknown_suite_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'sheyps'.*shapes, iso9283, corpus, generated"):
        suite.load_suite("sheyps", CHAIN)


def test_generated_suite_without_references_says_how_to_get_some():
    with pytest.raises(UsageError, match="armctl sample"):
        suite.load_suite("generated", CHAIN)
    with pytest.raises(UsageError, match="empty"):
        suite.load_suite("generated", CHAIN, generated=[])
