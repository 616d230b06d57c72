"""Which serial chain of a URDF tree is the arm: from the root to the tip asked for, or to the one that is found."""

import re

from armctl.errors import UsageError
from armctl.urdf.parse import MOVING, Joint, Tree, read_all

_FINGER_JOINTS = 3
"""A branch with fewer own joints than this at the end of a chain is a finger, not a further arm."""
_TOOLS = tuple(
    re.compile(rf"(^|[^a-z0-9]){name}([^a-z0-9](link|frame|center|centre|point|target|tip))*$")
    for name in (r"tool0", r"tcp\d*", r"(grasp|pinch)[a-z]*", r"eef?|end_?effector", r"gripper_frame", r"tool")
)
"""How names of links end whose frame is meant to be the tip, the first kind preferred; a tool_camera is no tool."""
_JAW = re.compile(r"jaw|finger|gripper|claw|thumb|knuckle")
_WRIST = re.compile(r"fixed|wrist|roll|pitch|yaw|rotat|swivel")


def path_to(tree: Tree, link: str) -> list[Joint]:
    """Joints from the root down to `link`, fixed ones included."""
    path: list[Joint] = []
    while link in tree.above:
        path.append(tree.above[link])
        link = path[-1].parent
    return path[::-1]


def count_moving(path: list[Joint]) -> int:
    """Number of independent degrees of freedom along a path."""
    return sum(j.moves for j in path)


def candidates(tree: Tree) -> list[str]:
    """Links that could be a tip: all that some joint moves."""
    return [name for name in tree.links if count_moving(path_to(tree, name)) > 0]


def _length(tree: Tree, joint: Joint) -> int:
    """Most joints that move, mimics included, on any way from here on."""
    below = [_length(tree, j) for j in tree.below.get(joint.child, [])]
    return (joint.type != "fixed") + max(below, default=0)


def _is_hand(tree: Tree, link: str, before: int) -> bool:
    """Whether what hangs on a link that `before` joints move is fingers: several, alike, shorter than an arm."""
    lengths = sorted((n for n in (_length(tree, j) for j in tree.below.get(link, [])) if n), reverse=True)
    return len(lengths) > 1 and 2 * lengths[1] >= lengths[0] and lengths[0] < max(_FINGER_JOINTS, before)


def _holds(tree: Tree, path: list[Joint], index: int) -> bool:
    """Whether the arm ends at the link from which joint `index` of the path hangs: a hand, or what carries a tool."""
    link, rest = path[index].parent, path[index:]
    before, left = count_moving(path[:index]), sum(joint.type != "fixed" for joint in rest)
    if before == 0 or left == 0:
        return False
    if rest[0].mimic is not None or _is_hand(tree, link, before):
        return True
    names = (f"{rest[0].name} {rest[0].child}".lower(), rest[0].name.lower())
    if left == 1 and rest[0].type != "fixed" and _JAW.search(names[0]) and not _WRIST.search(names[1]):
        return True
    frames = [leaf for leaf in _fixed_leaves(tree, link) if leaf != link]  # the link itself may be a wrist's tool_pitch
    return left < _FINGER_JOINTS and any(_tool_rank(leaf) < len(_TOOLS) for leaf in frames)


def _tool_rank(link: str) -> int:
    """Place of a link's name in the order of preference for the tip."""
    return next((rank for rank, tool in enumerate(_TOOLS) if tool.search(link.lower())), len(_TOOLS))


def _cut_hand(tree: Tree, path: list[Joint]) -> str:
    """First link of the path that is a hand or carries a jaw or a tool frame; the path's end if none does."""
    return next((joint.parent for index, joint in enumerate(path) if _holds(tree, path, index)), path[-1].child)


def _fixed_leaves(tree: Tree, link: str) -> list[str]:
    fixed = [j.child for j in tree.below.get(link, []) if j.type == "fixed"]
    leaves = [leaf for child in fixed for leaf in _fixed_leaves(tree, child)]
    return leaves or [link]


def detect_tip(tree: Tree) -> tuple[str, list[str]]:
    """The tip of the longest serial chain, before any hand, jaw or fingers, and notes on how it was chosen.

    Of the frames fixed to where it ends, one with the name of a tool comes first, then the farthest.

    Raises UsageError when the tree has no moving joint.
    """
    leaves = [name for name in tree.links if name not in tree.below]
    paths = {leaf: path_to(tree, leaf) for leaf in leaves}
    if not leaves or max(map(count_moving, paths.values())) == 0:
        raise UsageError(f"{str(tree.path)!r} has no chain to a tip: no joint of it moves.")
    longest = max(leaves, key=lambda leaf: (count_moving(paths[leaf]), len(paths[leaf])))
    end = _cut_hand(tree, paths[longest])
    options = _fixed_leaves(tree, end)
    if end == longest:
        moving = count_moving(paths[longest])
        options += [leaf for leaf in leaves if leaf != longest and count_moving(paths[leaf]) == moving]
    tip = min(options, key=lambda name: (_tool_rank(name), -len(path_to(tree, name))))
    others = sorted(set(options) - {tip})
    reason = f"; equally long chains end at {', '.join(others)}" if others else ""
    return tip, [f"The tip was not given: link {tip!r} was chosen{reason}."]


def choose_tip(tree: Tree, tip: str | None) -> tuple[str, list[str]]:
    """The tip asked for, the one the file names, or the detected one, with notes.

    Raises UsageError for an unknown tip (it lists the candidates) and for a tip that no joint moves.
    """
    wanted = tip if tip is not None else tree.extras.get("tip")
    if wanted is None or (tip is None and "tip_xyz" in tree.extras):
        return detect_tip(tree)
    names = ", ".join(candidates(tree)) or "none, for no joint moves"
    if wanted not in tree.links:
        raise UsageError(f"{str(tree.path)!r} has no link {wanted!r} to use as the tip; candidates: {names}.")
    if count_moving(path_to(tree, wanted)) == 0:
        raise UsageError(f"There is no chain to the tip {wanted!r}: no joint moves it; candidates: {names}.")
    return wanted, []


def moving_joints(path: list[Joint]) -> list[Joint]:
    """The joints of the path that become degrees of freedom.

    Raises UsageError for planar, floating and mimic joints, which a serial chain cannot have.
    """
    read_all(_check_joint, path)
    return [j for j in path if j.moves]


def _check_joint(joint: Joint) -> None:
    if joint.type not in (*MOVING, "fixed"):
        raise UsageError(
            f"Joint {joint.name!r} is {joint.type}; the chain to the tip may hold only {', '.join(MOVING)} and "
            "fixed joints: make it fixed, or choose a tip before it."
        )
    if joint.mimic is not None:
        raise UsageError(
            f"Joint {joint.name!r} mimics {joint.mimic.joint!r} inside the chain; choose a tip before it, "
            "or remove <mimic>."
        )
