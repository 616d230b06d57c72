"""Visual and collision geometry of a URDF, placed in the frames of the chain's moving links."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from armctl.chain import Shape
from armctl.errors import UsageError
from armctl.urdf.parse import Tree, numbers, origin

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
        values = numbers(element.get("size"), 3, f"size of {what}")
    else:
        values = np.concatenate([numbers(element.get(key), 1, f"{key} of {what}") for key in _SIZES[kind]])
    if np.any(values <= 0):
        raise UsageError(f"The size of {what} is {values.tolist()}; every extent must be above zero.")
    return tuple(values.tolist())


def _rgba(element: ET.Element, tree: Tree) -> tuple[float, ...] | None:
    material = element.find("material")
    if material is None:
        return None
    colour = material.find("color")
    if colour is not None:
        return tuple(numbers(colour.get("rgba"), 4, "rgba of a <color>").tolist())
    return tree.colours.get(material.get("name", ""))


def _read_shape(element: ET.Element, link: int, T_body_link: np.ndarray, tree: Tree, what: str) -> Shape | str | None:
    """The shape, a sentence saying why it is left out, or None for an empty element."""
    geometry = element.find("geometry")
    if geometry is None or len(geometry) == 0:
        return None
    found = geometry[0]
    T = T_body_link @ origin(element, what)
    if found.tag in _SIZES:
        return Shape(link, element.tag, found.tag, _size(found.tag, found, what), T, _rgba(element, tree))
    if found.tag != "mesh":
        return f"The {found.tag!r} geometry of {what} is not supported and was left out."
    path = _find_mesh(found.get("filename", ""), tree.path)
    if path is None:
        return f"The mesh {found.get('filename')!r} of {what} was not found and was left out."
    scale = numbers(found.get("scale", "1 1 1"), 3, f"scale of {what}")
    return Shape(link, element.tag, "mesh", tuple(scale.tolist()), T, _rgba(element, tree), str(path))


def read_shapes(
    tree: Tree, body_of: dict[str, int], T_body_link: dict[str, np.ndarray]
) -> tuple[tuple[Shape, ...], list[str]]:
    """All shapes of the links that ride on a body of the chain, and notes on those left out."""
    shapes: list[Shape] = []
    notes: list[str] = []
    for name, body in body_of.items():
        for element in tree.links[name].shapes:
            shape = _read_shape(element, body, T_body_link[name], tree, f"a {element.tag} of link {name!r}")
            if isinstance(shape, Shape):
                shapes.append(shape)
            elif shape is not None:
                notes.append(shape)
    return tuple(shapes), notes
