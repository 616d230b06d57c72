"""Laws of repair: what comes back is better and certified within its trust region, or the motion itself."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from armctl import cli
from armctl.arm import Arm
from armctl.controllers.registry import make
from armctl.errors import UsageError
from armctl.generator import aims, repair, write_references
from armctl.generator.following import Following
from armctl.generator.paths import joint_range
from armctl.generator.trust_region import Region, path_of
from armctl.motion.certificate import certify
from armctl.motion.corpus import build_corpus, references
from armctl.motion.files import load_suite_dir
from armctl.motion.sampling import path_timing
from armctl.motion.spline import TIED
from armctl.plant.scenario import Scenario
from armctl.scene import Body, Scene, save_scene
from armctl.twin.episodes import single
from armctl.urdf import load_chain

TRUST = 0.08
AIMS = [pytest.param(aim, marks=[pytest.mark.slow] if aim == "easier" else []) for aim in repair.AIMS]
LOADED = Scenario(payload_mass=0.5)


@pytest.fixture(scope="module")
def chain():
    return load_chain("planar3")


@pytest.fixture(scope="module")
def scene():
    """A ball beside the plane in which the arm moves, near the way of the first motion."""
    return Scene("beside", (Body("sphere", (0.05,), (-0.25, 0.15, 1.05)),))


@pytest.fixture(scope="module")
def motions(chain):
    corpus = build_corpus(chain, 40, 0, ("via_points", "periodic"))
    return [one for one in references(corpus, chain, "train", 0.02) if one.duration < 1.2][:2]


@pytest.fixture(scope="module")
def follower(chain):
    return make("computed_torque", Arm.from_chain(chain), 0.02)


@pytest.fixture(scope="module")
def following(chain, motions, follower):
    """The closed loop, which all tests compile once."""
    return Following(follower, chain, [LOADED], 0.02, max(one.duration for one in motions))


@pytest.fixture(scope="module", params=AIMS)
def made(request, chain, scene, motions, follower, following):
    """Two motions with one aim."""
    given = {"controller": follower, "scenarios": [LOADED]} if request.param == "easier" else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repair, "Following", lambda *_: following)
        return repair.improve(motions, chain, aim=request.param, scene=scene, trust=TRUST, steps=8, **given)


def test_what_is_aimed_at_falls_or_the_motion_comes_back(made, motions):
    assert any(said.improved for _, said in made)
    for (new, said), old in zip(made, motions, strict=True):
        assert said.name == old.name == new.name
        if said.improved:
            assert new.meta["scene"] == "beside"
            assert said.ratio < 1
            assert said.reason == ""
            assert new.duration == pytest.approx(said.after.duration_s)
            if said.aim != "shorter":
                assert new.duration == pytest.approx(old.duration)
        else:
            assert new is old
            assert said.reason
            assert (said.before, said.change) == (said.after, 0.0)


def test_ends_limits_and_trust_region_hold_exactly(made, motions, chain):
    middle, half, bounded = joint_range(chain)
    for (new, said), old in zip(made, motions, strict=True):
        np.testing.assert_array_equal(new.q[[0, -1]], old.q[[0, -1]])
        before, after = (path_of(one, chain) for one in (old, new))
        moved = np.abs(after - before)
        assert moved[TIED:-TIED].max() == pytest.approx(said.change, abs=1e-9)
        assert (moved <= TRUST * half + 1e-9).all()
        assert (np.abs(after - middle) <= half + 1e-9)[:, bounded].all()


def test_what_was_made_is_certified_and_measured_afresh(made, chain, scene):
    for new, said in made:
        found = certify(new, chain, scene)
        assert found.valid
        assert found.margins == said.after.margins
        if said.improved:
            assert new.meta["certificate"]["valid"]
            assert new.meta["improved"]["aim"] == said.aim
            assert said.after.clearance_m >= said.before.clearance_m - 1e-6 or said.aim != "clearer"


def test_moves_never_leave_the_box_nor_the_limits(chain, motions):
    points = np.stack([path_of(one, chain) for one in motions])
    region = Region.around(points, chain, TRUST)
    far = region.moved(np.random.default_rng(0).normal(scale=100.0, size=region.inner.shape))
    inner = far[:, TIED:-TIED]
    assert ((inner >= region.low) & (inner <= region.high)).all()
    assert ((inner == region.low) | (inner == region.high)).mean() > 0.9
    np.testing.assert_array_equal(far[:, [0, -1]], points[:, [0, -1]])


def test_the_smooth_duration_bounds_the_shortest_and_has_its_gradient(chain, motions):
    points = np.stack([path_of(one, chain) for one in motions])
    arm = single(Arm.from_chain(chain))

    def duration(points):
        return aims.smooth_duration(aims.limit_times(arm, points))

    smooth, shortest = jax.jit(duration)(single(points)), path_timing(chain, points)[0]
    assert (smooth >= (1 - 1e-3) * shortest).all()
    assert (smooth <= 1.2 * shortest).all()


@pytest.mark.slow
def test_the_gradient_through_the_closed_loop_is_that_of_finite_differences(chain, motions, following):
    region = Region.around(np.stack([path_of(one, chain) for one in motions]), chain, TRUST)
    before = [repair.Measures(one.duration, 1.0, 1.0, 1.0, 1.0, {}, True) for one in motions]  # in mm as it is
    problem = repair.make_problem("easier", chain, region, before, 0.02, following)
    way = single(np.random.default_rng(1).normal(size=region.inner.shape))
    _, slope = repair._followed(problem, 0 * way, following)
    step = np.float32(0.05)
    up, down = (np.asarray(repair._followed(problem, sign * step * way, following)[0]) for sign in (1, -1))
    measured = (up - down) / (2 * step)
    assert np.abs(measured).min() > 1e-3
    np.testing.assert_allclose(np.sum(slope * way, axis=(1, 2)), measured, rtol=0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aim": "nicer"}, "Unknown aim 'nicer'; choose one of shorter, smoother, clearer, easier"),
        ({"aim": "easier"}, "easier only for a controller"),
        ({"trust": 0.0}, r"trust is 0, outside \(0, 1\]"),
        ({"steps": 0}, "0 gradient steps"),
    ],
)
def test_wrong_wishes_are_one_sentence(chain, motions, options, said):
    with pytest.raises(UsageError, match=said):
        repair.improve([motions[0]], chain, **options)


def test_a_motion_is_improved_in_the_scene_that_it_was_made_in_alone(chain, scene, motions):
    here, there = (dataclasses.replace(motions[0], meta={**motions[0].meta, "scene": x}) for x in ("beside", "shelf"))
    repair.check_scenes([motions[0], here], scene)
    for reference, place in ((here, None), (there, scene)):
        with pytest.raises(UsageError, match="was made in the scene"):
            repair.improve([reference], chain, scene=place)


def test_motions_of_one_name_are_refused(chain, motions):
    with pytest.raises(UsageError, match="Two motions are called"):
        repair.improve([motions[0], motions[0]], chain)


def test_what_is_no_spline_is_refused(chain, motions):
    with pytest.raises(UsageError, match="no rest-to-rest spline"):
        repair.improve([motions[0].after_hold(20)], chain)


def test_a_folder_is_improved_by_the_command(chain, scene, motions, tmp_path, capsys):
    write_references(motions, tmp_path / "given")
    save_scene(scene, tmp_path / "beside.json")
    words = ["improve", tmp_path / "given", "--robot", "planar3", "--scene", tmp_path / "beside.json", "--updates", 8]
    assert cli.main([str(word) for word in [*words, "--trust", TRUST, "--json"]]) == 0
    summary = json.loads((tmp_path / "given-shorter" / "summary.json").read_text())
    assert json.loads(capsys.readouterr().out)["motions"] == summary["motions"]
    assert summary["improvements"]["improved"] > 0
    for old, new, said in zip(
        motions, load_suite_dir(tmp_path / "given-shorter", chain), summary["motions"], strict=True
    ):
        assert new.duration < old.duration or not said["improved"]
        assert said["after"]["duration_s"] == pytest.approx(new.duration)
