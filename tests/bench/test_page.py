"""The report in a browser: its tables, their copies, its plots, light and dark, narrow and wide."""

import csv
import io
import re
from html import escape

import jax.numpy as jnp
import pytest

from armctl import store
from armctl.bench import run
from armctl.bench.plan import BenchConfig
from armctl.plant.scenario import Scenario
from armctl.report.page import write_report
from armctl.report.several_runs import write_comparison
from armctl.report.theme import number, page, table
from tests.bench.arms import Follow, reach
from tests.bench.browser import CHROMIUM, opened

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")

CELLS = """
found([...document.querySelectorAll("table")].map((table) => [...table.rows].map((row) =>
  [...row.cells].map((cell) => cell.textContent))));
"""
COPIES = """
const buttons = [...document.querySelectorAll(".copy button")];
buttons.forEach((button) => button.click());
setTimeout(() => found([caught, buttons.map((button) => button.textContent)]), 200);
"""
CLIPBOARD = """const caught = [];
Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => caught.push(text) } });
"""
REFUSED = """const caught = [], refused = async () => { throw new Error("not allowed"); };
Object.defineProperty(navigator, "clipboard", { value: { writeText: refused } });
document.execCommand = () => { caught.push(document.activeElement.value); return true; };
"""
PICTURES = "const pictures = () => [...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL());"
SCRUB = f"""{PICTURES}
const before = pictures(), time = document.querySelector('[data-is="time"]');
time.value = Math.floor(time.max / 2); time.dispatchEvent(new Event("input"));
const after = pictures(), heads = [...document.querySelectorAll("#replay h4")].map((head) => head.textContent);
found([heads, before.map((picture, k) => picture !== after[k])]);
"""
TOGGLE = f"""{PICTURES}
const button = document.querySelector("button.theme"), ground = () => getComputedStyle(document.body).backgroundColor;
const seen = () => [button.textContent, ground(), localStorage.getItem("armctl-theme"), pictures().join()];
const first = seen(); button.click(); const second = seen(); button.click(); found([first, second, seen()]);
"""
FRAMED = """<!doctype html><html><head><title></title></head><body>
<iframe style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe></body></html>"""
WIDTH = """const root = document.querySelector("iframe").contentDocument.documentElement;
found([root.scrollWidth, root.clientWidth]);"""


class Telling(Follow):
    """One that says what load it takes itself to carry."""

    def estimates(self, carry):
        return {
            "payload_mass": 0.1 * carry,
            "payload_mass_deviation": 0.2 + 0 * carry,
            "guess": jnp.stack([carry] * 3, -1),
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bench(tmp_path_factory.mktemp("bench") / "run", {"good": Telling(20.0), "broken": Follow(4.0, poison=10)})


@pytest.fixture(scope="module")
def compared(folder, tmp_path_factory):
    other = bench(tmp_path_factory.mktemp("bench") / "other", {"good": Telling(12.0), "poor": Follow(4.0)})
    return write_comparison([folder, other])


def bench(out, rivals):
    suites = {"short": [reach("near", 0.2, 31), reach("far", 0.4, 41)]}
    plants = {"nominal": Scenario(), "loaded": Scenario(payload_mass=0.3)}
    run.run_bench(rivals, suites, plants, out, config=BenchConfig("planar3"), progress=False)
    write_report(out, animation=False)
    return out


@pytest.mark.parametrize("which", ["report", "comparison"])
def test_no_cell_of_a_table_is_empty_or_no_number(folder, compared, which):
    tables = opened(folder / "report.html" if which == "report" else compared, CELLS)
    assert len(tables) >= 4
    for rows in tables:
        assert len({len(row) for row in rows}) == 1
        for cell in (cell for row in rows for cell in row):
            assert cell.strip()
            assert not re.search(r"\b(NaN|nan|None|null|undefined|Infinity|inf)\b", cell)


@pytest.mark.parametrize("way", [CLIPBOARD, REFUSED])
def test_the_buttons_copy_what_the_tables_say(folder, way):
    caught, said = opened(folder / "report.html", COPIES, before=way)
    assert set(said) == {"copied"}
    latex, sheets = caught[::2], [list(csv.DictReader(io.StringIO(text))) for text in caught[1::2]]
    controllers = next(rows for rows in sheets if "Position RMSE mm high" in rows[0])
    blocks = store.read_json(folder / "summary.json")["controllers"]
    for row in controllers:
        value = blocks[row["Controller"].strip("†").lower()]["position_rmse_mm"]
        for end, key in (("", "iqm"), (" low", "low"), (" high", "high")):
            assert float(row[f"Position RMSE mm{end}"]) == float(number(value[key]).replace(",", ""))
        assert 0 <= float(row["Time within 5 mm, 5° %"]) <= 100
    for text in latex:
        body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
        columns = len(re.search(r"\{tabular\}\{([lr]+)\}", text)[1])
        rows = re.findall(r"^(.*) \\\\$", body, flags=re.MULTILINE)
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}


def test_what_latex_and_csv_would_misread_is_escaped(tmp_path):
    path, strange = tmp_path / "page.html", "a_b & 5 % $#{}~^\\ é"
    rows = [[escape(strange), "1,234<small>[1,000, 2,000]</small>"], ['say "x", y', "–"]]
    path.write_text(page("x", table(["name", "size<br>mm"], rows)))
    latex, sheet = opened(path, 'found([page.latex, page.csv].map((of) => of(document.querySelector("table"))));')
    written = r"a\_b \& 5 \% \$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{} é"
    assert rf"{written} & 1,234 {{\scriptsize [1,000, 2,000]}} \\" in latex
    assert "{lr}" in latex
    assert list(csv.reader(io.StringIO(sheet))) == [
        ["name", "size mm", "size mm low", "size mm high"],
        [strange, "1234", "1000", "2000"],
        ['say "x", y', "", "", ""],
    ]


def test_the_plots_follow_the_clock(folder):
    heads, moved = opened(folder / "report.html", SCRUB)
    each = ["Joint positions, rad", "Torques, N m", "Commands, rad/s"]
    assert heads == ["Position error, mm", "Orientation error, deg", *each, *each, "Payload, kg", "Guess"]
    assert len(moved) == 2 + len(heads)
    assert all(moved[0:1] + moved[2:])


def test_light_and_dark_are_remembered(folder):
    first, second, third = opened(folder / "report.html", TOGGLE)
    assert (first[0], second[0]) == ("Dark", "Light")
    assert first[1] != second[1] == "rgb(17, 22, 29)"
    assert [first[2], second[2], third[2]] == [None, "dark", "light"]
    assert first[3] != second[3]
    assert first[3] == third[3]
    again = opened(folder / "report.html", TOGGLE, before='localStorage.setItem("armctl-theme", "dark");')
    assert again[0][:2] == second[:2]


@pytest.mark.parametrize("width", [390, 1920])
def test_nothing_is_wider_than_the_screen(folder, compared, tmp_path, width):
    for path in (folder / "report.html", compared):
        frame = tmp_path / "frame.html"
        frame.write_text(FRAMED.format(width=width, page=escape(path.read_text())))
        needed, given = opened(frame, WIDTH)
        assert needed <= given <= width
