"""Controllers × plants: known rows give a known matrix, failures never pass for accuracy, and nothing changes order."""

from dataclasses import replace

import numpy as np
import pytest

from armctl import store
from armctl.bench import curves, run
from armctl.bench.grid import GRID, TITLES, flat_rows, make_grid, markdown
from armctl.bench.plan import BenchConfig, make_tasks
from armctl.bench.records import read_table
from armctl.bench.summary import paired_order
from armctl.commands.bench import load_scenarios
from armctl.commands.console import bench_table
from armctl.errors import UsageError
from armctl.plant.presets import PRESETS, rated_payload
from armctl.plant.scenario import Scenario, plant_params
from armctl.plot_style import HEAT
from armctl.report.heat import heat_map, ink_on, shade
from armctl.report.page import write_report
from tests.bench.arms import CHAIN, Follow, reach

FAMILIES = {"limit": "oracle", "sure": "classical", "bold": "learned"}
ERRORS = {"limit": 0.1, "sure": 2.0, "bold": 0.5}
PLANTS = ("payload", "nominal")


def rows(name, failing=(), scale=1.0):
    """Four episodes on each plant; those with a number in `failing` fail on `nominal`."""
    found = []
    for plant in PLANTS:
        for draw in range(4):
            failed = plant == "nominal" and draw in failing
            error = 1000.0 if failed else ERRORS[name] * scale * (1 + draw)
            found.append(
                {"controller": name, "suite": "s", "reference": "r", "scenario": plant, "draw": draw}
                | {"position_rmse_mm": error, "orientation_rmse_deg": 180.0 if failed else error / 2}
                | {"failure": "diverges" if failed else "", "cautious_s": 0.2 if error > 3 else 0.01}
            )
    return paired_order(found)


def table(**failing):
    return {name: rows(name, failing.get(name, ())) for name in FAMILIES}


def test_known_rows_give_the_known_grid():
    grid = make_grid(table(), FAMILIES, PLANTS)
    assert list(grid["plants"]) == list(PLANTS)
    assert {plant: facts["title"] for plant, facts in grid["plants"].items()} == {name: name for name in PLANTS}
    cell = grid["cells"]["bold"]["payload"]
    assert (cell["episodes"], cell["failures"], cell["flagged"]) == (4, 0, 0)
    assert grid["cells"]["sure"]["payload"]["flagged"] == 3
    assert cell["position_rmse_mm"]["iqm"] == pytest.approx(1.25)
    assert cell["position_rmse_mm"]["p90"] == pytest.approx(1.85)
    assert cell["position_rmse_mm"]["max"] == 2.0
    assert cell["orientation_rmse_deg"]["iqm"] == pytest.approx(0.625)
    assert cell["times_oracle"] == pytest.approx({"iqm": 5.0, "low": 5.0, "high": 5.0})


def test_the_oracle_is_once_as_bad_as_itself_and_wins_nothing():
    grid = make_grid(table(limit=(2,)), FAMILIES, PLANTS)
    assert grid["oracle"] == "limit"
    for cell in grid["cells"]["limit"].values():
        assert cell["times_oracle"] == {"iqm": 1.0, "low": 1.0, "high": 1.0}
    assert {facts["best"] for facts in grid["plants"].values()} == {"bold"}
    alone = make_grid({"limit": rows("limit")}, FAMILIES, PLANTS)
    assert alone["plants"]["payload"]["best"] == "limit"
    without = make_grid({name: rows(name) for name in ("sure", "bold")}, FAMILIES, PLANTS)
    assert without["oracle"] is None
    assert without["cells"]["bold"]["payload"]["times_oracle"] is None


def test_one_failure_costs_the_first_place_however_small_the_error():
    """One of four is what an interquartile mean does not see."""
    grid = make_grid(table(bold=(3,)), FAMILIES, PLANTS)
    cells = {name: grid["cells"][name]["nominal"] for name in ("bold", "sure")}
    assert cells["bold"]["position_rmse_mm"]["iqm"] < cells["sure"]["position_rmse_mm"]["iqm"]
    assert cells["bold"]["failures"] == 1
    assert cells["bold"]["position_rmse_mm"]["max"] == 1000
    assert grid["plants"]["nominal"]["best"] == "sure"
    assert grid["plants"]["payload"]["best"] == "bold"
    fewer = make_grid(table(bold=(2, 3), sure=(0, 1, 2)), FAMILIES, PLANTS)
    assert fewer["plants"]["nominal"]["best"] == "bold"


def test_one_plant_makes_no_grid():
    assert make_grid(table(), FAMILIES, ["payload"]) == {}


def test_files_and_table_say_the_same():
    grid = make_grid(table(bold=(3,)), FAMILIES, PLANTS)
    flat = flat_rows(grid)
    assert [(row["controller"], row["plant"]) for row in flat] == [
        (name, plant) for name in FAMILIES for plant in PLANTS
    ]
    assert [row["best"] for row in flat] == [0, 0, 0, 1, 1, 0]
    head, _, payload, nominal, _, key = markdown(grid).splitlines()
    assert head == "| plant | limit | sure | bold |"
    low, high = (f"{grid['cells']['bold']['payload']['position_rmse_mm'][key]:.3g}" for key in ("low", "high"))
    assert payload.split(" | ")[1].startswith("0.25 [")
    assert payload.split(" | ")[3] == f"*1.25 [{low}, {high}] ×5 |"
    assert "✗1" in nominal.split("|")[-2]
    assert "over 4 episodes per plant" in key


def test_the_grid_is_made_of_presets_and_the_word_stands_for_them():
    assert set(GRID) <= set(PRESETS)
    assert len(set(TITLES.values())) == len(GRID)
    assert max(map(len, TITLES.values())) <= 8
    assert load_scenarios("grid") == list(GRID)
    assert load_scenarios("everything,grid,nominal") == ["everything", *GRID]
    tasks = make_tasks(BenchConfig(robot="planar3"), CHAIN, {"s": [reach("a", 0.2)]}, GRID)
    assert [task.scenario_name for task in tasks] == list(GRID)


def test_shades_are_in_the_order_of_errors_and_can_be_read_upon():
    light = [sum(int(shade(error)[k : k + 2], 16) for k in (1, 3, 5)) for error in np.geomspace(1e-3, 1e4, 30)]
    assert light == sorted(light, reverse=True)
    assert (shade(0.0), shade(1000.0)) == (HEAT[0], HEAT[-1])
    assert ink_on(HEAT[0]) != ink_on(HEAT[-1])


CONFIG = BenchConfig(robot="planar3", batch=8, hold=0.0)
SUITES = {"short": [reach("near", 0.2, 31), reach("far", 0.4, 41)]}
SCENARIOS = {"rough": Scenario(viscous=0.3), "even": Scenario(), "late": Scenario(latency=2)}


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    """A folder in which the curves were interrupted once; its controllers, and the summary."""
    out = tmp_path_factory.mktemp("grid") / "run"
    oracle = Follow(40.0)
    oracle.name, oracle.title, oracle.family = "limit", "Limit", "oracle"
    controllers = {"mine": Follow(20.0), "limit": oracle, "broken": Follow(4.0, poison=10)}
    run.run_bench(controllers, SUITES, SCENARIOS, out, config=CONFIG, progress=False)
    record, calls = run._record, []

    def interrupt(*arguments):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(arguments)
        record(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_record", interrupt)
        with pytest.raises(KeyboardInterrupt):
            curves.run_curves(CONFIG, controllers, SUITES, out, progress=False)
    assert "curves" not in store.read_json(out / "summary.json")
    with pytest.raises(UsageError, match="already exists"):
        curves.run_curves(CONFIG, controllers, SUITES, out, progress=False)
    return out, controllers, curves.run_curves(CONFIG, controllers, SUITES, out, resume=True, progress=False)


def test_a_bench_shows_its_plants_in_the_order_given(benched):
    out, _, summary = benched
    assert list(summary["grid"]["plants"]) == list(SCENARIOS)
    assert list(summary["grid"]["cells"]) == ["mine", "limit", "broken"]
    assert [row["plant"] for row in store.read_rows(out / "grid.csv")] == 3 * list(SCENARIOS)
    assert (out / "grid.md").read_text() == markdown(summary["grid"])
    lines = bench_table(summary).splitlines()
    places = [next(k for k, line in enumerate(lines) if line.startswith(name)) for name in ("plant", *SCENARIOS)]
    assert places == list(range(places[0], places[0] + 4))


def test_a_resumed_bench_has_the_same_grid(benched, tmp_path):
    out, controllers, summary = benched
    before = summary["grid"]
    again = run.run_bench(controllers, SUITES, SCENARIOS, out, config=CONFIG, resume=True, progress=False)
    assert again["grid"] == before
    assert again["grid"] == make_grid(
        read_table(out, list(controllers)),
        {name: facts["family"] for name, facts in summary["given"].items()},
        list(SCENARIOS),
    )
    store.write_json(out / "summary.json", summary)


def test_points_of_curves_are_plants_that_differ_in_one_thing():
    points = curves.curve_scenarios(CHAIN)
    assert len(points) == sum(len(curve.values) for curve in curves.CURVES.values())
    assert [points[f"delay {k}"].latency for k in range(7)] == list(range(7))
    assert points["payload 2"].payload_mass == pytest.approx(2 * rated_payload(CHAIN))
    assert points["friction 6"].coulomb == pytest.approx(0.06 * CHAIN.effort)
    middle = points["payload 0.5"]
    assert replace(points["delay 1"], latency=1) == middle == replace(points["friction 0"], coulomb=0.0)
    for scenario in points.values():
        plant_params(CHAIN, scenario)


def test_curves_know_failures_and_leave_the_bench_as_it_is(benched):
    out, controllers, summary = benched
    alone = run.write_summary(out, summary["given"], 0.0)
    store.write_json(out / "summary.json", summary)
    assert summary["controllers"] == alone["controllers"]
    assert summary["grid"] == alone["grid"]
    for block in summary["curves"].values():
        assert list(block["cells"]) == list(controllers)
        assert {len(cells) for cells in block["cells"].values()} == {len(block["values"])}
        assert all(cell["failures"] == cell["episodes"] == 2 for cell in block["cells"]["broken"])
        assert all(cell["times_oracle"]["iqm"] == 1 for cell in block["cells"]["limit"])


def test_the_report_shows_grid_and_curves(benched):
    out, _, summary = benched
    shown = heat_map(summary)
    assert shown.count("✗ all failed") == 3
    assert shown.count('class="top"') == 3
    assert shown.count("×") == 3  # mine; the oracle is not compared with itself, where all failed there is no ratio
    places = [shown.index(f"<td>{name}") for name in SCENARIOS]
    assert places == sorted(places)
    text = write_report(out, animation=False).read_text()
    assert shown in text
    for curve in curves.CURVES.values():
        assert f">{curve.label}<" in text
