"""Rows in blocks and on all cores are the same rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl.arm import Arm
from armctl.motion import collision
from armctl.twin.contact import touching
from armctl.twin.parallel import BLOCK, Cut, Shards, cut_for
from armctl.urdf import load_chain


def running_sum(shared, kept, x, y):
    """A function of rows that remembers: sums of x and y."""
    new = kept + x + y
    return new, {"sum": shared * new, "sign": new > 0}


@settings(deadline=None, max_examples=12)
@given(rows=st.integers(1, 9), shards=st.integers(1, 3), blocks=st.integers(1, 3))
def test_any_cut_gives_what_the_whole_gives(rows, shards, blocks):
    cut = Cut(shards, blocks, -(-rows // (shards * blocks)))
    program = Shards(running_sum, rows, cut)
    kept, total = program.blank(jnp.zeros(())), np.zeros(rows)
    for k in range(3):
        x = np.arange(rows, dtype=np.float32) - k
        kept, out = program(jnp.float32(2.0), kept, x, -3 * x)
        total = total - 2 * x
        np.testing.assert_array_equal(out["sum"], 2 * total)
        np.testing.assert_array_equal(out["sign"], total > 0)
    program.close()
    program.close()


@settings(deadline=None)
@given(rows=st.integers(1, 20_000), cores=st.integers(1, 64))
def test_a_cut_holds_all_rows_in_blocks_of_little_padding(rows, cores):
    shards, blocks, size = cut_for(rows, cores)
    assert 1 <= shards <= cores
    assert 1 <= size <= BLOCK
    assert rows <= shards * blocks * size < rows + shards * blocks + shards * size


@pytest.mark.parametrize("robot", ["panda", "planar3"])
def test_contact_is_that_of_the_distances_between_spheres(robot):
    chain = load_chain(robot)
    arm = Arm.from_chain(chain)
    q = np.random.default_rng(0).uniform(chain.lower, chain.upper, (64, chain.n))
    expected = (collision.pair_distances(chain, q) <= 0).any(axis=-1)
    np.testing.assert_array_equal(touching(arm, q), expected)
    assert robot == "planar3" or (expected.any() and not expected.all())
