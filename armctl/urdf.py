"""URDF -> Chain: one serial arm as plain NumPy arrays, every fixed link and side branch lumped in and reported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from armctl.errors import UsageError
from armctl.urdf_bodies import Bodies
from armctl.urdf_friction import with_bearable_friction
from armctl.urdf_limits import read_home, read_limits
from armctl.urdf_parse import Tree, make_pose, numbers, parse_urdf, rpy_matrix
from armctl.urdf_shapes import Shape, read_shapes
from armctl.urdf_spheres import sphere_pairs, spheres
from armctl.urdf_tip import choose_tip, moving_joints, path_to
from armctl.urdf_write import write_urdf

__all__ = ["Chain", "Shape", "find_robot", "load_chain", "read_urdf", "robots", "sphere_pairs", "spheres", "write_urdf"]


@dataclass(frozen=True, eq=False)
class Chain:
    """A serial arm of n joints; link i moves with joint i and its frame has z along the joint axis.

    name, source: robot name; absolute path of the file. base, tip: root link; link whose frame is the tip.
    joint_names, joint_types: n each; a type is "revolute", "continuous" or "prismatic".
    T_parent_joint (n, 4, 4): pose of link frame i in link frame i-1 (base for i = 0) at q = 0. T_last_tip (4, 4).
    mass (n,) [kg]; com (n, 3) [m] in the link frame; inertia (n, 3, 3) [kg m2] about the com in link axes.
    damping, friction (n,): [N m s/rad], [N m] ([N s/m], [N] for prismatic joints).
    lower, upper, home (n,) [rad or m]; velocity, acceleration, jerk (n,) [per s, s2, s3]; effort (n,) [N m or N].
    Continuous joints have lower = -inf and upper = +inf. shapes: geometry in link frames. notes: what was lumped,
    frozen, defaulted or repaired, one sentence each. Arrays are read-only.
    """

    name: str
    source: str
    base: str
    tip: str
    joint_names: tuple[str, ...]
    joint_types: tuple[str, ...]
    T_parent_joint: np.ndarray
    T_last_tip: np.ndarray
    mass: np.ndarray
    com: np.ndarray
    inertia: np.ndarray
    damping: np.ndarray
    friction: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    effort: np.ndarray
    home: np.ndarray
    shapes: tuple[Shape, ...]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        # Chains are cached and shared, so a caller must not be able to change one in place.
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def n(self) -> int:
        """Number of joints."""
        return len(self.joint_names)


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

    Raises UsageError, in one sentence, for a missing file, bad XML, an unknown tip, no chain to it, a loop, missing
    limits, unsupported joint types and non-physical inertias. A broken triangle inequality is repaired with a warning.
    """
    tree = parse_urdf(Path(path).resolve())
    tip_link, notes = choose_tip(tree, tip)
    joints = path_to(tree, tip_link)
    moving = moving_joints(joints)
    limits = read_limits(moving)
    home, home_notes = read_home(tree.extras.get("home"), limits, exact=tip is None)
    bodies = Bodies(tree, moving)
    T_parent_joint = bodies.joint_poses(joints)
    T_last_tip, tip_name = bodies.T_body_link[tip_link], tip_link
    if tip is None and "tip_xyz" in tree.extras:
        T_last_tip, tip_name, notes = T_last_tip @ _extra_tip(tree), tree.extras.get("tip", tip_link), []
    mass, com, inertia, inertia_notes = bodies.inertias()
    shapes, shape_notes = read_shapes(tree, bodies.body_of, bodies.T_body_link)
    chain = Chain(
        name=tree.name,
        source=str(tree.path),
        base=joints[0].parent,
        tip=tip_name,
        joint_names=tuple(j.name for j in moving),
        joint_types=tuple(j.type for j in moving),
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
        notes=(*notes, *bodies.notes, *inertia_notes, *limits.notes, *home_notes, *shape_notes),
    )
    return with_bearable_friction(chain)


def _extra_tip(tree: Tree) -> np.ndarray:
    xyz = numbers(tree.extras["tip_xyz"], 3, "tip_xyz of <armctl>")
    return make_pose(rpy_matrix(numbers(tree.extras.get("tip_rpy", "0 0 0"), 3, "tip_rpy of <armctl>")), xyz)
