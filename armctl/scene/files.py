"""Scenes in files: JSON, TOML, and URDFs whose links are all fixed."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from armctl import geometry, store
from armctl.chain import Chain, Shape
from armctl.errors import UsageError, warn
from armctl.scene.body import GREY, Body, Scene
from armctl.scene.named import NAMED, named_scene
from armctl.spheres import mesh_box
from armctl.urdf.parse import Tree, parse_urdf
from armctl.urdf.shapes import read_shapes

FIELDS = ("shape", "size", "position", "quaternion", "rpy", "name", "rgba")
SUFFIXES = (".json", ".toml", ".urdf")
ALSO = {"floor": "plane"}  # what else a file may call a shape


def load_scene(name_or_path: str | Path | Scene, chain: Chain | None = None) -> Scene:
    """A scene by name, laid out for an arm, or from a .json, .toml or .urdf file; a Scene is returned as it is.

    Raises UsageError for an unknown name (it lists the known ones), a name without an arm, a missing or malformed file.
    """
    if isinstance(name_or_path, Scene):
        return name_or_path
    if str(name_or_path) in NAMED:
        if chain is None:
            raise UsageError(f"Scene {str(name_or_path)!r} is as large as an arm's reach; say of which arm.")
        return named_scene(str(name_or_path), chain)
    path = Path(name_or_path).expanduser()
    known = f"choose one of {', '.join(NAMED)}, or give the path of a {', '.join(SUFFIXES)} file"
    if not path.is_file():
        raise UsageError(f"There is no scene {str(name_or_path)!r}; {known}.")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"Scene file {str(path)!r} is of an unknown kind; {known}.")
    return _from_urdf(path) if path.suffix == ".urdf" else _from_fields(_read(path), path)


def save_scene(scene: Scene, path: str | Path) -> Path:
    """Write a scene to a .json file, whole or not at all; `load_scene` gives the same one back."""
    path = Path(path)
    if path.suffix != ".json":
        raise UsageError(f"A scene is saved as .json, not {path.name!r}.")
    store.write_json(path, scene)
    return path


def scene_from_fields(fields: Any, what: str = "A scene") -> Scene:
    """A scene from plain data, as a file has it: name and bodies. Raises UsageError for anything else."""
    bodies = fields.get("bodies") if isinstance(fields, dict) else None
    if not isinstance(bodies, list | tuple) or not all(isinstance(body, dict) for body in bodies):
        raise UsageError(f"{what} has no list of bodies; give each a shape, a size and a position.")
    return Scene(str(fields.get("name", "scene")), tuple(_body(body, what, k) for k, body in enumerate(bodies)))


def _from_fields(fields: Any, path: Path) -> Scene:
    return scene_from_fields({"name": path.stem, **fields} if isinstance(fields, dict) else fields, f"'{path}'")


def _read(path: Path) -> Any:
    if path.suffix == ".json":
        return store.read_json(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"'{path}' is not readable TOML ({error}); mend it.") from None


def _body(fields: dict[str, Any], what: str, k: int) -> Body:
    said = f"Body {fields.get('name', k)!r} of {what}"
    if not isinstance(fields.get("name", ""), str):
        raise UsageError(f"{said} has a name that is no text; give it one in quotes.")
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise UsageError(f"{said} has the unknown field {unknown[0]!r}; choose from {', '.join(FIELDS)}.")
    if "shape" not in fields:
        raise UsageError(f"{said} has no shape; say what it is.")
    if "rpy" in fields and "quaternion" in fields:
        raise UsageError(f"{said} has both rpy and quaternion; give one.")
    given = {name: value for name, value in fields.items() if name != "rpy"}
    given["shape"] = ALSO.get(str(fields["shape"]), str(fields["shape"]))
    if "rpy" in fields:
        try:
            rpy = np.asarray(fields["rpy"], float)
        except (TypeError, ValueError):
            rpy = np.empty(0)
        if rpy.shape != (3,) or not np.isfinite(rpy).all():
            raise UsageError(f"{said}: rpy is {fields['rpy']!r}; give 3 finite numbers in rad.")
        given["quaternion"] = geometry.matrix_to_quat(geometry.rpy_matrix(rpy)).tolist()
    try:
        return Body(**given)
    except UsageError as error:
        raise UsageError(f"{what}: {error}") from None


def _from_urdf(path: Path) -> Scene:
    """The collision shapes of a URDF without moving joints, each a body of its own."""
    tree = parse_urdf(path.resolve())
    moving = [joint.name for joint in tree.above.values() if joint.type != "fixed"]
    if moving:
        raise UsageError(f"Joint {moving[0]!r} of '{path}' moves; the bodies of a scene are fixed, make it so.")
    bodies: list[Body] = []
    boxed: list[str] = []
    for link in tree.links:
        shapes, notes, unmeasured = read_shapes(tree, {link: 0}, {link: _pose(tree, link)})
        if unmeasured:
            raise UsageError(f"'{path}' cannot be a scene: {' '.join(notes)}")
        looks = [shape.rgba for shape in shapes if shape.role == "visual" and shape.rgba is not None]
        solid = [shape for shape in shapes if shape.role == "collision"]
        names = [link] if len(solid) == 1 else [f"{link}_{k}" for k in range(len(solid))]
        bodies += [_fixed(shape, name, [*looks, GREY][0]) for shape, name in zip(solid, names, strict=True)]
        boxed += [name for shape, name in zip(solid, names, strict=True) if shape.kind == "mesh"]
    if not bodies:
        raise UsageError(f"'{path}' has no collision shapes; a scene is made of them.")
    if boxed:
        warn(f"Meshes of '{path}' count as the boxes around them: {', '.join(boxed)}.")
    return Scene(tree.name, tuple(bodies))


def _pose(tree: Tree, link: str) -> np.ndarray:
    """Pose (4, 4) of a link in the root's frame, all joints being fixed."""
    T = np.eye(4)
    while link in tree.above:
        joint = tree.above[link]
        T, link = joint.T_parent_child @ T, joint.parent
    return T


def _fixed(shape: Shape, name: str, rgba: tuple[float, ...]) -> Body:
    kind, size, T = shape.kind, shape.size, shape.T_link_shape
    if kind == "mesh":
        extents, middle = mesh_box(shape)
        kind, size, T = "box", tuple(extents.tolist()), T @ geometry.make_pose(np.eye(3), middle)
    pose = geometry.matrix_to_pose(T).tolist()
    return Body(kind, size, tuple(pose[:3]), tuple(pose[3:]), name, shape.rgba or rgba)
