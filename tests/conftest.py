"""Fixtures shared by all tests."""

import jax
import pytest


@pytest.fixture
def x64():
    """Run a test in double precision."""
    with jax.enable_x64(True):
        yield
