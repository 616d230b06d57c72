"""URDF -> Chain: one serial arm as plain NumPy arrays, every fixed link and side branch lumped in and reported."""

from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError, warn
from armctl.geometry import make_pose, rpy_matrix
from armctl.urdf.bodies import Bodies
from armctl.urdf.limits import given_home, is_endless, read_home, read_limits
from armctl.urdf.parse import Tree, numbers, parse_urdf, read_all, read_each
from armctl.urdf.shapes import read_shapes
from armctl.urdf.tip import choose_tip, moving_joints, path_to


def robots() -> dict[str, Path]:
    """The shipped robots: name -> path of its URDF."""
    folder = Path(str(files("armctl.assets"))) / "robots"
    return {path.stem: path for path in sorted(folder.glob("*.urdf"))}


def find_robot(name_or_path: str | Path) -> Path:
    """Path of a shipped robot by name, or of any URDF file by path.

    Raises UsageError for a name that is neither (it lists the known names) and for a path that is no file.
    """
    known = robots()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    if isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1:
        raise UsageError(f"There is no URDF file {str(name_or_path)!r}; known robots: {', '.join(known)}.")
    raise UsageError(
        f"Unknown robot {name_or_path!r}; choose one of {', '.join(known)}, or give the path of a URDF file."
    )


def load_chain(name_or_path: str | Path, tip: str | None = None) -> Chain:
    """Find and read a robot; a file that has not changed is read once.

    name_or_path: shipped robot or URDF file; tip: link to use as the tip (default: the file's choice, else detected).
    Raises UsageError as find_robot and read_urdf do.
    """
    path = find_robot(name_or_path).resolve()
    return _read_cached(path, tip, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read_cached(path: Path, tip: str | None, _mtime: int) -> Chain:
    return read_urdf(path, tip)


def read_urdf(path: str | Path, tip: str | None = None) -> Chain:
    """Read the serial arm from the root of a URDF file to `tip`.

    Raises UsageError for a missing file and bad XML; then for all names and numbers that are none; for a loop; for an
    unknown tip and no chain to it; for unsupported joint types; for all that is wrong with limits, home and inertias.
    A broken triangle inequality is repaired with a warning.
    """
    tree = parse_urdf(Path(path).resolve())
    tip_link, notes = choose_tip(tree, tip)
    joints = path_to(tree, tip_link)
    moving = moving_joints(joints)
    text, exact = tree.extras.get("home"), tip is None
    try:
        limits = read_limits(moving)
        home, home_notes = read_home(text, limits, exact=exact)
        bodies = Bodies(tree, moving, home)
        mass, com, inertia, repairs, rods = bodies.inertias()
        T_extra = _extra_tip(tree) if exact else None
    except UsageError:  # the first of perhaps several
        read_each(
            partial(read_limits, moving),
            partial(given_home, text, len(moving), exact=exact),
            lambda: read_home(text, read_limits(moving), exact=exact),
            lambda: Bodies(tree, moving, np.zeros(len(moving))).inertias(),
            lambda: exact and _extra_tip(tree),
        )
        raise
    T_parent_joint = bodies.joint_poses(joints)
    T_last_tip, tip_name = bodies.T_body_link[tip_link], tip_link
    if T_extra is not None:
        T_last_tip, tip_name, notes = T_last_tip @ T_extra, tree.extras.get("tip", tip_link), []
    shapes, shape_notes, unmeasured = read_shapes(tree, bodies.body_of, bodies.T_body_link)
    looks = [*tree.notes, *shape_notes]
    if repairs:
        warn(" ".join(repairs))
    return Chain(
        name=tree.name,
        source=str(tree.path),
        base=joints[0].parent,
        tip=tip_name,
        joint_names=tuple(j.name for j in moving),
        joint_types=tuple("continuous" if is_endless(j) else j.type for j in moving),
        T_parent_joint=T_parent_joint,
        T_last_tip=T_last_tip.copy(),
        mass=mass,
        com=com,
        inertia=inertia,
        damping=np.array([j.dynamics.get("damping", 0.0) for j in moving]),
        friction=np.array([j.dynamics.get("friction", 0.0) for j in moving]),
        **limits.arrays(),
        home=home,
        shapes=shapes,
        notes=tuple(dict.fromkeys([*notes, *bodies.notes, *repairs, *rods, *limits.notes, *home_notes, *looks])),
        unmeasured=(*filter(None, tree.extras.get("unmeasured", "").split(";")), *unmeasured),
    )


def _extra_tip(tree: Tree) -> np.ndarray | None:
    """Pose (4, 4) of a tip that is no link in the one it is fixed to; None where the file gives none."""
    if "tip_xyz" not in tree.extras:
        return None
    xyz, rpy = read_all(
        lambda k: numbers(tree.extras.get(k, "0 0 0"), 3, f"The {k} of <armctl>"), ("tip_xyz", "tip_rpy")
    )
    return make_pose(rpy_matrix(rpy), xyz)
