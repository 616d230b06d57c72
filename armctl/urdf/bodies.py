"""Cut a URDF tree at the joints of its chain into rigid bodies whose frames have z along the joint axis."""

import numpy as np

from armctl.errors import UsageError
from armctl.geometry import make_pose, rpy_matrix
from armctl.urdf.inertia import checked_inertia, lump
from armctl.urdf.limits import ENDLESS, is_endless
from armctl.urdf.parse import Joint, Tree, read_all
from armctl.urdf.tip import path_to


def align_z(axis: np.ndarray) -> np.ndarray:
    """Smallest rotation (3, 3) whose z column is the unit vector `axis` (3,)."""
    x, y, z = axis
    if z < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    return np.array(
        [[1 - x * x / (1 + z), -x * y / (1 + z), x], [-x * y / (1 + z), 1 - y * y / (1 + z), y], [-x, -y, z]]
    )


class Bodies:
    """A tree cut at the chain's joints: the rigid body (-1 = base) each link rides on, and its pose in that body."""

    def __init__(self, tree: Tree, moving: list[Joint], home: np.ndarray) -> None:
        """home: posture (n,) of the moving joints [rad or m], where joints that follow one of them are frozen."""
        self.tree, self.moving, self.notes = tree, moving, []
        self._held = {joint.name: float(q) for joint, q in zip(moving, home, strict=True)}
        self._joints = {joint.name: joint for joint in tree.above.values()}
        root = path_to(tree, moving[0].child)[0].parent
        self.body_of: dict[str, int] = {root: -1}
        self.T_body_link: dict[str, np.ndarray] = {root: np.eye(4)}
        self._collect(root)
        for index, joint in enumerate(moving):
            self.body_of[joint.child] = index
            self.T_body_link[joint.child] = make_pose(align_z(joint.axis).T, np.zeros(3))
            self._collect(joint.child)
        lost = sorted(set(tree.links) - set(self.body_of))
        if lost:
            self.notes.append(f"Links outside the arm's tree were left out: {', '.join(lost)}.")

    def _collect(self, link: str) -> None:
        for joint in self.tree.below.get(link, []):
            if joint not in self.moving:
                position = held_position(joint, self._joints, self._held)
                if joint.type != "fixed":
                    text = f"Joint {joint.name!r} ({joint.type}) is not on the way to the tip: frozen at {position:g}"
                    self.notes.append(f"{text} and lumped into what carries it{self._leader(joint)}.")
                self.body_of[joint.child] = self.body_of[link]
                self.T_body_link[joint.child] = self.T_body_link[link] @ _pose_at(joint, position)
                self._collect(joint.child)

    def _leader(self, joint: Joint) -> str:
        """What the note on a frozen joint says of the one that it mimics."""
        name = joint.mimic.joint if joint.mimic is not None else ""
        if name and name not in self._joints:
            return f"; the joint {name!r} that it mimics is not in the file"
        return f"; it mimics {name!r}, which moves, and does not follow it here" if name in self._held else ""

    def joint_poses(self, joints: list[Joint]) -> np.ndarray:
        """Pose (n, 4, 4) of every link frame of the chain in the one before it, at q = 0."""
        poses = []
        for joint in joints:
            if joint.moves:
                T_joint_link = make_pose(align_z(joint.axis), np.zeros(3))
                poses.append(self.T_body_link[joint.parent] @ joint.T_parent_child @ T_joint_link)
        return np.array(poses)

    def inertias(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], list[str]]:
        """Mass (n,), com (n, 3), inertia (n, 3, 3) of the moving bodies, what was wrong with links, notes on rods."""
        repairs: list[str] = []

        def body(index: int) -> tuple[float, np.ndarray, np.ndarray, list[str]]:
            riding = [self.tree.links[name] for name, body in self.body_of.items() if body == index]
            checked = read_all(checked_inertia, riding)
            repairs.extend(note for _, notes in checked for note in notes)
            sane = [(self.T_body_link[link.name], link, own) for link, (own, _) in zip(riding, checked, strict=True)]
            return lump(sane, self.moving[index].child)

        lumped = read_all(body, range(len(self.moving)))
        mass, com, inertia = (np.array([row[k] for row in lumped]) for k in range(3))
        return mass, com, inertia, repairs, [note for row in lumped for note in row[3]]


def frozen_position(joint: Joint) -> float:
    """Where a joint off the chain is held: at zero where its limits allow it, else at their middle or the only one."""
    lower, upper = joint.limit.get("lower", 0.0), joint.limit.get("upper", 0.0)
    limits = [limit for limit in (lower, upper) if abs(limit) <= ENDLESS]  # one beyond is none
    return 0.0 if is_endless(joint) or lower <= 0.0 <= upper or not limits else float(np.mean(limits))


def held_position(
    joint: Joint, joints: dict[str, Joint], held: dict[str, float], followed: tuple[str, ...] = ()
) -> float:
    """Where a joint off the chain is held [rad or m]: where what it mimics puts it, or at rest.

    joints: all of the file by name; held: positions of those on the chain; followed: those that led to this one.
    """
    if joint.name in held:
        return held[joint.name]
    leader = None if joint.mimic is None else joints.get(joint.mimic.joint)
    if joint.mimic is None or leader is None:
        return frozen_position(joint)
    if joint.name in followed:
        raise UsageError(f"Joint {joint.name!r} mimics itself by way of others; remove one <mimic>.")
    position = held_position(leader, joints, held, (*followed, joint.name))
    return joint.mimic.multiplier * position + joint.mimic.offset


def _pose_at(joint: Joint, position: float) -> np.ndarray:
    """Pose (4, 4) of the joint's child in its parent with the joint held at `position` [rad or m]."""
    if joint.type == "prismatic":
        return joint.T_parent_child @ make_pose(np.eye(3), position * joint.axis)
    if position == 0.0:
        return joint.T_parent_child
    A = align_z(joint.axis)
    return joint.T_parent_child @ make_pose(A @ rpy_matrix(np.array([0.0, 0.0, position])) @ A.T, np.zeros(3))
