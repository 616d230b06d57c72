"""The replay in the report shows the recorded motion, and moves."""

import base64
import json
import re
import shutil

import numpy as np
import pytest

from armctl import rigid
from armctl.bench import run
from armctl.bench.plan import BenchConfig
from armctl.bench.records import read_table, read_tracks
from armctl.plant.scenario import Scenario
from armctl.report.page import write_report
from tests.bench.arms import CHAIN, Follow, reach
from tests.bench.browser import CHROMIUM, opened

SCRUB = """
const canvas = document.querySelector("#replay canvas"), before = canvas.toDataURL();
const time = document.querySelector('[data-is="time"]');
time.value = Math.floor(time.max / 2); time.dispatchEvent(new Event("input"));
const after = canvas.toDataURL();
canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300 }));
const near = canvas.toDataURL(), said = document.querySelector("#replay .panel p").textContent;
found([before !== after, after !== near, said]);
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "run"
    rivals = {"good": Follow(20.0), "poor": Follow(4.0), "broken </script>": Follow(4.0, poison=10)}
    rivals = {name.split()[0]: one for name, one in rivals.items()}
    suites = {"short": [reach("near", 0.2, 31), reach("far </script>", 0.4, 41)]}
    run.run_bench(rivals, suites, {"nominal": Scenario()}, out, config=BenchConfig("planar3"), progress=False)
    write_report(out, animation=False)
    return out


@pytest.fixture(scope="module")
def data(folder):
    text = (folder / "report.html").read_text()
    (found,) = re.findall(r'<script type="application/json" id="replay-data">(.*?)</script>', text, flags=re.DOTALL)
    return json.loads(found)


def unpacked(text, unit):
    return unit * np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, 3)


def test_points_are_those_of_the_recorded_joints(folder, data):
    table = read_table(folder)
    tracks = {name: read_tracks(folder, rows) for name, rows in table.items()}
    assert data["points"] == CHAIN.n + 2
    for one in data["episodes"]:
        index = next(k for k, row in enumerate(table["good"]) if row["reference"] in one["title"])
        every = round(one["dt"] / 0.01)
        for name, shown in one["runs"].items():
            track = tracks[name][index]
            points = unpacked(shown["points"], one["unit"]).reshape(shown["frames"], data["points"], 3)
            np.testing.assert_allclose(points[:, -1], track.pose[::every, :3], atol=2 * one["unit"])
            poses = rigid.link_poses(CHAIN, track.q[::every])
            np.testing.assert_allclose(points[:, 1:-1], poses[..., :3, 3], atol=2 * one["unit"])
            assert bool(shown["failure"]) == (name == "broken")
        assert one["unit"] < 1e-4


def test_no_text_ends_the_script(folder):
    text = (folder / "report.html").read_text()
    assert text.count("<script") == text.count("</script>") == 3


def test_a_run_whose_arm_is_gone_still_has_its_report(folder, tmp_path):
    out = shutil.copytree(folder, tmp_path / "run")
    for name in ("config.json", "summary.json"):
        path = out / name
        path.write_text(path.read_text().replace('"planar3"', '"/nowhere/arm.urdf"'))
    for animation in (True, False):
        text = write_report(out, animation=animation).read_text()
        assert "no longer where the bench found it" in text
        assert "replay-data" not in text


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_it_moves_in_a_browser(folder):
    scrubbed, nearer, said = opened(folder / "report.html", SCRUB)
    assert scrubbed
    assert nearer
    assert re.fullmatch(r"[\d.]+ mm from the reference", said)
