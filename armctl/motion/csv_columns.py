"""What the columns of a table of motion are, by their names: time, joint positions, a tip pose; and their units."""

import re
from collections import Counter
from dataclasses import dataclass
from math import pi
from typing import NamedTuple

from armctl.chain import Chain
from armctl.errors import UsageError

TIME = ("t", "time", "times", "timestamp", "time_stamp", "stamp", "header_stamp", "field_header_stamp", "seconds")
TIME_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
UNITS = {"rad": 1.0, "deg": pi / 180, "degrees": pi / 180, "°": pi / 180, "m": 1.0, "cm": 1e-2, "mm": 1e-3}
NUMBERED = ("q", "joint", "j", "joint_position", "joint_pos", "position", "pos", "actual_q", "theta", "axis", "a")
"""What a number may follow in the names of joint columns."""
POSITION = ("{}", "p{}", "t{}", "position_{}", "pos_{}", "pose_position_{}", "translation_{}", "tip_{}", "ee_{}")
ROTATION = ("q{}", "q_{}", "quat_{}", "orientation_{}", "pose_orientation_{}", "rotation_{}")
ANGLES = ("roll", "pitch", "yaw", "rx", "ry", "rz", "r11", "r_11")
"""Orientations in a form that is not read; to hold the orientation in their place would be wrong without a word."""


class Column(NamedTuple):
    """Place of a column in its row, and its unit in s, rad or m; None where the name does not say it."""

    place: int
    unit: float | None = None


@dataclass(frozen=True)
class Columns:
    """Where time is, and the n joint positions or else x, y, z and, where they are given, qx, qy, qz, qw."""

    time: Column
    joints: tuple[Column, ...] = ()
    position: tuple[Column, ...] = ()
    quaternion: tuple[Column, ...] = ()

    @property
    def values(self) -> tuple[Column, ...]:
        """All but the time."""
        return self.joints or (*self.position, *self.quaternion)


def find_columns(names: tuple[str, ...], chain: Chain) -> Columns:
    """The columns of a header, in any order, case and company.

    Joints have the arm's own names or are numbered from 0 or 1; where there are joints, poses are not looked at. Units
    are those in brackets or after an underscore. Raises UsageError, without the file's name, for what is not there,
    there twice, or in a form that is not read.
    """
    known = _Names(names)
    time = known.first(TIME, TIME_UNITS)
    joints = _joints(known, chain)
    position = known.axes(POSITION, "xyz")
    if time is None or not (joints or position):
        wanted = ",".join(("t", *(f"q{i + 1}" for i in range(chain.n))))
        lacks = "no column of time" if time is None else _lacking(known, chain)
        raise UsageError(
            f"has {lacks} among its columns {','.join(names)}; use {wanted}, or the arm's names of joints, or "
            "t,x,y,z,qx,qy,qz,qw."
        )
    if joints:
        return Columns(time, joints)
    quaternion = known.axes(ROTATION, "xyzw")
    if not quaternion and (other := [name for name in names if known.stem(name) in (*ANGLES, *_some_rotation())]):
        raise UsageError(f"gives the orientation as {','.join(other)}; give qx,qy,qz,qw, or leave it out to hold it.")
    return Columns(time, position=position, quaternion=quaternion)


def _some_rotation() -> list[str]:
    return [form.format(axis) for form in ROTATION for axis in "xyzw"]


def _joints(known: "_Names", chain: Chain) -> tuple[Column, ...]:
    """The columns of all joints; none where one is missing."""
    own = tuple(known.first(_own(joint, chain), UNITS) for joint in chain.joint_names)
    found = tuple(column for column in own if column is not None)
    if len(found) == chain.n:
        return found
    for prefix in NUMBERED:
        numbered = known.numbered(prefix)
        first = min(numbered, default=0)
        if first > 1 or not set(range(first, first + chain.n)) <= set(numbered):
            continue
        if len(numbered) > chain.n:
            raise UsageError(
                f"has {len(numbered)} joint columns, {', '.join(known.given(i) for i in numbered.values())}; "
                f"{chain.name} has {chain.n} joints: leave the others out, or name the columns after the arm's joints."
            )
        return tuple(known.column(numbered[first + i], UNITS) for i in range(chain.n))
    return ()


def _own(joint: str, chain: Chain) -> tuple[str, ...]:
    """What a column of one joint of the arm may be called."""
    name, arm = _plain(joint), _plain(chain.name)
    marks = [f"{name}_{word}" for word in ("position", "pos", "q")]
    marks += [f"{word}_{name}" for word in ("position", "pos", "q", arm, f"{arm}_arm")]
    return name, *marks


def _lacking(known: "_Names", chain: Chain) -> str:
    """What is missing, by the names that are nearest to being complete."""
    absent = [joint for joint in chain.joint_names if known.first(_own(joint, chain), UNITS) is None]
    if len(absent) == chain.n:
        numbered = max((known.numbered(prefix) for prefix in NUMBERED), key=len)
        count = len(numbered)
        return f"only {count} of {chain.n} joints" if count else "neither joints nor x,y,z"
    return f"no {', '.join(absent)}"


def _plain(name: str) -> str:
    """A name in lower case, all that parts its words as one underscore."""
    return re.sub(r"[^\w°]+|_+", "_", name.lower()).strip("_")


class _Names:
    """Names of columns, looked up by what they mean."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._given = names
        split = [_split_unit(name) for name in names]
        self._unit = [unit for _, unit in split]
        self._whole, self._stem = [_plain(name) for name in names], [_plain(stem) for stem, _ in split]

    def stem(self, name: str) -> str:
        """A name without its unit."""
        return self._stem[self._given.index(name)]

    def given(self, index: int) -> str:
        """A column's name as it stands in the file."""
        return self._given[index]

    def first(self, names: tuple[str, ...], units: dict[str, float]) -> Column | None:
        """The column of the first of several names that is there."""
        for name in names:
            for candidates in (self._whole, self._stem):
                found = [i for i, one in enumerate(candidates) if one == name]
                if len(found) > 1:
                    raise UsageError(f"has the column {self._given[found[0]]} {len(found)} times; keep one of them.")
                if found:
                    return self.column(found[0], units, bare=candidates is self._whole)
        return None

    def axes(self, forms: tuple[str, ...], axes: str) -> tuple[Column, ...]:
        """The columns of all axes in one of the forms; none where it is not complete."""
        for form in forms:
            found = [self.first((form.format(axis),), UNITS) for axis in axes]
            columns = tuple(column for column in found if column is not None)
            if len(columns) == len(axes):
                return columns
        return ()

    def numbered(self, prefix: str) -> dict[int, int]:
        """Number -> place of the columns called by a prefix and a number."""
        marks = [re.fullmatch(rf"(?:field_)?{prefix}_?(\d+)", stem) for stem in self._stem]
        places = [(int(mark[1]), i) for i, mark in enumerate(marks) if mark]
        twice = [number for number, count in Counter(number for number, _ in places).items() if count > 1]
        if twice:
            raise UsageError(f"has more than one column {prefix}{twice[0]}; keep one of them.")
        return dict(sorted(places))

    def column(self, index: int, units: dict[str, float], *, bare: bool = False) -> Column:
        """A column with its unit. bare: the unit is part of the name. Raises UsageError for one that is not known."""
        unit = "" if bare else self._unit[index]
        if unit and unit not in units:
            raise UsageError(f"has the column {self._given[index]}; units are {', '.join(dict.fromkeys(units))}.")
        return Column(index, units[unit] if unit else None)


def _split_unit(name: str) -> tuple[str, str]:
    """A name and the unit that it ends with, in brackets or after an underscore."""
    if mark := re.fullmatch(r"(.+?)\s*[\[(]\s*([^\d\])]+?)\s*[\])]", name.lower()):
        return mark[1], mark[2]
    stem, _, last = name.lower().rpartition("_")
    return (stem, last) if stem and last in (*TIME_UNITS, *UNITS) else (name, "")
