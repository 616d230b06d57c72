"""Suites: the named ones, the user's folder, and the sentence for anything else."""

import pytest

from armctl.bench import suite
from armctl.errors import UsageError
from armctl.motion.files import save_reference
from tests.bench.arms import CHAIN, reach


def test_a_folder_of_references_is_a_suite(tmp_path):
    for name in ("b", "a", "c"):
        save_reference(reach(name, 0.2), tmp_path / f"{name}.npz")
    assert [one.name for one in suite.load_suite(str(tmp_path), CHAIN)] == ["a", "b", "c"]
    assert len(suite.load_suite("generated", CHAIN, generated=tmp_path, limit=2)) == 2
    assert suite.suite_name(str(tmp_path)) == tmp_path.name


def test_unknown_suite_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'sheyps'.*shapes, iso9283, corpus, generated"):
        suite.load_suite("sheyps", CHAIN)


def test_generated_suite_without_references_says_how_to_get_some():
    with pytest.raises(UsageError, match="armctl sample"):
        suite.load_suite("generated", CHAIN)
    with pytest.raises(UsageError, match="empty"):
        suite.load_suite("generated", CHAIN, generated=[])
