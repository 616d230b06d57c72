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
        "versions": versions, "machine": {"cpu": "cpu", "cores": 2},
    }  # fmt: skip


def test_best_is_bold_and_failures_are_marked(readme, summary):
    head, _, limit, sure, bold, _, facts, *_ = readme.grid_block(summary).splitlines()
    assert head == "| position RMSE, mm | payload | nominal |"
    assert limit == "| `limit` | 0.25 | 0.25 |"
    assert sure == "| `sure` | 5.0 | †all |"
    assert bold.startswith("| `bold` | **1.2** | **")
    assert bold.endswith("** †1 |")
    assert "4 episodes per plant" in facts
    assert "`bold` on payload; the others have their default gains" in facts


def test_the_block_is_written_where_its_marks_are(readme, summary, tmp_path):
    from armctl import store

    page, none = tmp_path / "page.md", tmp_path / "none"
    store.write_json(tmp_path / "grid" / "summary.json", summary)
    folders = dict.fromkeys(readme.BLOCKS, none) | {"grid": tmp_path / "grid", "pages": (page,)}
    for before, written in (("nothing", False), ("<!-- results:grid -->\n<!-- /results -->", True)):
        page.write_text(before)
        readme.main(readme.Args(**folders))
        assert ("| `limit` |" in page.read_text()) == written


def test_a_column_needs_its_episodes():
    script = runpy.run_path(str(FOLDER / "grid.py"))
    args = script["Args"](robot="planar3", suites=("shapes",), references=2)
    with pytest.raises(UsageError, match="make 2 episodes per plant; the table needs 24"):
        script["main"](args)
