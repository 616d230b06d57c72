"""URDF text -> a checked tree of links and joints, with every malformed value named in one sentence."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from armctl.errors import UsageError
from armctl.geometry import make_pose, rpy_matrix
from armctl.urdf.document import read_document

MOVING = ("revolute", "continuous", "prismatic")
_KNOWN = (*MOVING, "fixed", "planar", "floating")
_LIMITS = ("lower", "upper", "velocity", "acceleration", "jerk", "effort")

Item = TypeVar("Item")
Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class Link:
    """One URDF link: mass [kg], com (3,) [m], inertia (3, 3) [kg m2] about the com in link axes, raw shape elements."""

    name: str
    mass: float
    com: np.ndarray
    inertia: np.ndarray
    shapes: tuple[ET.Element, ...]


@dataclass(frozen=True)
class Mimic:
    """What a joint follows: its position is multiplier x position of `joint` + offset [rad or m]."""

    joint: str
    multiplier: float
    offset: float


@dataclass(frozen=True, eq=False)
class Joint:
    """One URDF joint: pose (4, 4) in its parent link, unit axis (3,), limit and dynamics attributes by name."""

    name: str
    type: str
    parent: str
    child: str
    T_parent_child: np.ndarray
    axis: np.ndarray
    limit: dict[str, float]
    dynamics: dict[str, float]
    mimic: Mimic | None

    @property
    def moves(self) -> bool:
        """True when the joint is a degree of freedom of its own."""
        return self.type != "fixed" and self.mimic is None


@dataclass(frozen=True, eq=False)
class Tree:
    """A whole URDF file: links by name, the joint above and the joints below every link, colours, extras, notes."""

    name: str
    path: Path
    links: dict[str, Link]
    above: dict[str, Joint]
    below: dict[str, list[Joint]]
    colours: dict[str, tuple[float, ...]]
    extras: dict[str, str]
    notes: tuple[str, ...]


def read_all(read: Callable[[Item], Read], items: Iterable[Item]) -> list[Read]:
    """What `read` makes of every item; the UsageErrors of all that cannot be read become one."""
    found, faults = [], []
    for item in items:
        try:
            found.append(read(item))
        except UsageError as error:
            faults.append(str(error))
    if faults:
        raise UsageError(" ".join(faults))
    return found


def numbers(text: str | None, count: int | None, what: str, *, endless: bool = False) -> np.ndarray:
    """Read whitespace-separated numbers, finite ones unless `endless`; `count` of them unless it is None."""
    try:
        values = np.array([float(word) for word in (text or "").split()])
    except ValueError:
        raise UsageError(f"{what} is {text!r}, which is not numeric; write plain decimal numbers.") from None
    if np.isnan(values).any() or not (endless or np.isfinite(values).all()):
        raise UsageError(f"{what} is {text!r}; every number must be finite.")
    if count is not None and len(values) != count:
        raise UsageError(f"{what} is {text!r}; expected {count} number(s), found {len(values)}.")
    return values


def number(text: str | None, what: str) -> float:
    """Read one finite number."""
    return float(numbers(text, 1, what)[0])


def origin(element: ET.Element | None, what: str) -> np.ndarray:
    """Pose (4, 4) of an element's <origin>; identity when it is absent."""
    found = None if element is None else element.find("origin")
    if found is None:
        return np.eye(4)
    xyz = numbers(found.get("xyz", "0 0 0"), 3, f"origin xyz of {what}")
    rpy = numbers(found.get("rpy", "0 0 0"), 3, f"origin rpy of {what}")
    return make_pose(rpy_matrix(rpy), xyz)


def _parse_link(element: ET.Element) -> Link:
    name = element.get("name", "")
    inertial = element.find("inertial")
    shapes = tuple(e for e in element if e.tag in ("visual", "collision"))
    if inertial is None:
        return Link(name, 0.0, np.zeros(3), np.zeros((3, 3)), shapes)
    T = origin(inertial, f"the inertial of link {name!r}")
    mass_element, inertia_element = inertial.find("mass"), inertial.find("inertia")
    mass = 0.0 if mass_element is None else number(mass_element.get("value"), f"mass of link {name!r}")
    get = {} if inertia_element is None else inertia_element.attrib
    xx, xy, xz, yy, yz, zz = (
        number(get.get(k, "0"), f"{k} of link {name!r}") for k in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
    )
    inertia = T[:3, :3] @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ T[:3, :3].T
    return Link(name, mass, T[:3, 3], inertia, shapes)


def _attributes(element: ET.Element | None, what: str, names: tuple[str, ...]) -> dict[str, float]:
    """The numbers among an element's attributes; only positions and velocities may be infinite, without a limit."""
    if element is None:
        return {}
    given = [k for k in names if element.get(k) is not None]
    free = ("lower", "upper", "velocity")
    values = read_all(lambda k: numbers(element.get(k), 1, f"{k} of {what}", endless=k in free)[0], given)
    return dict(zip(given, map(float, values), strict=True))


def _parse_mimic(element: ET.Element | None, what: str) -> Mimic | None:
    if element is None:
        return None
    multiplier = number(element.get("multiplier", "1"), f"mimic multiplier of {what}")
    return Mimic(element.get("joint", ""), multiplier, number(element.get("offset", "0"), f"mimic offset of {what}"))


def _parse_axis(element: ET.Element, name: str) -> np.ndarray:
    found = element.find("axis")
    axis = np.array([1.0, 0.0, 0.0]) if found is None else numbers(found.get("xyz"), 3, f"axis of joint {name!r}")
    length = float(np.linalg.norm(axis))
    if element.get("type") == "fixed":
        return np.array([0.0, 0.0, 1.0])
    if length < 1e-9:
        raise UsageError(f"Joint {name!r} has a zero axis; give the direction it turns or slides along.")
    return axis / length


def _parse_joint(element: ET.Element, links: set[str]) -> Joint:
    name, kind = element.get("name", ""), element.get("type", "")
    if kind not in _KNOWN:
        raise UsageError(f"Joint {name!r} has the unknown type {kind!r}; use one of {', '.join(_KNOWN)}.")
    ends = {}
    for end in ("parent", "child"):
        found = element.find(end)
        ends[end] = "" if found is None else found.get("link", "")
        if ends[end] not in links:
            raise UsageError(f"Joint {name!r} names the {end} link {ends[end]!r}, which the file does not define.")
    limit = _attributes(element.find("limit"), f"joint {name!r}", _LIMITS)
    dynamics = _attributes(element.find("dynamics"), f"joint {name!r}", ("damping", "friction"))
    return Joint(
        name,
        kind,
        ends["parent"],
        ends["child"],
        origin(element, f"joint {name!r}"),
        _parse_axis(element, name),
        limit,
        dynamics,
        None if kind == "fixed" else _parse_mimic(element.find("mimic"), f"joint {name!r}"),
    )


def _colours(root: ET.Element) -> tuple[dict[str, tuple[float, ...]], list[str]]:
    """Named colours, and notes on those that are none."""
    named: dict[str, tuple[float, ...]] = {}
    notes = []
    for material in root.iter("material"):
        colour, name = material.find("color"), material.get("name")
        if colour is not None and name:
            try:
                named.setdefault(name, tuple(numbers(colour.get("rgba"), 4, f"The colour {name!r}").tolist()))
            except UsageError as error:
                notes.append(left_out(error))
    return named, notes


def left_out(error: UsageError) -> str:
    """The note on something that nobody needs and that cannot be read."""
    return f"{str(error).rstrip('.')}; it was left out."


def _connect(joints: list[Joint], path: Path) -> tuple[dict[str, Joint], dict[str, list[Joint]]]:
    above: dict[str, Joint] = {}
    below: dict[str, list[Joint]] = {}
    for joint in joints:
        if joint.child in above:
            raise UsageError(
                f"{str(path)!r} has a loop: link {joint.child!r} hangs on both joint {above[joint.child].name!r} and "
                f"joint {joint.name!r}; remove one, only trees are supported."
            )
        above[joint.child] = joint
        below.setdefault(joint.parent, []).append(joint)
    for start in above:
        seen, link = {start}, above[start].parent
        while link in above and link not in seen:
            seen.add(link)
            link = above[link].parent
        if link in seen:
            raise UsageError(f"{str(path)!r} has a loop through link {link!r}; only trees are supported.")
    return above, below


def parse_urdf(path: Path) -> Tree:
    """Read a URDF file into a Tree.

    Raises UsageError for a missing file, bad XML, undefined links, unknown types, non-numbers, loops and double names.
    """
    root = read_document(path)
    for (kind, name), count in Counter((e.tag, e.get("name", "")) for e in root).items():
        if count > 1 and kind in ("link", "joint"):
            raise UsageError(f"{str(path)!r} has two {kind}s named {name!r}; give every {kind} a name of its own.")
    names = {e.get("name", "") for e in root.findall("link")}
    if not names:
        raise UsageError(f"{str(path)!r} defines no links; a URDF needs <link> and <joint> elements.")
    read: dict[str, Callable[[ET.Element], Link | Joint]]
    read = {"link": _parse_link, "joint": partial(_parse_joint, links=names)}
    parts = read_all(lambda e: read[e.tag](e), [e for e in root if e.tag in read])
    links = {part.name: part for part in parts if isinstance(part, Link)}
    above, below = _connect([part for part in parts if isinstance(part, Joint)], path)
    extras, (colours, notes) = root.find("armctl"), _colours(root)
    own = {} if extras is None else dict(extras.attrib)
    return Tree(root.get("name", path.stem), path, links, above, below, colours, own, tuple(notes))
