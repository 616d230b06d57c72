"""The closed loop: what is steered and what is not, rivals in one path, regret, and runs that were killed."""

import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl import controllers, store
from armctl.arm import load_arm
from armctl.controllers import saved
from armctl.controllers.registry import make
from armctl.cotrain import CotrainConfig, cotrain, steering
from armctl.cotrain.curricula import CURRICULA, EVEN, SCORES, Measured, bins, failure_weights
from armctl.cotrain.ground import Ground, loop_corpus
from armctl.cotrain.paths import as_corpus
from armctl.errors import UsageError
from armctl.generator import FlowConfig, load_model, sample, train_flow
from armctl.generator.difficulty import fit_critic
from armctl.learn.learner import TrainConfig
from armctl.motion.corpus import references
from armctl.motion.reference import Reference
from armctl.scene import load_scene
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
CONFIG = CotrainConfig(
    robot="planar3", controller="computed_torque", scenario="payload", references=12, plants=8, seconds=0.5, rounds=2,
    emphasis=1.0, draws=1, motions=80, labelled=40, refine=20,
    flow=FlowConfig(steps=20, width=16, blocks=1, batch=16, chunk=20),
    train=TrainConfig(updates=2, batch=8, horizon=10, chunk=2, gain_rate=0.2, validation=0),
)  # fmt: skip
CORPUS = loop_corpus(CONFIG, CHAIN)
MOTIONS = references(CORPUS, CHAIN, "train", limit=40)
CLOCKS = ("seconds", "proposal_seconds")


def rows(folder):
    """What rounds.csv says, but for how long it took."""
    return [{k: v for k, v in row.items() if k not in CLOCKS} for row in store.read_rows(folder / "rounds.csv")]


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Motions out of family that need no inverse kinematics, and critics that are trusted after twelve motions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ground, "_outside", lambda self: MOTIONS[-4:])
        patch.setattr("armctl.cotrain.loop.foretells", lambda critic, count: True)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that nothing interrupts, as `one`, and what there was of it in the middle of its second round, as `cut`."""
    folder = tmp_path_factory.mktemp("cotrain")

    def note(row):
        if row["update"] == 4:
            shutil.copytree(folder / "one", folder / "cut")

    return cotrain(CONFIG, folder / "one", corpus=CORPUS, progress=note), folder


@pytest.mark.slow
def test_a_killed_run_goes_on_at_its_round_and_ends_as_if_nothing_had_been(run):
    one, folder = run
    assert [row["update"] for row in store.read_rows(folder / "cut" / "metrics.csv")] == ["2", "4"]
    two = cotrain(CONFIG, folder / "cut", corpus=CORPUS, resume=True)
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, saved.parameters(two)[name])
    assert rows(folder / "one") == rows(folder / "cut")
    assert [float(row["steered"]) for row in rows(folder / "one")] == [0, 8 / 12]
    assert (folder / "one" / "rounds.html").exists()
    with pytest.raises(UsageError, match="data="):
        cotrain(CONFIG, folder / "cut", resume=True)
    with pytest.raises(UsageError, match="curriculum='regret', not 'uniform'"):
        cotrain(replace(CONFIG, curriculum="uniform"), folder / "cut", corpus=CORPUS, resume=True)


@pytest.mark.slow
def test_a_run_is_a_controller_and_has_a_generator(run):
    one, folder = run
    loaded = controllers.load(folder / "one", load_arm("planar3"))
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, saved.parameters(loaded)[name])
    model = load_model(folder / "one" / "flow")
    condition = jnp.asarray(model.contexts[:4])
    place = model.paths.columns.difficulty
    asked, free = (condition.at[:, place].set(jnp.array(x)) for x in ((0.9, 1.0), (0.0, 0.0)))
    plain, none, double = (
        sample(replace(model, emphasis=emphasis), jax.random.key(0), asked) for emphasis in (1.0, 0.0, 2.0)
    )
    np.testing.assert_allclose(none, sample(model, jax.random.key(0), free), atol=1e-6)
    assert np.abs(plain - none).max() > 1e-6
    assert np.abs(double - plain).max() > 1e-6


@pytest.mark.slow
def test_the_oracle_has_no_regret(run):
    ground = Ground(CONFIG, CHAIN, run[0], CORPUS)
    ground.tracker = ground.oracle
    measured, q = ground.measured(ground.truth, MOTIONS[:12])
    np.testing.assert_array_equal(measured.regret, 0)
    assert (measured.error > 0).all()
    assert q.shape == (51, 12, 3)


def measured_(motions, error):
    error = np.asarray(error, float)
    return Measured(motions, error, 0 * error)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 0.3), min_size=24, max_size=24), st.integers(0, 2**31))
def test_weights_of_failure_bins_sum_to_one_and_leave_every_bin_its_share(errors, seed):
    order = np.random.default_rng(seed).permutation(30)
    known, new = [MOTIONS[i] for i in order[:12]], [MOTIONS[i] for i in order[12:]]
    weights = failure_weights(measured_(known, np.reshape(errors, (12, 2))), new)
    assert weights.sum() == pytest.approx(1)
    places = bins([*known, *new])[12:]
    shares = [weights[places == place].sum() for place in np.unique(places)]
    assert min(shares) >= EVEN / len(shares) - 1e-12


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 0.3), min_size=24, max_size=24))
def test_scores_are_positive_and_do_not_depend_on_the_order(errors):
    errors = np.reshape(errors, (12, 2))
    for score in SCORES.values():
        found = score(measured_([None] * 12, errors))
        assert (found > 0).all()
        np.testing.assert_allclose(score(measured_([None] * 12, errors[::-1])), found[::-1])


@pytest.fixture
def asked(monkeypatch):
    """What was asked of the flow in place of proposing: count and percentile of each request."""
    requests = []

    def certified(model, chain, count, *, critic=None, difficulty=None, seed, dt):
        requests.append((count, difficulty, seed))
        return MOTIONS[:count], count

    monkeypatch.setattr(steering, "certified", certified)
    return requests


@pytest.fixture(scope="module")
def model():
    """A flow that has learned next to nothing."""
    return train_flow(CORPUS, CONFIG.flow, chain=CHAIN)


def measured_somehow():
    """What might be measured of a round, and the critic of it."""
    paths = as_corpus(CHAIN, MOTIONS[:12], CORPUS.families)
    measured = measured_(MOTIONS[:12], np.linspace(1e-3, 9e-3, 24).reshape(12, 2))
    return measured, steering.scorer(CONFIG, CHAIN, measured, paths)


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_rivals_differ_in_what_they_ask_for_alone(model, asked, curriculum):
    config = replace(CONFIG, curriculum=curriculum)
    first = steering.proposals(config, CHAIN, model, CORPUS, None, None, 0)
    before = list(asked)
    measured, critic = measured_somehow()
    critic = critic if curriculum in SCORES else None
    then = steering.proposals(config, CHAIN, model, CORPUS, measured, critic, 1)
    assert len(first.paths) == len(then.paths) == CONFIG.references
    assert not first.steered.any()
    assert [(count, percentile) for count, percentile, _ in before] == [(12, None)] * (curriculum != "corpus")
    assert then.steered.sum() == (0 if curriculum in ("uniform", "corpus") else 8)
    percentiles = {percentile for _, percentile, _ in asked} - {None}
    assert percentiles == (set(steering.ASKED) if curriculum in SCORES else set())


def test_a_critic_that_foretells_nothing_steers_nothing(model, asked):
    measured, _ = measured_somehow()
    assert not steering.proposals(CONFIG, CHAIN, model, CORPUS, measured, None, 1).steered.any()
    described, rng = np.random.default_rng(1).normal(size=(200, 3)), np.random.default_rng(2)
    useful, useless = (fit_critic(described, np.exp(y)) for y in (described[:, 0], rng.normal(size=200)))
    assert steering.foretells(useful, 200)
    assert not steering.foretells(useless, 200)


def test_all_motions_meet_the_same_plants_in_every_round(monkeypatch):
    seen = []

    def met(params, rows, plants):
        seen.append(np.asarray(plants.mass)[:, -1].reshape(len(MOTIONS), 2))
        return np.zeros(len(rows)), np.zeros((3, len(rows), CHAIN.n))

    ground = Ground(replace(CONFIG, draws=2), CHAIN, make("computed_torque", load_arm("planar3"), 0.01, 7), CORPUS)
    monkeypatch.setattr(ground, "tracker", met)
    monkeypatch.setattr(ground, "oracle", met)
    for _ in range(2):
        ground.measured(None, MOTIONS)
    for plants in seen:
        assert (plants == plants[0]).all()
        assert plants[0, 0] != plants[0, 1]
        assert (plants == seen[0]).all()
    assert len(seen) == 4  # tracker and oracle, twice


def test_the_critic_chooses_the_hardest_of_many(model, asked):
    measured, critic = measured_somehow()
    config = replace(CONFIG, steering="chosen")
    found = steering.proposals(config, CHAIN, model, CORPUS, measured, critic, 1)
    (plain, _, _), (many, _, _) = asked
    assert (plain, many) == (4, 8 * steering.CHOICE)
    expected = critic.score(MOTIONS[:many], CHAIN)
    chosen = critic.score(found.motions(CHAIN, 0.01), CHAIN)[found.steered]
    np.testing.assert_allclose(np.sort(chosen), np.sort(expected)[-8:], atol=1e-6)


def test_steering_by_the_gradient_gives_the_flow_a_critic_and_no_emphasis(model, monkeypatch):
    measured, critic = measured_somehow()
    seen = []

    def certified(model, chain, count, critic=None, difficulty=None, **others):
        seen.append((critic, difficulty, model.emphasis))
        return MOTIONS[:count], count

    monkeypatch.setattr(steering, "certified", certified)
    config = replace(CONFIG, steering="guided", emphasis=2.0)
    steering.proposals(config, CHAIN, model, CORPUS, measured, critic, 1)
    (unsteered, *_), *pushed = seen
    assert unsteered is None
    assert [(difficulty, emphasis) for _, difficulty, emphasis in pushed] == [(p, 1.0) for p in steering.ASKED]
    assert all(-1 <= told.rank_correlation <= 1 for told, *_ in pushed)


def test_what_was_given_and_does_not_fit_is_refused_before_anything_is_written(model, tmp_path):
    without = replace(CONFIG, without=("arc",))
    other = replace(model, scene=load_scene("shelf", CHAIN))
    for config, has, said in (
        (without, {"corpus": CORPUS}, "Family arc is to be held out, but is among the motions given"),
        (CONFIG, {"corpus": CORPUS.take(np.arange(10))}, "A corpus of 10 motions"),
        (CONFIG, {"corpus": CORPUS, "generator": other}, "trained in shelf, the corpus made in free space"),
        (replace(CONFIG, robot="panda"), {"corpus": CORPUS, "generator": model}, "another arm"),
    ):
        with pytest.raises(UsageError, match=said):
            cotrain(config, tmp_path / "out", **has)
    assert not (tmp_path / "out").exists()


def test_of_an_odd_one_more_to_steer_no_empty_part_is_asked_for(model, asked):
    measured, critic = measured_somehow()
    found = steering.proposals(replace(CONFIG, unsteered=0.95), CHAIN, model, CORPUS, measured, critic, 1)
    assert found.steered.sum() == 1
    assert [count for count, *_ in asked] == [11, 1]


def test_spline_motions_are_found_again_to_rounding_error():
    again = references(as_corpus(CHAIN, MOTIONS[:10], CORPUS.families), CHAIN, "train")
    for one, two in zip(MOTIONS[:10], again, strict=True):
        assert isinstance(two, Reference)
        np.testing.assert_allclose(two.q, one.q, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unsteered": 0.2}, "against collapse"),
        ({"curriculum": "fun"}, "choose one of regret"),
        ({"steering": "wheel"}, "choose one of conditioned, chosen, guided"),
        ({"steering": "chosen", "curriculum": "uniform"}, "curriculum uniform has no score"),
        ({"rounds": 0}, "at least 1"),
        ({"references": 9}, "needs 10 or more"),
        ({"seconds": 0.1}, "11 samples, too few for windows of 10"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, words):
    with pytest.raises(UsageError, match=words):
        replace(CONFIG, **change)
