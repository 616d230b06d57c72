import pytest

from armctl.registration import register_all


@pytest.fixture(autouse=True, scope="session")
def registered():
    """Every id is known to Gymnasium."""
    register_all()
