"""What all dataclasses of settings refuse alike."""

from dataclasses import fields
from math import isfinite
from typing import TYPE_CHECKING

from armctl.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def check_finite(settings: "DataclassInstance") -> None:
    """Raise UsageError, naming it, for a number among the fields of settings that is not finite.

    Call it first in __post_init__: comparisons with what is not a number are all False, so that ranges let it pass.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not isfinite(number):
                raise UsageError(f"{field.name} is {number}; give a finite number.")
