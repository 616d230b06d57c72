"""The picture of an arm's motions, and the faces by which bodies are drawn."""

import numpy as np
import pytest
from matplotlib.image import imread

from armctl.errors import UsageError
from armctl.report.motion_picture import draw_motions
from armctl.report.solids import AROUND, faces
from armctl.scene import SHAPES, Body, Scene, signed_distance
from tests.bench.arms import CHAIN, reach

SIZES = {"box": (0.2, 0.3, 0.4), "sphere": (0.2,), "cylinder": (0.1, 0.3), "capsule": (0.1, 0.3), "plane": ()}
POST = Scene("post", (Body("cylinder", (0.06, 0.5), (-0.4, 0.5, 0.25), name="post", rgba=(0.9, 0.05, 0.05, 1.0)),))


@pytest.mark.parametrize("shape", SHAPES)
def test_corners_lie_on_the_body_and_the_middle_of_a_face_not_far_below(shape):
    body = Body(shape, SIZES[shape], (0.3, -0.2, 0.4), (0.5, 0.5, -0.5, 0.5))
    scene, found = Scene("one", (body,)), faces(body)
    corners, middles = np.concatenate(found), np.array([face.mean(axis=0) for face in found])
    np.testing.assert_allclose(signed_distance(scene, corners), 0.0, atol=1e-9)
    low = -0.2 * (1 - np.cos(np.pi / AROUND)) * 3
    assert (signed_distance(scene, middles) > low - 1e-9).all()
    assert (signed_distance(scene, middles) < 1e-9).all()


def test_a_picture_of_motions_shows_the_bodies(tmp_path):
    motions, reds = [reach("near", 0.3, 31), reach("far", -0.4)], []
    for scene in (None, POST):
        path = draw_motions(CHAIN, motions, scene, tmp_path / "motions.png")
        picture = imread(path)
        assert picture.shape[1] > 1000
        reds.append(int(((picture[..., 0] > 0.8) & (picture[..., 1] < 0.7) & (picture[..., 2] < 0.7)).sum()))
    assert reds[1] > reds[0] + 2000
    with pytest.raises(UsageError, match="no motion to draw"):
        draw_motions(CHAIN, [], None, tmp_path / "none.png")
    with pytest.raises(UsageError, match=r"is a \.png, not 'none\.svg'"):
        draw_motions(CHAIN, motions, None, tmp_path / "none.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["motions.png"]
