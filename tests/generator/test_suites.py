"""Scenes of a frozen suite: each part can be asked for by name."""

import pytest

from armctl.errors import UsageError
from armctl.generator.suites import SuiteConfig, scenes_of
from armctl.scene import Body, Scene, save_scene
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("cell", "cell"), "Two scenes of the suite have the same name"),
        (("my-cell",), "called 'my-cell', by which its part could not be asked for"),
        (("free",), "called 'free'"),
        (("hard",), "called 'hard'"),
    ],
)
def test_names_by_which_no_part_could_be_asked_for_are_refused(names, said, tmp_path):
    paths = []
    for k, name in enumerate(names):
        (tmp_path / str(k)).mkdir()
        ball = Scene(name, (Body("sphere", (0.05,), (0.5, 0.5 + k, 0.5)),))
        paths.append(str(save_scene(ball, tmp_path / str(k) / "scene.json")))
    with pytest.raises(UsageError, match=said):
        scenes_of(SuiteConfig(robot="planar3", scenes=("free", *paths)), CHAIN)


def test_named_scenes_keep_their_names():
    assert list(scenes_of(SuiteConfig(robot="planar3", scenes=("free", "shelf")), CHAIN)) == ["free", "shelf"]
