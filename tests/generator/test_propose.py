"""From corpus to certified references on a three-joint arm: coding, guidance, proposals, folders and the audit."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from armctl import cli, store
from armctl.commands.generator import GeneratorConfig
from armctl.errors import UsageError
from armctl.generator import FlowConfig, load_model, propose, save_model, train_flow, write_references
from armctl.generator.audit import ROWS, STAGES, audit_generator, rivals, table
from armctl.generator.audit.block import COLUMNS, one_per_context
from armctl.generator.contexts import draw_contexts
from armctl.generator.guidance import ClearanceGuidance
from armctl.generator.paths import PathCoder
from armctl.generator.request import Request
from armctl.motion.certificate import RATIOS
from armctl.motion.corpus import build_corpus
from armctl.motion.files import load_suite_dir
from armctl.scene import Body, Scene, load_scene
from armctl.urdf import load_chain

FAMILIES = ("point_to_point", "via_points", "periodic")
CONFIG = FlowConfig(width=64, embedding=32, blocks=2, steps=300, batch=128, chunk=100, sampler_steps=8)


@pytest.fixture(scope="module")
def chain():
    return load_chain("planar3")


@pytest.fixture(scope="module")
def corpus(chain):
    return build_corpus(chain, 400, 0, FAMILIES)


@pytest.fixture(scope="module")
def model(chain, corpus):
    return train_flow(corpus, CONFIG, chain=chain)


@pytest.fixture(scope="module")
def proposed(chain, model):
    return propose(model, chain, 8, speed=0.7, seed=1)


def test_coding_a_path_loses_nothing(chain, corpus):
    coder = PathCoder.of(chain, corpus)
    conditions = coder.conditions(corpus.start, corpus.goal, corpus.family, corpus.eta)
    assert conditions.shape == (len(corpus), coder.condition)
    again = coder.decode(coder.encode(corpus.control_points), conditions)
    assert np.allclose(again, corpus.control_points, atol=1e-4)


@pytest.mark.parametrize(
    ("eta", "said"),
    [
        (1.5, "is 1.5, outside"),
        (0.001, "is 0.001; motions would last 1000 times"),
        ([0.5, 0.0], "is 0, outside"),
        ([0.5, np.nan], "is nan, outside"),
    ],
)
def test_a_speed_is_checked_as_everywhere(eta, said, chain, corpus):
    ends = np.zeros((2, 2, chain.n))
    coder = PathCoder.of(chain, corpus)
    with pytest.raises(UsageError, match=said):
        coder.conditions(*ends, speed=eta)
    slow = coder.conditions(*ends, speed=np.array([0.001, 1.0]))  # as of a slow demonstration
    np.testing.assert_array_equal(slow[:, coder.columns.speed], np.float32([[0.001, 1], [1, 1]]))


def test_decoded_paths_keep_the_limits_and_their_ends(chain, corpus):
    coder = PathCoder.of(chain, corpus)
    conditions = coder.conditions(corpus.start, corpus.goal)
    wild = 5 * np.random.default_rng(0).normal(size=(len(corpus), coder.dimension)).astype(np.float32)
    points = np.asarray(coder.decode(wild, conditions))
    assert np.all((points > chain.lower) & (points < chain.upper))
    assert np.allclose(points[:, 2], corpus.start, atol=1e-5)
    assert np.allclose(points[:, -3], corpus.goal, atol=1e-5)


def test_a_reversed_path_is_coded_backwards(chain, corpus):
    coder = PathCoder.of(chain, corpus)
    forward, _ = coder.dataset(corpus, "train")
    both, conditions = coder.dataset(corpus, "train", reversal=True)
    half = len(both) // 2
    assert np.array_equal(both[:half], forward)
    assert np.allclose(both[half:].reshape(half, coder.inner, coder.n)[:, ::-1].reshape(half, -1), forward, atol=1e-6)
    assert np.allclose(conditions[half:, : coder.n], conditions[:half, coder.n : 2 * coder.n])


def test_guidance_lowers_the_cost_of_bad_endpoints(chain, model):
    """Paths pushed into the arm or the floor must come out better, and good ones must not be touched."""
    guidance = dataclasses.replace(ClearanceGuidance.of(chain, model.coder), steps=8)
    conditions, _ = draw_contexts(model, chain, np.random.default_rng(0), 64, Request())
    z = 2.5 * jax.random.normal(jax.random.key(0), (64, model.data))
    cost = jax.jit(lambda z: guidance.cost(model.to_data(z), conditions))
    better = jax.jit(lambda z: guidance(z, conditions, model.to_data))(z)
    before, after = np.asarray(cost(z)), np.asarray(cost(better))
    assert np.mean(before > 0) > 0.2
    assert after.sum() < 0.2 * before.sum()
    assert np.array_equal(np.asarray(better)[before == 0], np.asarray(z)[before == 0])


def test_new_contexts_are_new_clear_and_keep_closed_motions_closed(chain, model):
    contexts, origin = draw_contexts(model, chain, np.random.default_rng(0), 50, Request(family="periodic", speed=0.4))
    n = chain.n
    assert np.allclose(contexts[:, :n], contexts[:, n : 2 * n], atol=1e-5)
    assert np.all(np.abs(contexts[:, : 2 * n]) < 1)
    assert not np.any(np.all(np.isclose(contexts[:, :n], np.asarray(model.contexts)[origin, :n]), axis=1))
    assert np.allclose(contexts[:, model.paths.columns.speed], [0.4, 1.0])


def test_every_proposal_is_certified_and_says_how_it_came_about(chain, proposed):
    references, stats = proposed
    assert len(references) == stats.accepted == 8
    assert stats.acceptance_rate == 8 / stats.attempts
    assert 0 < stats.validity_after <= 1
    for reference in references:
        assert reference.meta["certificate"]["valid"]
        assert reference.meta["certificate"]["eta"] == pytest.approx(0.7, abs=0.03)
        assert reference.meta["family"] in FAMILIES
    assert stats.validity_after >= stats.validity_before - 0.2


def test_proposals_repeat_with_their_seed(chain, model, proposed, tmp_path):
    again, _ = propose(load_model(save_model(model, tmp_path)), chain, 8, speed=0.7, seed=1)
    assert all(np.array_equal(a.q, b.q) for a, b in zip(proposed[0], again, strict=True))
    other, _ = propose(model, chain, 1, speed=0.7, seed=2)
    assert other[0].q.shape != again[0].q.shape or not np.allclose(other[0].q, again[0].q)


def test_a_folder_of_proposals_is_a_suite_and_is_not_overwritten(chain, proposed, tmp_path):
    references, stats = proposed
    folder = write_references(references, tmp_path / "suite", stats)
    assert {r.name for r in load_suite_dir(folder, chain)} == {r.name for r in references}
    with pytest.raises(UsageError, match="already exists"):
        write_references(references, folder)
    write_references(references[:3], folder, stats, overwrite=True)
    assert len(load_suite_dir(folder, chain)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["suite"]
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.tex").touch()
    with pytest.raises(UsageError, match="leaves it alone"):
        write_references(references, foreign, overwrite=True)
    assert (foreign / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": 1.5}, "outside"),
        ({"family": "waltz"}, "choose one of point_to_point"),
        ({"count": 0}, "at least 1"),
    ],
)
def test_bad_requests_are_refused(chain, model, options, words):
    with pytest.raises(UsageError, match=words):
        propose(model, chain, **{"count": 1, **options})


def test_a_model_of_another_arm_is_refused(model):
    with pytest.raises(UsageError, match="another arm"):
        propose(model, load_chain("panda"), 1)


@pytest.fixture(scope="module")
def audited(chain, corpus, model):
    told, kept = [], {}
    block = audit_generator(model, corpus, chain, count=64, few=60, keep=kept.__setitem__, progress=told.append)
    return block, kept, told


def test_the_audit_block_is_complete(audited):
    block, kept, told = audited
    rows = block["rows"]
    assert len(set(told)) == len(told) == STAGES
    assert list(rows) == list(kept) == list(ROWS)
    for row in rows.values():
        assert {*COLUMNS, "feasibility"} == set(row)
        assert set(row["feasibility"]) == {*RATIOS, "self_collision", "floor"}
    assert rows["corpus_and_reject"]["z_u"] < -5  # it is made of copies, and the audit must say so
    assert rows["corpus_and_reject"]["validity"] == 1
    assert rows["generated"]["speed_error"] < 0.05
    assert rows["repaired"]["validity"] >= rows["unguided"]["validity"]
    assert all(rows[name]["seconds_per_certified"] > 0 for name in ROWS if name != "held_out_floor")
    few, every = (block["training"][name]["gap_last"] for name in ("few", "all"))
    assert few > 2 * abs(every)  # it is told that the one trained on few motions over-fits
    assert all(name in table(block) for name in ("generated", "z_u", "feasible: floor", "gap, 60 motions"))


def test_an_audit_that_was_interrupted_goes_on_with_its_rows(chain, corpus, model, audited):
    block, kept, _ = audited
    told, written = [], store.plain(kept)
    again = audit_generator(model, corpus, chain, count=64, few=60, known=written, progress=told.append)
    assert len(told) == 1
    assert store.plain(again) == store.plain(block)


def test_the_command_audits_a_run_folder_and_draws_a_page(model, audited, monkeypatch, tmp_path, capsys):
    block, kept, _ = audited
    given = []

    def again(*_, known, keep, **settings):
        given.append((set(known), settings["count"]))
        for name, row in kept.items():
            keep(name, row)
        return block

    monkeypatch.setattr("armctl.generator.audit.audit_generator", again)
    monkeypatch.setattr("armctl.commands.generator_audit.corpus_of", lambda *_: None)
    folder, out = tmp_path / "flow", tmp_path / "flow-audit"
    store.create_run(folder, GeneratorConfig(robot="planar3"))
    save_model(model, folder)
    argv = ["audit", "generator", str(folder), "--count", "64", "--json"]
    assert cli.main(argv) == 0
    assert set(json.loads(capsys.readouterr().out)["audit"]["rows"]) == set(ROWS)
    assert {"audit.html", "fidelity.png", "losses.svg", "summary.json"} <= {path.name for path in out.iterdir()}
    page = (out / "audit.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert all(text in page for text in ("Gaussian (ProMP)", "trained on few motions", "320 motions", "60 motions"))
    assert cli.main(argv) == 2
    assert "already exists" in capsys.readouterr().err
    assert cli.main([*argv, "--resume"]) == 0
    assert given == [(set(), 64), (set(ROWS), 64)]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--count", "5"], "count is 5"), (["--control-dt", "0"], "control_dt is 0 s"), ([], "no generator checkpoint")],
)
def test_an_audit_of_nothing_is_refused(words, said, tmp_path, capsys):
    assert cli.main(["audit", "generator", str(tmp_path / "none"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_generator_that_does_not_say_what_it_learned_from_is_not_audited(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(save_model(model, tmp_path / "flow"))
    assert cli.main(["audit", "generator", "."]) == 2
    assert "'.' does not say on what motions its generator was trained" in capsys.readouterr().err
    assert not (tmp_path / "flow-audit").exists()


def test_a_gaussian_of_paths_follows_its_context():
    """What is linear in the condition comes back, and so does the covariance of the rest."""
    rng = np.random.default_rng(0)
    condition, mix = rng.normal(size=(4000, 3)), rng.normal(size=(3, 4))
    spread = np.array([[1.0, 0.5, 0, 0], [0, 0.2, 0, 0], [0, 0, 0.4, 0.4], [0, 0, 0, 1e-3]])
    sampler = rivals.gaussian(1 + condition @ mix + rng.normal(size=(4000, 4)) @ spread, condition)
    given = np.tile([1.0, -2.0, 0.5], (4000, 1))
    drawn = sampler(jax.random.key(0), given)
    np.testing.assert_allclose(drawn.mean(0), 1 + given[0] @ mix, atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), spread.T @ spread, atol=0.1)


def test_an_autoencoder_learns_two_modes_that_a_condition_selects():
    rng = np.random.default_rng(0)
    condition = rng.choice([-1.0, 1.0], size=(512, 1))
    x = 3 * condition + 0.1 * rng.normal(size=(512, 2))
    sampler = rivals.autoencoder(x, condition, dataclasses.replace(CONFIG, steps=200))
    for side in (-1.0, 1.0):
        drawn = sampler(jax.random.key(1), np.full((64, 1), side))
        np.testing.assert_allclose(drawn.mean(0), 3 * side, atol=0.3)


def test_repair_makes_as_many_steps_as_guidance():
    assert rivals.guided_evaluations(FlowConfig(sampler="euler", sampler_steps=1)) == 4
    assert rivals.guided_evaluations(FlowConfig(sampler="euler", sampler_steps=16)) == 12
    assert rivals.guided_evaluations(FlowConfig(sampler="heun", sampler_steps=16)) == 21


def test_repeated_contexts_count_once(proposed):
    references = proposed[0]
    assert one_per_context([*references, *references]) == one_per_context(references)


def test_hopeless_requests_end_with_a_sentence(chain, model, monkeypatch):
    """A checker that refuses everything must not be asked for ever."""
    monkeypatch.setattr("armctl.generator.proposals.judged", lambda checker, candidate: (candidate, ("floor",)))
    with pytest.raises(UsageError, match=r"Only 0 of 128 proposals were certified while 2 were wanted \(broken: floor"):
        propose(model, chain, 2)


def test_proposals_keep_off_a_scene_and_the_model_remembers_its_own(chain, model, tmp_path):
    shelf = load_scene("shelf", chain)
    at_home = save_model(dataclasses.replace(model, scene=shelf), tmp_path)
    found, stats = propose(load_model(at_home), chain, 4, speed=0.7, seed=1)
    named, _ = propose(model, chain, 4, speed=0.7, seed=1, scene="shelf")
    assert all(one.meta["scene"] == "shelf" and one.meta["certificate"]["margins"]["scene"] > 0 for one in found)
    assert all(np.array_equal(one.q, other.q) for one, other in zip(found, named, strict=True))
    assert stats.validity_after > stats.validity_before
    swallowing = Scene("cell", (Body("box", (1, 1, 1), name="block"),))
    with pytest.raises(UsageError, match="'block' of scene 'cell' reaches"):
        propose(model, chain, 1, scene=swallowing)
