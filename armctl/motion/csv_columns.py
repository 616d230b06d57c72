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
ANGLES = {"rad": 1.0, "deg": pi / 180, "degrees": pi / 180, "°": pi / 180}
LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
NUMBERED = ("q", "joint", "j", "joint_position", "joint_pos", "position", "pos", "actual_q", "theta", "axis", "a")
"""What a number may follow in the names of joint columns."""
POSITION = ("{}", "p{}", "t{}", "position_{}", "pos_{}", "pose_position_{}", "translation_{}", "tip_{}", "ee_{}")
ROTATION = ("q{}", "q_{}", "quat_{}", "quaternion_{}", "orientation_{}", "pose_orientation_{}", "rotation_{}", "rot_{}")
TURNED = re.compile(
    r"(.*_)?(roll|pitch|yaw|phi|theta|psi|alpha|beta|gamma|r_?[xyz]|r_?\d_?\d|q_?[xyzw]|angle_?[xyz]"
    r"|(quat(ernion)?|rot(ation)?(_?vec(tor)?)?|rvec|orientation|euler|rpy)_?([xyzw\d]|\d_?\d))(_angle)?"
)
"""Names of orientations in any form, whatever they are of: to hold the orientation of home in the place of one that is
not read would be wrong without a word."""
TRIPLES = ("abc", "wpr")
"""Angles as KUKA and FANUC call them; one such letter alone may be anything."""
RATES = re.compile(r"(.*_)?(vel|acc|rate|dot|twist|gyro|effort|torque|force|moment|wrench|std|var|cov)")
"""Names of what is no orientation, though it is about the same axes."""


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
    position = () if joints else known.axes(POSITION, "xyz", LENGTHS)
    if time is None or not (joints or position):
        wanted = ",".join(("t", *(f"q{i + 1}" for i in range(chain.n))))
        lacks = "no column of time" if time is None else _lacking(known, chain)
        raise UsageError(
            f"has {lacks} among its columns {','.join(names)}; use {wanted}, or the arm's names of joints, or "
            "t,x,y,z,qx,qy,qz,qw."
        )
    if joints:
        return Columns(time, joints)
    quaternion = known.axes(ROTATION, "xyzw", {})
    if not quaternion and (other := known.turned()):
        raise UsageError(f"gives the orientation as {','.join(other)}; give qx,qy,qz,qw, or leave it out to hold it.")
    return Columns(time, position=position, quaternion=quaternion)


def _joints(known: "_Names", chain: Chain) -> tuple[Column, ...]:
    """The columns of all joints; none where one is missing."""
    units = [LENGTHS if kind == "prismatic" else ANGLES for kind in chain.joint_types]
    own = [known.first(_own(joint, chain), unit) for joint, unit in zip(chain.joint_names, units, strict=True)]
    found = tuple(column for column in own if column is not None)
    if len(found) == chain.n:
        _check_count(known, known.row_from_zero(found), chain)
        return found
    for prefix in NUMBERED:
        numbered = known.numbered(prefix)
        first = min(numbered, default=0)
        if first > 1 or not set(range(first, first + chain.n)) <= set(numbered):
            continue
        _check_count(known, list(numbered.values()), chain)
        return tuple(known.column(numbered[first + i], unit) for i, unit in enumerate(units))
    return ()


def _check_count(known: "_Names", places: list[int], chain: Chain) -> None:
    """Raise UsageError where more columns are numbered than the arm has joints: none says which are the arm's."""
    if len(places) > chain.n:
        raise UsageError(
            f"has {len(places)} joint columns, {', '.join(map(known.given, places))}; "
            f"{chain.name} has {chain.n} joints: leave the others out, or name the columns after the arm's joints."
        )


def _own(joint: str, chain: Chain) -> tuple[str, ...]:
    """What a column of one joint of the arm may be called."""
    name, arm = _plain(joint), _plain(chain.name)
    marks = [f"{name}_{word}" for word in ("position", "pos", "q")]
    marks += [f"{word}_{name}" for word in ("position", "pos", "q", arm, f"{arm}_arm")]
    return name, *marks


def _lacking(known: "_Names", chain: Chain) -> str:
    """What is missing, by the names that are nearest to being complete."""
    absent = [joint for joint in chain.joint_names if not known.has(_own(joint, chain))]
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

    def turned(self) -> list[str]:
        """The columns of an orientation in whatever form, by their names in the file."""
        letters = [letter for triple in TRIPLES if set(triple) <= set(self._stem) for letter in triple]
        four = [stem for stem in self._stem if re.fullmatch(r"(.*_)?q_?\d", stem)]  # other counts are joints
        found = {*letters, *(four if len(four) == 4 else ())}
        found |= {stem for stem in self._stem if TURNED.fullmatch(stem) and not RATES.match(stem)}
        return [name for name, stem in zip(self._given, self._stem, strict=True) if stem in found]

    def given(self, index: int) -> str:
        """A column's name as it stands in the file."""
        return self._given[index]

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether a column has one of several names."""
        return any(name in (*self._whole, *self._stem) for name in names)

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

    def axes(self, forms: tuple[str, ...], axes: str, units: dict[str, float]) -> tuple[Column, ...]:
        """The columns of all axes in one of the forms; none where it is not complete."""
        for form in forms:
            if all(self.has((form.format(axis),)) for axis in axes):
                found = [self.first((form.format(axis),), units) for axis in axes]
                return tuple(column for column in found if column is not None)
        return ()

    def numbered(self, prefix: str) -> dict[int, int]:
        """Number -> place of the columns called by a prefix and a number."""
        marks = [re.fullmatch(rf"(?:field_)?{prefix}_?(\d+)", stem) for stem in self._stem]
        places = [(int(mark[1]), i) for i, mark in enumerate(marks) if mark]
        twice = [number for number, count in Counter(number for number, _ in places).items() if count > 1]
        if twice:
            raise UsageError(f"has more than one column {prefix}{twice[0]}; keep one of them.")
        return dict(sorted(places))

    def row_from_zero(self, columns: tuple[Column, ...]) -> list[int]:
        """Places of the columns called as one of these but for the number, if one has the number 0; else none.

        Numbers from 0 are not those of names that begin at 1, though they agree in all but the first and the last.
        """
        for column in columns:
            if mark := re.fullmatch(r"(.*\D)(\d+)(\D*)", self._stem[column.place]):
                form = re.compile(rf"{re.escape(mark[1])}(\d+){re.escape(mark[3])}")
                row = [(int(like[1]), i) for i, stem in enumerate(self._stem) if (like := form.fullmatch(stem))]
                places = [place for _, place in sorted(row)]
                if min(row)[0] == 0 and places[0] not in [own.place for own in columns]:
                    return places
        return []

    def column(self, index: int, units: dict[str, float], *, bare: bool = False) -> Column:
        """A column with its unit. bare: the unit is part of the name. Raises UsageError for one that is not known."""
        unit = "" if bare else self._unit[index]
        if unit and unit not in units:
            known = f"units are {', '.join(units)} there" if units else "a quaternion has no unit, leave it out"
            raise UsageError(f"has the column {self._given[index]}; {known}.")
        return Column(index, units[unit] if unit else None)


def _split_unit(name: str) -> tuple[str, str]:
    """A name and the unit that it ends with, in brackets or after an underscore."""
    if mark := re.fullmatch(r"(.+?)\s*[\[(]\s*([^\d\])]+?)\s*[\])]", name.lower()):
        return mark[1], mark[2]
    stem, _, last = name.lower().rpartition("_")
    return (stem, last) if stem and last in (*TIME_UNITS, *ANGLES, *LENGTHS) else (name, "")
