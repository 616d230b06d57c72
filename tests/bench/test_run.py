"""A bench is paired, resumable, honest about failures, and never harms an existing folder."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from armctl import store
from armctl.arm import load_arm
from armctl.bench import run
from armctl.bench.finish import change_subject
from armctl.bench.plan import BenchConfig, make_tasks
from armctl.bench.records import read_table, read_tracks
from armctl.bench.summary import compare
from armctl.bench.tuning import describe_tuning
from armctl.controllers import load, make, save
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario
from armctl.report.page import write_report
from armctl.report.theme import number
from tests.bench.arms import CHAIN, Follow, reach

CONFIG = BenchConfig(robot="planar3", draws=2, batch=2, hold=0.1)
SUITES = {"short": [reach("near", 0.2, 31), reach("far", 0.4, 41)]}
SCENARIOS = {"nominal": Scenario(), "friction": Scenario(viscous=0.3, velocity_noise=1e-3)}
TIMING = ("action_us",)


def controllers():
    classical = Follow(4.0)
    classical.name, classical.title, classical.family = "diff_ik", "Differential IK", "classical"
    return {"tracker": Follow(20.0), "diff_ik": classical, "broken": Follow(4.0, poison=10)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "run"
    return out, run.run_bench(controllers(), SUITES, SCENARIOS, out, config=CONFIG, progress=False)


def comparable(folder):
    rows = [row for rows in read_table(folder).values() for row in rows]
    keep = lambda row: {name: str(value) for name, value in row.items() if name not in TIMING}  # noqa: E731
    return sorted((keep(row) for row in rows), key=lambda row: (row["file"], row["slot"]))


def test_every_controller_meets_the_same_seeds_and_scenarios(finished):
    table = read_table(finished[0])
    identity = lambda rows: [[row[name] for name in ("suite", "reference", "scenario", "draw", "seed")] for row in rows]  # noqa: E731
    assert identity(table["tracker"]) == identity(table["diff_ik"]) == identity(table["broken"])
    assert len({row["seed"] for row in table["tracker"]}) == len(table["tracker"]) == 8


def test_draws_differ_and_depend_only_on_the_seed():
    tasks = make_tasks(CONFIG, CHAIN, SUITES, ["payload"])
    again = make_tasks(CONFIG, CHAIN, {"other": SUITES["short"], **SUITES}, ["payload", "nominal"])
    masses = {task.key: task.scenario.payload_mass for task in tasks}
    assert len(set(masses.values())) == len(masses)
    assert masses.items() <= {task.key: task.scenario.payload_mass for task in again}.items()


def test_a_better_gain_tracks_better_and_the_summary_says_so(finished):
    out, summary = finished
    blocks = summary["controllers"]
    assert blocks["tracker"]["position_rmse_mm"]["iqm"] < blocks["diff_ik"]["position_rmse_mm"]["iqm"]
    against = summary["comparison"]["against"]["diff_ik"]["position_rmse_mm"]
    assert against["difference"]["high"] < 0
    assert against["times_smaller"]["low"] > 1
    assert against["probability_of_improvement"]["probability"] == 1
    for block in blocks.values():
        value = block["position_rmse_mm"]
        assert value["low"] <= value["iqm"] <= value["high"]
    assert summary == store.read_json(out / "summary.json")


def test_a_failing_controller_is_recorded_with_its_reason_and_scored_as_the_worst(finished):
    block = finished[1]["controllers"]["broken"]
    assert len(block["failures"]) == block["episodes"] == 8
    assert "not finite at 0.11 s" in block["failures"][0]["failure"]
    assert block["position_rmse_mm"]["iqm"] == 1000


def test_the_report_is_about_whom_one_likes(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "run")
    assert finished[1]["comparison"]["subject"] == "tracker"
    changed = change_subject(out, "diff_ik")
    assert changed["comparison"]["subject"] == "diff_ik"
    assert set(changed["comparison"]["against"]) == {"tracker", "broken"}
    assert {**changed, "comparison": 0} == {**finished[1], "comparison": 0}
    with pytest.raises(UsageError, match="The subject is 'me'; choose one of the bench: tracker, diff_ik, broken"):
        change_subject(out, "me")
    with pytest.raises(UsageError, match="The subject is 'me'"):
        run.run_bench(controllers(), SUITES, SCENARIOS, tmp_path / "x", config=CONFIG, subject="me", progress=False)
    assert not (tmp_path / "x").exists()


def test_recorded_motion_gives_the_recorded_error(finished):
    rows = read_table(finished[0])["tracker"]
    for row, track in zip(rows, read_tracks(finished[0], rows), strict=True):
        error = np.linalg.norm(track.pose[: track.moving, :3] - track.reference[: track.moving, :3], axis=1)
        assert 1e3 * np.sqrt(np.mean(error**2)) == pytest.approx(row["position_rmse_mm"], abs=1e-3)
        assert error[0] < 1e-6
        assert len(track.pose) == track.moving + 10


def test_interrupted_and_resumed_equals_uninterrupted(finished, tmp_path, monkeypatch):
    record, calls = run._record, []

    def interrupt(*arguments):
        if len(calls) == 5:
            raise KeyboardInterrupt
        calls.append(arguments)
        record(*arguments)

    monkeypatch.setattr(run, "_record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run_bench(controllers(), SUITES, SCENARIOS, tmp_path / "run", config=CONFIG, progress=False)
    monkeypatch.setattr(run, "_record", record)
    with pytest.raises(
        UsageError, match="started with episode short, near, friction, draw 0, which is not asked for now"
    ):
        run.run_bench(
            controllers(),
            SUITES,
            {"nominal": Scenario()},
            tmp_path / "run",
            config=CONFIG,
            resume=True,
            progress=False,
        )
    run.run_bench(controllers(), SUITES, SCENARIOS, tmp_path / "run", config=CONFIG, resume=True, progress=False)
    assert comparable(tmp_path / "run") == comparable(finished[0])


def test_a_batch_whose_rows_were_half_written_is_run_again(finished, tmp_path):
    """A killed process may leave whole rows of a batch before the torn one."""
    out = shutil.copytree(finished[0], tmp_path / "run")
    lines = (out / "episodes.csv").read_text().splitlines(keepends=True)
    (out / "episodes.csv").write_text("".join(lines[:-1]) + lines[-1][:20])
    summary = run.run_bench(controllers(), SUITES, SCENARIOS, out, config=CONFIG, resume=True, progress=False)
    assert comparable(out) == comparable(finished[0])
    assert summary["controllers"]["broken"]["episodes"] == 8
    (out / "episodes.csv").write_text("".join(lines[:2]))  # no batch of two is whole
    run.run_bench(controllers(), SUITES, SCENARIOS, out, config=CONFIG, resume=True, progress=False)
    assert comparable(out) == comparable(finished[0])


def test_existing_folder_is_refused_and_unharmed(finished):
    before = {file: file.read_bytes() for file in finished[0].rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match="already exists"):
        run.run_bench(controllers(), SUITES, SCENARIOS, finished[0], config=CONFIG, progress=False)
    assert {file: file.read_bytes() for file in finished[0].rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suites": {"empty": []}}, "at least one reference"),
        ({"scenarios": []}, "at least one reference and one scenario"),
        ({"scenarios": ["paylod"]}, "paylod"),
        ({"controllers": {}}, "at least one controller"),
        ({"config": BenchConfig(robot="planar3", hold=-1.0)}, "hold is -1"),
        ({"config": BenchConfig(robot="planar3", physics_dt=-1.0)}, "physics steps of -1"),
        ({"config": BenchConfig(robot="planar3", control_dt=0.0123)}, "control_dt 0.0123"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(tmp_path, change, message):
    arguments = {"config": CONFIG, "controllers": controllers(), "suites": SUITES, "scenarios": SCENARIOS} | change
    with pytest.raises(UsageError, match=message):
        run.run_bench(**arguments, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_worker_processes_give_the_same_episodes(finished, tmp_path):
    run.run_bench(
        controllers(),
        SUITES,
        SCENARIOS,
        tmp_path / "run",
        config=replace(CONFIG, jobs=2),
        progress=False,
    )
    assert comparable(tmp_path / "run") == comparable(finished[0])


def test_report_is_self_contained_and_names_every_controller(finished):
    summary = store.read_json(finished[0] / "summary.json")
    store.write_json(
        finished[0] / "summary.json",
        {
            **summary,
            "generator": {
                "validity_before": 0.41,
                "validity_after": 0.96,
                "acceptance_rate": 0.9,
                "audit": {
                    "rows": {"model": {"c2st": 0.7, "feasibility": {"torque": 0.9}}, "held_out": {"c2st": 0.5}},
                    "train_validation_gap": 0.1,
                },
            },
        },
    )
    text = write_report(finished[0]).read_text()
    store.write_json(finished[0] / "summary.json", summary)
    for name in (
        "Tracker",
        "Differential IK",
        "Broken",
        "C2ST",
        "held out",
        "feasible: torque",
        "data:image/gif;base64,",
    ):
        assert name in text
    for outside in ('src="http', 'href="http', "url(http", "@import", "<script src", "<link"):
        assert outside not in text


def test_headline_and_labels_come_from_what_controllers_are_not_from_names(tmp_path):
    """Tuned controllers in folders of any name: the report still knows which of them is classical, and its title."""
    arm = load_arm("planar3")
    for folder, name in (("osc", "operational_space"), ("run7", "tracker")):
        controller = make(name, arm)
        settings = {"controller": name, "control_dt": 0.01, "preview": 4, "robot_name": arm.name}
        store.write_json(tmp_path / folder / "config.json", {"config": settings})
        save(tmp_path / folder, controller)
    rivals = {folder: load(tmp_path / folder, arm) for folder in ("osc", "run7")}
    rivals["diff_ik"] = Follow(8.0)  # not classical, whatever it is called
    summary = run.run_bench(rivals, SUITES, SCENARIOS, tmp_path / "bench", config=CONFIG, progress=False)
    assert summary["comparison"]["best_classical"] == "osc"
    assert summary["comparison"]["subject"] in ("run7", "diff_ik")
    assert {name: facts["family"] for name, facts in summary["given"].items()} == {
        "osc": "classical",
        "run7": "learned",
        "diff_ik": "yours",
    }
    text = write_report(tmp_path / "bench", animation=False).read_text()
    assert "than the best classical controller (Operational space (osc))" in text
    assert "Learned tracker (run7)" in text
    assert "Differential IK" not in text
    rows = store.read_rows(tmp_path / "bench" / "episodes.csv")
    assert {row["controller_family"] for row in rows if row["controller"] == "osc"} == {"classical"}


def test_an_oracle_is_a_limit_and_no_contender():
    row = {"suite": "s", "reference": "r", "scenario": "n", "draw": 0, "orientation_rmse_deg": 1.0}
    errors = {"oracle": 0.1, "osc": 0.2, "dob": 0.3}
    table = {name: [{**row, "position_rmse_mm": error}] * 3 for name, error in errors.items()}
    families = {"oracle": "oracle", "osc": "classical", "dob": "classical"}
    said = compare(table, families)
    assert (said["subject"], said["best_classical"]) == ("osc", "osc")
    assert compare(table, families | {"dob": "learned"})["subject"] == "dob"


def test_report_of_an_unfinished_folder_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"summary\.json"):
        write_report(tmp_path)


def test_iso_figures_of_visits_and_repetitions(tmp_path):
    still = reach("iso_poses", 0.0, 121)
    stays = {**still.meta, "dwells": [[1, 0.1, 0.3], [2, 0.4, 0.6], [1, 0.9, 1.1]]}
    suites = {"iso9283": [replace(still, meta=stays), reach("iso_line", 0.3)]}
    summary = run.run_bench(
        {"diff_ik": Follow(8.0)}, suites, {"nominal": Scenario()}, tmp_path / "run", config=CONFIG, progress=False
    )
    figures = summary["iso9283"]["diff_ik"]
    assert set(figures) == {"AP_mm", "RP_mm", "AT_mm", "RT_mm"}
    assert figures["AP_mm"] < 0.01  # an arm told to stand still stands still
    assert figures["RT_mm"] < 1e-6 < figures["AT_mm"]  # equal draws without noise repeat exactly


def test_numbers_are_written_with_so_many_digits():
    assert [number(x) for x in (0.09999, 1234.5, 0.012345, 0.0, None, float("nan"), -2.0)] == [
        "0.100",
        "1,234",
        "0.0123",
        "0",
        "–",
        "–",
        "-2.00",
    ]


def test_a_report_of_nothing_but_failures_is_written(tmp_path):
    broken = {"broken": Follow(5.0, poison=-1)}
    run.run_bench(broken, SUITES, SCENARIOS, tmp_path / "run", config=CONFIG, progress=False)
    assert "Broken" in write_report(tmp_path / "run", animation=False).read_text()


def test_tuning_is_described_from_its_run_folder(tmp_path):
    train = {"updates": 5, "batch": 8, "horizon": 16, "objective": {"effort": 0.01}}
    store.write_json(tmp_path / "config.json", {"config": {"train": train, "scenario": "payload"}})
    told = describe_tuning(tmp_path)
    assert told["tuning_budget"] == "5 updates × 8 episodes × 16 steps, scenario payload"
    assert "effort 0.01" in told["objective"]
    store.write_json(tmp_path / "summary.json", {"status": "interrupted", "last": {}})
    assert describe_tuning(tmp_path)["tuning_budget"].startswith("unfinished, 0 of 5 updates ×")
    store.append_rows(tmp_path / "metrics.csv", [{"update": 3}])
    assert describe_tuning(tmp_path)["tuning_budget"].startswith("unfinished, 3 of 5 updates ×")
    store.append_rows(tmp_path / "metrics.csv", [{"update": 5}])
    assert describe_tuning(tmp_path)["tuning_budget"].startswith("5 updates ×")
    for contraction, unstable in ((0.98, False), (1.02, True), (float("nan"), True)):
        last = {"update": 5, "validation_contraction": contraction}
        store.write_json(tmp_path / "summary.json", {"status": "finished", "last": last})
        assert (
            describe_tuning(tmp_path)["tuning_budget"].endswith("not stable on every plant of validation") == unstable
        )
    for broken in ({"train": {}, "scenario": "payload"}, {"train": train}):
        store.write_json(tmp_path / "config.json", {"config": broken})
        with pytest.raises(UsageError, match="damaged"):
            describe_tuning(tmp_path)
    store.write_json(tmp_path / "config.json", {"config": {}})
    with pytest.raises(UsageError, match="not a tuned controller"):
        describe_tuning(tmp_path)


def test_settling_is_no_part_of_the_record(tmp_path):
    """The record begins with the reference; under a load, not where the reference does but where the arm then is."""
    load = {"1 kg": Scenario(payload_mass=1.0)}
    found = {}
    for settle in (0.0, 1.0):
        config = replace(CONFIG, settle=settle)
        out = tmp_path / str(settle)
        summary = run.run_bench(
            {"mine": Follow(8.0)}, {"s": [reach("a", 0.0)]}, load, out, config=config, progress=False
        )
        row = store.read_rows(out / "episodes.csv")[0]
        with np.load(out / "tracks" / row["file"]) as tracks:
            assert tracks["pose"].shape[1] == 61 + round(config.hold / config.control_dt)
            found[settle] = np.linalg.norm(tracks["pose"][0, 0, :3] - tracks["reference"][0, 0, :3])
        assert ("held for 1 s" in summary["caveats"][0]) == (settle == 1.0)
    assert found[0.0] < 1e-9 < 1e-2 < found[1.0]  # on the reference, or where the load has drawn the arm by then
    with pytest.raises(UsageError, match="settle is -1"):
        run.run_bench(
            {"mine": Follow(8.0)}, SUITES, load, tmp_path / "x", config=replace(CONFIG, settle=-1.0), progress=False
        )


def test_who_is_tested_elsewhere_is_said(tmp_path):
    scenarios = {"payload": Scenario(payload_mass=0.5), "nominal": Scenario()}
    records = {"trained": {"trained_on": "payload"}}
    controllers = {"trained": Follow(8.0), "plain": Follow(5.0)}
    summary = run.run_bench(
        controllers, SUITES, scenarios, tmp_path / "run", config=CONFIG, records=records, progress=False
    )
    assert summary["tested_elsewhere"] == {"trained": ["nominal"]}
    assert "Trained on payload, and tested elsewhere on nominal: trained." in summary["caveats"]
    assert {row["trained_on"] for row in store.read_rows(tmp_path / "run" / "episodes.csv")} == {"payload", ""}
    text = write_report(tmp_path / "run", animation=False).read_text()
    assert text.partition("<body>")[2].count("†") == 4  # in two tables: the controller or its cell, and the key
