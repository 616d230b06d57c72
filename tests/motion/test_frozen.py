"""Laws of frozen suites: what was frozen comes back, in parts too, and what is not whole is refused."""

import numpy as np
import pytest

from armctl.bench.suite import load_suite, suite_name
from armctl.errors import UsageError
from armctl.motion.certificate import certify
from armctl.motion.corpus import build_corpus, references
from armctl.motion.frozen import facts, freeze, shipped, thaw
from armctl.scene import scene_from_fields
from armctl.urdf import load_chain


@pytest.fixture(scope="module")
def chain():
    return load_chain("planar3")


@pytest.fixture
def frozen(chain, tmp_path):
    motions = references(build_corpus(chain, 30, 0), chain, "train")[:6]
    for k, one in enumerate(motions):
        one.meta["cell"] = [("free", "table")[k % 2], ("easy", "hard")[k // 3]]
    return motions, freeze(motions, tmp_path / "mine.npz", {"robot": chain.name, "bands": {"easy": 0.1}})


def test_what_was_frozen_comes_back(chain, frozen):
    motions, path = frozen
    for one, again in zip(motions, load_suite(str(path), chain), strict=True):
        for field in ("q", "qd", "qdd", "pose"):
            np.testing.assert_allclose(getattr(again, field), getattr(one, field), atol=1e-7)
        assert (again.name, again.meta, again.dt) == (one.name, one.meta, one.dt)
    assert facts(str(path), chain)["bands"] == {"easy": 0.1}
    assert path.stat().st_size < sum(one.q.nbytes for one in motions)


def test_a_part_has_the_motions_of_its_cells(chain, frozen):
    motions, path = frozen
    hard = [one.name for one in motions if one.meta["cell"][1] == "hard"]
    assert [one.name for one in thaw(f"{path}#hard", chain)] == hard
    assert [one.meta["cell"] for one in thaw(f"{path}#table-hard", chain, 0.02)] == [["table", "hard"]] * 2
    assert suite_name(f"{path}#table-hard") == "mine-table-hard"


def test_what_is_not_whole_or_anothers_is_refused(chain, frozen, tmp_path):
    motions, path = frozen
    with pytest.raises(UsageError, match="no part 'moon'; choose of free, easy, table, hard"):
        thaw(f"{path}#moon", chain)
    with pytest.raises(UsageError, match="is of planar3, not of panda"):
        thaw(str(path), load_chain("panda"))
    with pytest.raises(UsageError, match="No frozen suite comes with planar3"):
        load_suite("v1", chain)
    with pytest.raises(UsageError, match="There is no frozen suite"):
        thaw(str(tmp_path / "none.npz"), chain)
    with np.load(path) as data:
        arrays = dict(data)
    arrays["duration"] = arrays["duration"] * 0.9
    np.savez(tmp_path / "touched.npz", **arrays)
    with pytest.raises(UsageError, match="its checksum differs"):
        thaw(str(tmp_path / "touched.npz"), chain)
    motions[0].q[5] += 0.1
    with pytest.raises(UsageError, match="is no spline path"):
        freeze(motions, tmp_path / "other.npz", {})


@pytest.mark.parametrize("robot", ["panda", "ur5e"])
def test_shipped_suites_are_what_was_certified(robot):
    chain = load_chain(robot)
    assert shipped(chain).stat().st_size < 300_000
    known, found = facts("v1", chain), thaw("v1", chain)
    cells = {tuple(one.meta["cell"]) for one in found}
    assert {scene for scene, _ in cells} == set(known["config"]["scenes"])
    assert {band for _, band in cells} == set(known["bands"])
    for one in found:
        assert one.meta["certificate"]["valid"]
        assert one.meta["difficulty"] == pytest.approx(known["bands"][one.meta["cell"][1]], abs=0.051)
    for scene, band in sorted(cells)[::7]:
        one = thaw(f"v1-{scene}-{band}", chain)[0]
        around = None if scene == "free" else scene_from_fields(known["scenes"][scene])
        assert certify(one, chain, around).valid
