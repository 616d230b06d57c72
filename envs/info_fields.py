"""The numbers of an environment's info as one row of an array, which processes can share without pickling."""

from typing import Any, NamedTuple

import numpy as np

from armctl.plant.vector import marked

NUMBERS = bool | int | float | np.bool_ | np.number


class Fields(NamedTuple):
    """Where the numbers of an info stand: under keys of its own, then in the dictionaries in it."""

    keys: tuple[str, ...]
    inner: tuple[tuple[str, tuple[str, ...]], ...]
    flags: tuple[bool, ...]  # which of all of them, in this order, are true or false

    def numbers(self, info: dict[str, Any]) -> list[Any] | None:
        """The numbers of info; None where it holds anything more or less."""
        try:
            found = [info[key] for key in self.keys]
            unknown = len(info) - len(self.keys) - len(self.inner)
            for above, keys in self.inner:
                one = info[above]
                found += [one[key] for key in keys]
                unknown += len(one) - len(keys)
        except KeyError:
            return None
        return None if unknown else found

    def info(self, numbers: np.ndarray, reporting: np.ndarray) -> dict[str, Any]:
        """Gymnasium's vector info, of bool and of float: what is whole at a reset need not stay so.

        numbers: (K, arms) float64, a row for each of them; reporting: (arms,) bool.
        """
        truths = numbers.astype(bool)  # all of them at once, which is cheaper than one by one
        rows = (truths[k] if flag else numbers[k] for k, flag in enumerate(self.flags))
        info: dict[str, Any] = {key: next(rows) for key in self.keys}
        info |= {above: {key: next(rows) for key in keys} for above, keys in self.inner}
        return marked(info, reporting)


def fields_of(info: dict[str, Any]) -> Fields:
    """Where numbers stand in an info."""
    keys = _numeric(info)
    inner = tuple((key, _numeric(value)) for key, value in info.items() if isinstance(value, dict))
    values = [info[key] for key in keys] + [info[above][key] for above, some in inner for key in some]
    return Fields(keys, inner, tuple(isinstance(value, bool | np.bool_) for value in values))


def _numeric(info: dict[str, Any]) -> tuple[str, ...]:
    return tuple(key for key, value in info.items() if isinstance(value, NUMBERS))
