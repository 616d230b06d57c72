"""URDF text -> a checked tree of links and joints, with every malformed value named in one sentence."""

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armctl.errors import UsageError
from armctl.geometry import make_pose, rpy_matrix

MOVING = ("revolute", "continuous", "prismatic")
_KNOWN = (*MOVING, "fixed", "planar", "floating")


@dataclass(frozen=True, eq=False)
class Link:
    """One URDF link: mass [kg], com (3,) [m], inertia (3, 3) [kg m2] about the com in link axes, raw shape elements."""

    name: str
    mass: float
    com: np.ndarray
    inertia: np.ndarray
    shapes: tuple[ET.Element, ...]


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
    mimic: str | None

    @property
    def moves(self) -> bool:
        """True when the joint is a degree of freedom of its own."""
        return self.type != "fixed" and self.mimic is None


@dataclass(frozen=True, eq=False)
class Tree:
    """A whole URDF file: links and joints by name, the joint above and the joints below every link, colours, extras."""

    name: str
    path: Path
    links: dict[str, Link]
    above: dict[str, Joint]
    below: dict[str, list[Joint]]
    colours: dict[str, tuple[float, ...]]
    extras: dict[str, str]


def numbers(text: str | None, count: int | None, what: str) -> np.ndarray:
    """Read whitespace-separated finite numbers; `count` of them unless it is None."""
    try:
        values = np.array([float(word) for word in (text or "").split()])
    except ValueError:
        raise UsageError(f"{what} is {text!r}, which is not numeric; write plain decimal numbers.") from None
    if not np.all(np.isfinite(values)):
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
    if element is None:
        return {}
    return {k: number(element.get(k), f"{k} of {what}") for k in names if element.get(k) is not None}


def _parse_axis(element: ET.Element, name: str) -> np.ndarray:
    found = element.find("axis")
    axis = np.array([1.0, 0.0, 0.0]) if found is None else numbers(found.get("xyz"), 3, f"axis of joint {name!r}")
    length = float(np.linalg.norm(axis))
    if element.get("type") == "fixed":
        return np.array([0.0, 0.0, 1.0])
    if length < 1e-9:
        raise UsageError(f"Joint {name!r} has a zero axis; give the direction it turns or slides along.")
    return axis / length


def _parse_joint(element: ET.Element, links: dict[str, Link]) -> Joint:
    name, kind = element.get("name", ""), element.get("type", "")
    if kind not in _KNOWN:
        raise UsageError(f"Joint {name!r} has the unknown type {kind!r}; use one of {', '.join(_KNOWN)}.")
    ends = {}
    for end in ("parent", "child"):
        found = element.find(end)
        ends[end] = "" if found is None else found.get("link", "")
        if ends[end] not in links:
            raise UsageError(f"Joint {name!r} names the {end} link {ends[end]!r}, which the file does not define.")
    limit = _attributes(
        element.find("limit"),
        f"joint {name!r}",
        ("lower", "upper", "velocity", "acceleration", "jerk", "effort"),
    )
    dynamics = _attributes(element.find("dynamics"), f"joint {name!r}", ("damping", "friction"))
    mimic = element.find("mimic")
    return Joint(
        name,
        kind,
        ends["parent"],
        ends["child"],
        origin(element, f"joint {name!r}"),
        _parse_axis(element, name),
        limit,
        dynamics,
        None if mimic is None else mimic.get("joint", ""),
    )


def _read_root(path: Path) -> ET.Element:
    if not path.is_file():
        raise UsageError(
            f"There is no file {str(path)!r}; give the path of a URDF file or the name of a shipped robot."
        )
    try:
        root = ET.parse(path).getroot()
    except (ET.ParseError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{str(path)!r} is not readable XML ({error}); give a URDF file.") from None
    if root.tag != "robot":
        raise UsageError(f"{str(path)!r} is not a URDF: its root element is <{root.tag}>, not <robot>.")
    if any("xacro" in e.tag for e in root.iter()):
        raise UsageError(f"{str(path)!r} is a xacro template; expand it first: xacro FILE > robot.urdf.")
    return root


def _colours(root: ET.Element) -> dict[str, tuple[float, ...]]:
    named: dict[str, tuple[float, ...]] = {}
    for material in root.iter("material"):
        colour = material.find("color")
        if colour is not None and material.get("name"):
            rgba = numbers(colour.get("rgba"), 4, f"colour {material.get('name')!r}")
            named.setdefault(material.get("name", ""), tuple(rgba.tolist()))
    return named


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
    root = _read_root(path)
    for (kind, name), count in Counter((e.tag, e.get("name", "")) for e in root).items():
        if count > 1 and kind in ("link", "joint"):
            raise UsageError(f"{str(path)!r} has two {kind}s named {name!r}; give every {kind} a name of its own.")
    links = {e.get("name", ""): _parse_link(e) for e in root.findall("link")}
    if not links:
        raise UsageError(f"{str(path)!r} defines no links; a URDF needs <link> and <joint> elements.")
    above, below = _connect([_parse_joint(e, links) for e in root.findall("joint")], path)
    extras = root.find("armctl")
    own = {} if extras is None else dict(extras.attrib)
    return Tree(root.get("name", path.stem), path, links, above, below, _colours(root), own)
