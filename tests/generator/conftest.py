"""A small flow, trained once per session."""

import pytest
from mixture import fit_mixture


@pytest.fixture(scope="session")
def flow():
    return fit_mixture()
