"""Guidance by a critic: it is the critic, and it leads up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl.generator.difficulty import fit_critic
from armctl.generator.flow import settled
from armctl.generator.uphill import CriticGuidance
from armctl.generator.vias import ViaGuidance

PATH, CONDITION = 4, 3


@pytest.fixture(scope="module")
def critic():
    """Of rows of a path and all but the last number of its condition."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, PATH + CONDITION - 1)) * [1, 2, 1, 1, 3, 1] + 1
    return fit_critic(rows, np.exp(rows @ rng.normal(size=rows.shape[1]) + rows[:, 1] ** 2 / 4))


def given(count=20):
    rng = np.random.default_rng(1)
    return (jnp.asarray(rng.normal(size=(count, size)), jnp.float32) for size in (PATH, CONDITION))


def test_its_score_is_the_critics(critic):
    z, condition = given()
    rows = np.concatenate([z, condition], axis=1)[:, :-1]
    found = CriticGuidance.of(critic, lambda z, condition, to_data: z).score(z, condition)
    np.testing.assert_allclose(found, critic.predict(rows), rtol=1e-4, atol=1e-4)


def test_a_step_leads_up_by_its_length_and_what_follows_has_the_last_word(critic):
    z, condition = given()
    guide = CriticGuidance.of(critic, lambda z, condition, to_data: z, strength=0.01)
    moved = guide(z, condition, lambda z: z)
    assert (guide.score(moved, condition) > guide.score(z, condition)).all()
    np.testing.assert_allclose(jnp.linalg.norm(moved - z, axis=1), 0.01, rtol=1e-3)
    last = CriticGuidance.of(critic, lambda z, condition, to_data: jnp.zeros_like(z))
    assert (jax.jit(lambda z: last(z, condition, lambda z: z))(z) == 0).all()


def test_a_finished_sample_takes_no_step_through_via_points_either(critic):
    keep = jax.tree_util.Partial(lambda z, condition, to_data: z)
    guide = CriticGuidance.of(critic, keep)
    assert settled(guide) is settled(keep) is keep
    none = np.zeros(0)
    assert settled(ViaGuidance(None, none, none, none, before=guide)).before is keep
