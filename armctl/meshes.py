"""Mesh files of any format: measured by trimesh, and handed to PyBullet in a format that it reads."""

import atexit
import hashlib
import io
import shutil
import struct
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from armctl.errors import UsageError

Part = tuple[np.ndarray, np.ndarray]
"""Vertices (k, 3) m and triangles (t, 3), indices of vertices."""
_WRITING = Lock()
_LFS_POINTER = b"version https://git-lfs"


def vertices(path: str | Path) -> np.ndarray:
    """Vertices (k, 3) m of a mesh file, at least one; UsageError, without the file's name, where it cannot be read."""
    return np.concatenate([points for points, _ in _parts(*_version(path))])


def for_bullet(path: str) -> str:
    """A mesh file that PyBullet reads as we do: the one given, or an OBJ made of it that lasts as long as this process.

    PyBullet takes what it cannot read for nothing, without a word: STL as text or with bytes to spare, COLLADA other
    than triangles; it crashes on COLLADA without an <asset>; and it does not know other formats at all.
    """
    suffix = Path(path).suffix.lower()
    same = suffix == ".obj" or (suffix == ".stl" and _is_plain_stl(Path(path)))
    return path if same else _converted(*_version(path))


def _version(path: str | Path) -> tuple[str, int]:
    return str(path), Path(path).stat().st_mtime_ns


def _check_content(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(len(_LFS_POINTER))
    if head == _LFS_POINTER:
        raise UsageError("is a Git LFS pointer instead of the mesh (git lfs pull fetches it)")
    if not head:
        raise UsageError("is empty")


@lru_cache(maxsize=256)
def _parts(path: str, _mtime: int) -> tuple[Part, ...]:
    """The pieces of a mesh where its file places them, in m; as in ROS and PyBullet, COLLADA's up axis is ignored."""
    _check_content(Path(path))
    import trimesh  # takes longer to import than all else that reads a URDF, and few arms have meshes

    suffix = Path(path).suffix.lower()
    options: dict[str, Any] = {"process": False} | ({"skip_materials": True} if suffix == ".obj" else {})
    try:
        with warnings.catch_warnings(action="ignore"):
            if suffix == ".stl" and _triangles(Path(path)):
                data = Path(path).read_bytes()[: _binary_size(_triangles(Path(path)))]
                scene = trimesh.load_scene(io.BytesIO(data), file_type="stl", **options)
            else:
                scene = trimesh.load_scene(path, **options)
            found = [piece for piece in scene.dump() if isinstance(piece, trimesh.Trimesh) and len(piece.faces)]
            scale = [trimesh.units.unit_conversion(piece.units or "meters", "meters") for piece in found]
    except Exception as error:  # a damaged file may break a parser anywhere
        raise UsageError(f"cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from None
    pieces = [(np.array(m.vertices, float) * s, np.array(m.faces)) for m, s in zip(found, scale, strict=True)]
    if not pieces:
        raise UsageError("holds no triangles")
    if not all(np.isfinite(points).all() for points, _ in pieces):
        raise UsageError("holds numbers that are not finite")
    return tuple(pieces)


def _binary_size(triangles: int) -> int:
    return 84 + 50 * triangles


def _triangles(path: Path) -> int:
    """How many triangles a binary STL file says to hold; 0 if it is not one, or cut short."""
    with path.open("rb") as file:
        head = file.read(84)
    count = int(struct.unpack("<I", head[80:])[0]) if len(head) == 84 else 0
    return count if _binary_size(count) <= path.stat().st_size else 0


def _is_plain_stl(path: Path) -> bool:
    return _triangles(path) > 0 and path.stat().st_size == _binary_size(_triangles(path))


@lru_cache(maxsize=1)
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="armctl-meshes-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@lru_cache(maxsize=256)
def _converted(path: str, mtime: int) -> str:
    """An OBJ file of a mesh, a piece each of its own: PyBullet wraps every piece in a convex hull."""
    lines, first = [], 1
    for number, (points, faces) in enumerate(_parts(path, mtime)):
        lines.append(f"o part{number}")
        lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in points.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (faces + first).tolist()]
        first += len(points)
    text = "\n".join(lines) + "\n"
    # PyBullet remembers files by their names: equal names must mean equal meshes.
    name = f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.obj"
    with _WRITING:  # threads may ask for the same mesh at once
        file = _folder() / name
        if not file.exists():
            file.write_text(text)
    return str(file)
