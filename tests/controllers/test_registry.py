"""A controller is one class that says what it is; it is found by its name wherever it was defined."""

import pytest

from armctl.arm import load_arm
from armctl.controllers import Controller, known, make
from armctl.controllers.base import FAMILIES, KNOWN
from armctl.controllers.operational_space import OperationalSpace
from armctl.errors import UsageError


@pytest.fixture(autouse=True)
def as_before():
    before = dict(KNOWN)
    yield
    KNOWN.clear()
    KNOWN.update(before)


def test_every_shipped_controller_says_what_it_is():
    for name, cls in known().items():
        assert cls.name == name
        assert cls.title
        assert cls.title != cls.__name__
        assert cls.family in FAMILIES
        assert cls.family != "yours"
        assert cls.information
    assert set(known("classical")) < set(known())


def test_a_class_with_a_name_joins_by_itself():
    class Still(Controller):
        name = "still"

    assert known()["still"] is Still
    assert isinstance(make("still", load_arm("planar3")), Still)


def test_a_class_is_not_what_it_builds_on():
    class Mine(OperationalSpace):
        pass

    assert (Mine.name, Mine.title, Mine.family) == ("", "Mine", "yours")
    assert known()["operational_space"] is OperationalSpace


def test_wrong_descriptions_are_named():
    with pytest.raises(UsageError, match="'magic'; choose one of classical"):
        type("Odd", (Controller,), {"family": "magic"})
    with pytest.raises(UsageError, match="both called 'diff_ik'"):
        type("Other", (Controller,), {"name": "diff_ik"})
