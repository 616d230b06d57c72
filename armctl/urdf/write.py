"""Chain -> canonical URDF text whose PyBullet body equals the Chain joint for joint and link for link."""

import xml.etree.ElementTree as ET

import numpy as np

from armctl.chain import Chain, Shape
from armctl.geometry import matrix_rpy


def _text(values: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _add_origin(parent: ET.Element, T: np.ndarray) -> None:
    ET.SubElement(parent, "origin", xyz=_text(T[:3, 3]), rpy=_text(matrix_rpy(T[:3, :3])))


def _principal(inertia: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal moments (3,) and axes (3, 3, columns, right-handed) of an inertia (3, 3)."""
    if np.count_nonzero(inertia - np.diag(np.diag(inertia))) == 0:
        return np.diag(inertia), np.eye(3)
    moments, axes = np.linalg.eigh(inertia)
    return moments, axes * np.sign(np.linalg.det(axes))


def _add_inertial(link: ET.Element, mass: float, com: np.ndarray, inertia: np.ndarray) -> None:
    # Bullet diagonalises a full tensor only to 1e-6; principal axes written out here reach it to rounding error.
    moments, axes = _principal(inertia)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = axes, com
    inertial = ET.SubElement(link, "inertial")
    _add_origin(inertial, T)
    ET.SubElement(inertial, "mass", value=repr(float(mass)))
    xx, yy, zz = (repr(float(m)) for m in moments)
    ET.SubElement(inertial, "inertia", ixx=xx, iyy=yy, izz=zz, ixy="0", ixz="0", iyz="0")


def _add_shape(link: ET.Element, shape: Shape) -> None:
    element = ET.SubElement(link, shape.role)
    _add_origin(element, shape.T_link_shape)
    geometry = ET.SubElement(element, "geometry")
    if shape.kind == "mesh":
        ET.SubElement(geometry, "mesh", filename=shape.filename, scale=_text(shape.size))
    elif shape.kind == "box":
        ET.SubElement(geometry, "box", size=_text(shape.size))
    else:
        keys = ("radius", "length")[: len(shape.size)]
        ET.SubElement(geometry, shape.kind, {k: repr(v) for k, v in zip(keys, shape.size, strict=True)})
    if shape.rgba is not None and shape.role == "visual":
        # Equal names mean equal colours to every URDF reader, so the name is made from the colour.
        name = "rgba_" + "_".join(f"{v:.4f}" for v in shape.rgba)
        ET.SubElement(ET.SubElement(element, "material", name=name), "color", rgba=_text(shape.rgba))


def _add_joint(robot: ET.Element, chain: Chain, index: int, parent: str, child: str, friction: bool) -> None:
    joint = ET.SubElement(robot, "joint", name=chain.joint_names[index], type=chain.joint_types[index])
    _add_origin(joint, chain.T_parent_joint[index])
    ET.SubElement(joint, "parent", link=parent)
    ET.SubElement(joint, "child", link=child)
    ET.SubElement(joint, "axis", xyz="0 0 1")
    limit = {k: getattr(chain, k)[index] for k in ("velocity", "acceleration", "jerk", "effort")}
    if chain.joint_types[index] != "continuous":
        limit |= {"lower": chain.lower[index], "upper": chain.upper[index]}
    ET.SubElement(joint, "limit", {k: repr(float(v)) for k, v in limit.items()})
    # Bullet would apply these itself; the plant applies joint friction explicitly so that the twin can match it.
    own = (chain.damping[index], chain.friction[index]) if friction else (0.0, 0.0)
    ET.SubElement(joint, "dynamics", damping=repr(float(own[0])), friction=repr(float(own[1])))


def link_names(chain: Chain) -> list[str]:
    """Names of the n moving links in the canonical URDF; the base keeps its own name."""
    suffix = "_link"
    while chain.base in {name + suffix for name in chain.joint_names}:
        suffix += "_"
    return [name + suffix for name in chain.joint_names]


def write_urdf(
    chain: Chain,
    *,
    mass: np.ndarray | None = None,
    com: np.ndarray | None = None,
    inertia: np.ndarray | None = None,
    friction: bool = False,
) -> str:
    """Canonical URDF text: a fixed base link and n moving links with joint axis "0 0 1", nothing else.

    mass (n,) [kg], com (n, 3) [m], inertia (n, 3, 3) [kg m2] about the com replace those of the chain (a payload, an
    inertia error). Joint damping and friction are written as zero, or with `friction` as they are: for files that are
    read again, not stepped by Bullet. Load it with URDF_USE_INERTIA_FROM_FILE and useFixedBase. The tip frame is not a
    link; `read_urdf` finds it in the <armctl> element.
    """
    mass = chain.mass if mass is None else np.asarray(mass)
    com = chain.com if com is None else np.asarray(com)
    inertia = chain.inertia if inertia is None else np.asarray(inertia)
    robot = ET.Element("robot", name=chain.name)
    tip = {"tip_xyz": _text(chain.T_last_tip[:3, 3]), "tip_rpy": _text(matrix_rpy(chain.T_last_tip[:3, :3]))}
    rest = {"unmeasured": ";".join(chain.unmeasured)} if chain.unmeasured else {}
    ET.SubElement(robot, "armctl", {"home": _text(chain.home), "tip": chain.tip, **tip, **rest})
    names = [chain.base, *link_names(chain)]
    for index, name in enumerate(names, start=-1):
        link = ET.SubElement(robot, "link", name=name)
        if index < 0:
            _add_inertial(link, 0.0, np.zeros(3), np.zeros((3, 3)))
        else:
            _add_inertial(link, mass[index], com[index], inertia[index])
        for shape in (s for s in chain.shapes if s.link == index):
            _add_shape(link, shape)
    for index in range(chain.n):
        _add_joint(robot, chain, index, names[index], names[index + 1], friction)
    ET.indent(robot)
    return ET.tostring(robot, encoding="unicode") + "\n"
