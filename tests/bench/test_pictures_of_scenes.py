"""Bodies of a scene in the report's replay and animation, and in the picture of motions."""

import io
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.errors import UsageError
from armctl.report.animation import Clip, animate
from armctl.report.motion_picture import draw_motions
from armctl.report.page import write_report
from armctl.report.solids import AROUND, faces
from armctl.scene import SHAPES, Body, Scene, signed_distance
from tests.bench.arms import CHAIN, Follow, reach
from tests.bench.browser import CHROMIUM, opened

SIZES = {"box": (0.2, 0.3, 0.4), "sphere": (0.2,), "cylinder": (0.1, 0.3), "capsule": (0.1, 0.3), "plane": ()}
RED = (0.9, 0.05, 0.05, 1.0)
POST = Scene("post", (Body("cylinder", (0.06, 0.5), (-0.4, 0.5, 0.25), name="post", rgba=RED),))
REFERENCE = reach("near", 0.3, 31)


@pytest.mark.parametrize("shape", SHAPES)
def test_corners_lie_on_the_body_and_the_middle_of_a_face_not_far_below(shape):
    body = Body(shape, SIZES[shape], (0.3, -0.2, 0.4), (0.5, 0.5, -0.5, 0.5))
    scene, found = Scene("one", (body,)), faces(body)
    corners, middles = np.concatenate(found), np.array([face.mean(axis=0) for face in found])
    np.testing.assert_allclose(signed_distance(scene, corners), 0.0, atol=1e-9)
    low = -0.2 * (1 - np.cos(np.pi / AROUND)) * 3
    assert (signed_distance(scene, middles) > low - 1e-9).all()
    assert (signed_distance(scene, middles) < 1e-9).all()


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


def test_a_picture_of_motions_shows_the_bodies(tmp_path):
    reds = []
    for scene in (None, POST):
        path = draw_motions(CHAIN, [REFERENCE, reach("far", -0.4)], scene, tmp_path / "motions.png")
        picture = imread(path)
        assert picture.shape[1] > 1000
        reds.append(int(((picture[..., 0] > 0.8) & (picture[..., 1] < 0.7) & (picture[..., 2] < 0.7)).sum()))
    assert reds[1] > reds[0] + 2000
    with pytest.raises(UsageError, match="no motion to draw"):
        draw_motions(CHAIN, [], None, tmp_path / "none.png")
    with pytest.raises(UsageError, match=r"is a \.png, not 'none\.svg'"):
        draw_motions(CHAIN, [REFERENCE], None, tmp_path / "none.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["motions.png"]
