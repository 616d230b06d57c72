"""URDF text -> a checked tree of links and joints, with every malformed value named in one sentence."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from armctl.errors import UsageError
from armctl.geometry import make_pose, rpy_matrix
from armctl.urdf.document import read_document

MOVING = ("revolute", "continuous", "prismatic")
_KNOWN = (*MOVING, "fixed", "planar", "floating")
_INERTIA = ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
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
        raise UsageError(" ".join(dict.fromkeys(faults)))
    return found


def read_each(*readers: Callable[[], Any]) -> list[Any]:
    """What each of several readers returns; the UsageErrors of all that fail become one."""
    return read_all(lambda read: read(), readers)


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
    xyz, rpy = read_all(lambda k: numbers(found.get(k, "0 0 0"), 3, f"The origin {k} of {what}"), ("xyz", "rpy"))
    return make_pose(rpy_matrix(rpy), xyz)


def _parse_link(element: ET.Element) -> Link:
    name = element.get("name", "")
    inertial = element.find("inertial")
    shapes = tuple(e for e in element if e.tag in ("visual", "collision"))
    if inertial is None:
        return Link(name, 0.0, np.zeros(3), np.zeros((3, 3)), shapes)
    mass_element, inertia_element = inertial.find("mass"), inertial.find("inertia")
    mass_text = "0" if mass_element is None else mass_element.get("value")
    get = {} if inertia_element is None else inertia_element.attrib
    T, mass, xx, xy, xz, yy, yz, zz = read_each(
        partial(origin, inertial, f"the inertial of link {name!r}"),
        partial(number, mass_text, f"The mass of link {name!r}"),
        *(partial(number, get.get(k, "0"), f"The {k} of link {name!r}") for k in _INERTIA),
    )
    inertia = T[:3, :3] @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ T[:3, :3].T
    return Link(name, mass, T[:3, 3], inertia, shapes)


def _attributes(element: ET.Element | None, what: str, names: tuple[str, ...]) -> dict[str, float]:
    """The numbers among an element's attributes; only positions and velocities may be infinite, without a limit."""
    if element is None:
        return {}
    given = [k for k in names if element.get(k) is not None]
    free = ("lower", "upper", "velocity")
    values = read_all(lambda k: numbers(element.get(k), 1, f"The {k} of {what}", endless=k in free)[0], given)
    return dict(zip(given, map(float, values), strict=True))


def _parse_mimic(element: ET.Element | None, what: str) -> Mimic | None:
    if element is None:
        return None
    terms = {"multiplier": "1", "offset": "0"}
    multiplier, offset = read_all(lambda k: number(element.get(k, terms[k]), f"The mimic {k} of {what}"), terms)
    return Mimic(element.get("joint", ""), multiplier, offset)


def _parse_axis(element: ET.Element, name: str) -> np.ndarray:
    found = element.find("axis")
    axis = np.array([1.0, 0.0, 0.0]) if found is None else numbers(found.get("xyz"), 3, f"The axis of joint {name!r}")
    length = float(np.linalg.norm(axis))
    if element.get("type") == "fixed":
        return np.array([0.0, 0.0, 1.0])
    if length < 1e-9:
        raise UsageError(f"Joint {name!r} has a zero axis; give the direction it turns or slides along.")
    return axis / length


def _parse_type(element: ET.Element, name: str) -> str:
    kind = element.get("type", "")
    if kind not in _KNOWN:
        raise UsageError(f"Joint {name!r} has the unknown type {kind!r}; use one of {', '.join(_KNOWN)}.")
    return kind


def _parse_end(element: ET.Element, name: str, end: str, links: set[str]) -> str:
    found = element.find(end)
    link = "" if found is None else found.get("link", "")
    if link not in links:
        raise UsageError(f"Joint {name!r} names the {end} link {link!r}, which the file does not define.")
    return link


def _parse_joint(element: ET.Element, links: set[str]) -> Joint:
    name = element.get("name", "")
    what, mimic = f"joint {name!r}", None if element.get("type") == "fixed" else element.find("mimic")
    parts = read_each(
        partial(_parse_type, element, name),
        partial(_parse_end, element, name, "parent", links),
        partial(_parse_end, element, name, "child", links),
        partial(origin, element, what),
        partial(_parse_axis, element, name),
        partial(_attributes, element.find("limit"), what, _LIMITS),
        partial(_attributes, element.find("dynamics"), what, ("damping", "friction")),
        partial(_parse_mimic, mimic, what),
    )
    return Joint(name, *parts)


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


def _check_names(root: ET.Element, path: Path) -> None:
    counts = Counter((e.tag, e.get("name", "")) for e in root if e.tag in ("link", "joint"))
    doubles = [f"two {kind}s named {name!r}" for (kind, name), count in counts.items() if count > 1]
    if doubles:
        raise UsageError(f"{str(path)!r} has {' and '.join(doubles)}; give each a name of its own.")


def parse_urdf(path: Path) -> Tree:
    """Read a URDF file into a Tree.

    Raises UsageError for a missing file and bad XML; for undefined links, unknown types, non-numbers and double names,
    all of them at once; for loops.
    """
    root = read_document(path)
    names = {e.get("name", "") for e in root.findall("link")}
    if not names:
        raise UsageError(f"{str(path)!r} defines no links; a URDF needs <link> and <joint> elements.")
    read: dict[str, Callable[[ET.Element], Link | Joint]]
    read = {"link": _parse_link, "joint": partial(_parse_joint, links=names)}
    _, *parts = read_each(partial(_check_names, root, path), *(partial(read[e.tag], e) for e in root if e.tag in read))
    links = {part.name: part for part in parts if isinstance(part, Link)}
    above, below = _connect([part for part in parts if isinstance(part, Joint)], path)
    extras, (colours, notes) = root.find("armctl"), _colours(root)
    own = {} if extras is None else dict(extras.attrib)
    return Tree(root.get("name", path.stem), path, links, above, below, colours, own, tuple(notes))
