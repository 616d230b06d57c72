"""Bodies of a scene in the report: in its replay, its animation and its table."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.report.animation import Clip, animate
from armctl.report.page import write_report
from armctl.scene import Body, Scene, signed_distance
from tests.bench.arms import CHAIN, Follow, reach
from tests.bench.browser import CHROMIUM, opened

RED = (0.9, 0.05, 0.05, 1.0)
POST = Scene("post", (Body("cylinder", (0.06, 0.5), (-0.4, 0.5, 0.25), name="post", rgba=RED),))
REFERENCE = reach("near", 0.3, 31)


def test_the_animation_shows_a_body():
    clip = Clip("one", "#0072B2", REFERENCE.q, REFERENCE.pose[:, :3], np.linspace(0, 1, 31))
    reds = []
    for scene in (None, POST):
        gif = animate(CHAIN, REFERENCE.pose[:, :3], [clip], 0.01, frames=1, scene=scene)
        picture = np.asarray(Image.open(io.BytesIO(gif)).convert("RGB")).astype(int)
        reds.append(int(((picture[..., 0] > 90) & (picture[..., 1] < 0.4 * picture[..., 0])).sum()))
    assert reds[1] > reds[0] + 500


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "run"
    suites, config = {"s": [REFERENCE]}, BenchConfig(robot="planar3", hold=0.0)
    run_bench({"follow": Follow(20.0)}, suites, ["nominal"], out, config=config, scene=POST, progress=False)
    return write_report(out, animation=False)


def test_the_replay_has_the_bodies_and_the_table_the_contacts(page):
    text = page.read_text()
    (found,) = re.findall(r'<script type="application/json" id="replay-data">(.*?)</script>', text, flags=re.DOTALL)
    data = json.loads(found)
    (post,) = data["solids"]
    assert post["colour"] == "#e60d0d"
    corners = np.concatenate([np.array(face) for face in post["faces"]])
    np.testing.assert_allclose(signed_distance(POST, corners), 0.0, atol=2e-3)
    centre, size = np.array(data["episodes"][0]["stage"]["centre"]), data["episodes"][0]["stage"]["size"]
    assert np.linalg.norm(corners - centre, axis=-1).max() <= size
    assert "Scene contact" in text
    assert "The arm stands in the scene post." in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_the_replay_paints_the_bodies(page):
    script = """
    const canvas = document.querySelector("#replay canvas"), all = canvas.getContext("2d");
    const pixels = all.getImageData(0, 0, canvas.width, canvas.height).data;
    let red = 0;
    for (let k = 0; k < pixels.length; k += 4) {
      red += pixels[k] > 150 && Math.max(pixels[k + 1], pixels[k + 2]) < 0.75 * pixels[k];
    }
    found(red);
    """
    assert opened(page, script) > 500
