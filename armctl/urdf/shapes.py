"""Visual and collision geometry of a URDF, placed in the frames of the chain's moving links."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from armctl import meshes
from armctl.chain import Shape
from armctl.errors import UsageError
from armctl.urdf.parse import Tree, left_out, numbers, origin

_SIZES = {"sphere": ("radius",), "box": ("size",), "cylinder": ("radius", "length"), "capsule": ("radius", "length")}


def _find_mesh(filename: str, urdf: Path) -> Path | None:
    """A mesh file, relative to the URDF or, for package:// and model:// names, to any folder above it."""
    name = filename.split("://", 1)[-1]
    tries = [urdf.parent / name]
    if "://" in filename:
        parts = Path(name).parts
        tries += [folder.joinpath(*parts[skip:]) for folder in urdf.parents for skip in (0, 1) if len(parts) > skip]
    return next((p.resolve() for p in tries if p.is_file()), None)


def _size(kind: str, element: ET.Element, what: str) -> tuple[float, ...]:
    if kind == "box":
        values = numbers(element.get("size"), 3, f"The size of {what}")
    else:
        values = np.concatenate([numbers(element.get(key), 1, f"The {key} of {what}") for key in _SIZES[kind]])
    if np.any(values <= 0):
        raise _Sizeless(f"The size of {what} is {values.tolist()}; every extent must be above zero.", not values.any())
    return tuple(values.tolist())


class _Sizeless(UsageError):
    """A shape without volume; `nothing` if it is a mere point."""

    def __init__(self, message: str, nothing: bool) -> None:
        super().__init__(message)
        self.nothing = nothing


def _rgba(element: ET.Element, tree: Tree, what: str, notes: list[str]) -> tuple[float, ...] | None:
    material = element.find("material")
    if material is None:
        return None
    colour = material.find("color")
    if colour is None:
        return tree.colours.get(material.get("name", ""))
    try:
        return tuple(numbers(colour.get("rgba"), 4, f"The colour of {what}").tolist())
    except UsageError as error:
        if not material.get("name"):  # of those with a name the tree's own notes tell
            notes.append(left_out(error))
        return None


def _mesh(element: ET.Element, what: str, tree: Tree) -> tuple[tuple[float, ...], str]:
    """Scale and absolute path of a mesh that can be used."""
    name = element.get("filename", "")
    path = _find_mesh(name, tree.path)
    if path is None:
        raise UsageError(f"The mesh {name!r} of {what} was not found.")
    try:
        meshes.vertices(path)
    except UsageError as error:
        raise UsageError(f"The mesh {name!r} of {what} {error}.") from None
    scale = numbers(element.get("scale", "1 1 1"), 3, f"The scale of {what}")
    if not scale.all():
        raise UsageError(f"The scale of {what} is {scale.tolist()}; it must not be zero.")
    return tuple(scale.tolist()), str(path)


def _read_shape(
    element: ET.Element, link: int, T_body_link: np.ndarray, tree: Tree, what: str, notes: list[str]
) -> Shape | None:
    """The shape, or None for an empty element; UsageError where it cannot be used."""
    geometry = element.find("geometry")
    if geometry is None or len(geometry) == 0:
        return None
    found, path = geometry[0], ""
    T = T_body_link @ origin(element, what)
    if found.tag == "mesh":
        size, path = _mesh(found, what, tree)
    elif found.tag in _SIZES:
        size = _size(found.tag, found, what)
    else:
        raise UsageError(f"The {found.tag!r} geometry of {what} is not supported.")
    return Shape(link, element.tag, found.tag, size, T, _rgba(element, tree, what, notes), path)


def read_shapes(
    tree: Tree, body_of: dict[str, int], T_body_link: dict[str, np.ndarray]
) -> tuple[tuple[Shape, ...], list[str], tuple[str, ...]]:
    """All shapes of the links that ride on a body of the chain, notes on what was left out, links not fully measured.

    Looks that cannot be used are left out, and so are collision shapes, whose links then count as not measured.
    """
    shapes: list[Shape] = []
    notes: list[str] = []
    unmeasured: list[str] = []
    for name, body in body_of.items():
        for element in tree.links[name].shapes:
            what = f"a {element.tag} of link {name!r}"
            try:
                shape = _read_shape(element, body, T_body_link[name], tree, what, notes)
            except UsageError as error:
                notes.append(left_out(error))
                if element.tag == "collision" and not (isinstance(error, _Sizeless) and error.nothing):
                    unmeasured.append(name)
                continue
            if shape is not None:
                shapes.append(shape)
    if unmeasured:
        links = ", ".join(dict.fromkeys(unmeasured))
        notes.append(f"Without the collision shapes left out of {links} no certificate of a motion can be given.")
    return tuple(shapes), notes, tuple(dict.fromkeys(unmeasured))
