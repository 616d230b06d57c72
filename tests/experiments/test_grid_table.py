"""The README's grid: what is best stands out, what fails is said; too few episodes make no table."""

import runpy
import sys
from pathlib import Path

import pytest

from armctl import UsageError
from tests.bench.test_grid import FAMILIES, PLANTS, make_grid, rows

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def readme(monkeypatch):
    """The script that writes result blocks."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import readme_results

    yield readme_results
    sys.modules.pop("readme_results")


@pytest.fixture
def summary():
    """Of three controllers, of which one fails once and one always on `nominal`."""
    table = {"limit": rows("limit"), "sure": rows("sure", range(4)), "bold": rows("bold", (3,))}
    given = {name: {"trained_on": "payload" if name == "bold" else ""} for name in table}
    versions = {"python": "3.11"}
    return {
        "grid": make_grid(table, FAMILIES, PLANTS), "given": given, "caveats": ["Errors count at once."],
        "comparison": {"subject": "bold"},
        "versions": versions, "machine": {"cpu": "cpu", "cores": 2},
    }  # fmt: skip


def test_best_is_bold_and_failures_are_marked(readme, summary):
    head, _, payload, nominal, _, facts, *_ = readme.grid_block(summary).splitlines()
    assert head == "| position RMSE, mm | `bold` | to the oracle | `limit` | best of the others |"
    assert payload.startswith("| payload | **1.2** [")
    assert payload.endswith("] | ×5.0 | 0.25 | 5.0 `sure` |")
    assert nominal.startswith("| nominal | **")
    assert "] †1 | ×" in nominal
    assert nominal.endswith("| 0.25 | †all `sure` |")
    assert "4 episodes per plant" in facts
    assert "`bold` is the best on all." in facts
    assert "out of its depth in episodes of: nominal." in facts
    assert "The others are `sure`." in facts


def test_where_it_is_not_the_best_is_said(readme, summary):
    table = {"limit": rows("limit"), "sure": rows("sure", scale=0.1), "bold": rows("bold")}
    *_, facts, _, _ = readme.grid_block({**summary, "grid": make_grid(table, FAMILIES, PLANTS)}).splitlines()
    assert "`bold` is not the best on: payload, nominal." in facts


def test_all_controllers_stand_in_the_full_table(readme, summary):
    lines = readme.full_grid_block(summary).splitlines()
    assert lines[0] == "| plant | limit | sure | bold |"
    assert "`bold` on payload; the others have their default gains" in lines[-3]


def test_the_block_is_written_where_its_marks_are(readme, summary, tmp_path):
    from armctl import store

    page, none = tmp_path / "page.md", tmp_path / "none"
    store.write_json(tmp_path / "grid" / "summary.json", summary)
    folders = dict.fromkeys(readme.BLOCKS, none) | {"grid": tmp_path / "grid", "pages": (page,)}
    page.write_text("nothing")
    with pytest.raises(UsageError, match="must be one"):
        readme.main(readme.Args(**folders))
    page.write_text("<!-- results:grid -->\n<!-- /results -->")
    readme.main(readme.Args(**folders))
    assert "| payload |" in page.read_text()


def test_a_column_needs_its_episodes():
    script = runpy.run_path(str(FOLDER / "grid.py"))
    args = script["Args"](robot="planar3", suites=("shapes",), references=2)
    with pytest.raises(UsageError, match="make 2 episodes per plant; the table needs 24"):
        script["main"](args)
