"""Which serial chain of a URDF tree is the arm: from the root to the tip asked for, or to the one that is found."""

from armctl.errors import UsageError
from armctl.urdf.parse import MOVING, Joint, Tree

# A branch with fewer own joints than this at the end of a chain is a gripper finger, not a further arm.
_FINGER_JOINTS = 3


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


def _has_joints(tree: Tree, joint: Joint) -> bool:
    return joint.type != "fixed" or any(_has_joints(tree, j) for j in tree.below.get(joint.child, []))


def _cut_fingers(tree: Tree, path: list[Joint]) -> str:
    """Highest link of the path below which there are only fingers; the path's end if there are none."""
    total = count_moving(path)
    for index, joint in enumerate(path):
        branches = [j for j in tree.below.get(joint.parent, []) if _has_joints(tree, j)]
        before = count_moving(path[:index])
        if len(branches) > 1 and before > 0 and total - before < _FINGER_JOINTS:
            return joint.parent
    return path[-1].child


def _fixed_leaves(tree: Tree, link: str) -> list[str]:
    fixed = [j.child for j in tree.below.get(link, []) if j.type == "fixed"]
    leaves = [leaf for child in fixed for leaf in _fixed_leaves(tree, child)]
    return leaves or [link]


def detect_tip(tree: Tree) -> tuple[str, list[str]]:
    """The tip of the longest serial chain, before any gripper fingers, and notes on how it was chosen.

    Raises UsageError when the tree has no moving joint.
    """
    leaves = [name for name in tree.links if name not in tree.below]
    paths = {leaf: path_to(tree, leaf) for leaf in leaves}
    if not leaves or max(map(count_moving, paths.values())) == 0:
        raise UsageError(f"{str(tree.path)!r} has no chain to a tip: no joint of it moves.")
    longest = max(leaves, key=lambda leaf: (count_moving(paths[leaf]), len(paths[leaf])))
    end = _cut_fingers(tree, paths[longest])
    options = _fixed_leaves(tree, end)
    if end == longest:
        moving = count_moving(paths[longest])
        options += [leaf for leaf in leaves if leaf != longest and count_moving(paths[leaf]) == moving]
    tip = max(options, key=lambda name: len(path_to(tree, name)))
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
    for joint in path:
        if joint.type not in (*MOVING, "fixed"):
            raise UsageError(
                f"Joint {joint.name!r} is {joint.type}; the chain to the tip may hold only {', '.join(MOVING)} and "
                "fixed joints: make it fixed, or choose a tip before it."
            )
        if joint.mimic is not None:
            raise UsageError(
                f"Joint {joint.name!r} mimics {joint.mimic!r} inside the chain; choose a tip before it, "
                "or remove <mimic>."
            )
    return [j for j in path if j.moves]
