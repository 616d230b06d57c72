"""The house in figures: `python tests/house.py` prints its rooms, circles, upward imports and lazy imports.

Every import counts: at the top of a file, inside a function, and a module's name given as text.
"""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCES = {"armctl": ROOT / "armctl", "armctl.envs": ROOT / "envs", "armctl.assets": ROOT / "assets"}
LAYERS = (  # rooms from the ground up; those of one layer do not know one another
    ("errors", "typing", "plot_style", "assets"),
    ("chain", "geometry", "meshes", "settings", "store"),
    ("rigid", "jobs"),
    ("spheres",),
    ("urdf",),
    ("arm", "scene"),
    ("recursions",),
    ("kinematics", "dynamics"),
    ("plant",),
    ("envs.bullet",),
    ("motion",),
    ("twin",),
    ("envs",),
    ("controllers",),
    ("learn", "identify", "audit", "export", "rl"),
    ("generator",),
    ("bench",),
    ("report",),
    ("controller_audit", "cotrain"),
    ("registration", "moved"),
    ("",),  # armctl itself: what the others export
    ("demo",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


class Import(NamedTuple):
    """One module of the library naming another; lazy: inside a function or as text."""

    source: str
    target: str
    lazy: bool


def modules() -> dict[str, Path]:
    """Every module of the library by name."""
    found = {}
    for package, folder in SOURCES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def room(module: str) -> str:
    """The folder, or the file that stands in no folder, in which a module lives; "" for armctl itself."""
    name = module.removeprefix("armctl").removeprefix(".")
    fits = [known for known in LEVEL if known and (name == known or name.startswith(f"{known}."))]
    return max(fits, key=len) if fits else name.split(".")[0]


def imports() -> list[Import]:
    """Every import of one module of the library by another."""
    known = modules()
    return [entry for name, path in known.items() for entry in _imports_of(name, path, known)]


def _imports_of(name: str, path: Path, known: dict[str, Path]) -> list[Import]:
    tree = ast.parse(path.read_text())
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        lazy, targets = id(node) in inner, []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [entry if entry in known else entry.rpartition(".")[0] for entry in full]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            lazy, targets = True, [node.value.split(":")[0]] if "." in node.value else []
        found += [Import(name, target, lazy) for target in dict.fromkeys(targets) if target in known and target != name]
    return found


def upward(found: list[Import]) -> list[Import]:
    """Imports of a room that stands higher, or beside the importing one."""
    return [e for e in found if room(e.source) != room(e.target) and LEVEL[room(e.source)] <= LEVEL[room(e.target)]]


def circles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Groups of more than one node each of which reaches all the others along the edges."""
    direct: dict[str, set[str]] = {node: set() for edge in edges for node in edge}
    for a, b in edges:
        direct[a].add(b)
    reach = {node: _reached(node, direct) for node in direct}
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in reach}
    return [sorted(group) for group in groups if len(group) > 1]


def _reached(start: str, direct: dict[str, set[str]]) -> set[str]:
    seen, ahead = set(), [start]
    while ahead:
        for node in direct[ahead.pop()] - seen:
            seen.add(node)
            ahead.append(node)
    return seen


if __name__ == "__main__":
    everything = imports()
    rooms = {(room(e.source), room(e.target)) for e in everything if room(e.source) != room(e.target)}
    print(f"{len(modules())} files in {len({room(name) for name in modules()})} rooms")
    print(f"circles of files: {circles({(e.source, e.target) for e in everything}) or 0}")
    print(f"circles of rooms: {circles(rooms) or 0}")
    print("upward imports:", [f"{e.source} -> {e.target}" for e in upward(everything)] or 0)
    print(f"imports: {len(everything)}, of them lazy (in functions or by name): {sum(e.lazy for e in everything)}")
