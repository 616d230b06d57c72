"""Rules of the house: what may import what, how long a file may be, how quickly the package starts."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"armctl": ROOT / "armctl", "armctl.envs": ROOT / "envs", "armctl.assets": ROOT / "assets"}
HEAVY = ("jax", "flax", "optax")
LAYERS = (
    {"errors", "typing", "geometry", "store", "registration", "bench.palette"},
    {"urdf"},
    {"arm", "rigid", "scanform", "plant.scenario"},  # an Arm takes the parameters of a true plant
    {"kinematics", "dynamics"},
    {"motion"},
    {"plant"},
    {"controllers"},
    {"learn", "identify"},
    {"generator"},
    {"bench"},
    {"cli", "commands", "demo"},
)
NO_JAX = ("armctl", "armctl.envs", "armctl.geometry", "armctl.urdf", "armctl.rigid", "armctl.errors", "armctl.store")
NO_JAX += ("armctl.plant.scenario", "armctl.plant.servo", "armctl.plant.observe", "armctl.registration")
NO_JAX += ("armctl.motion.spline", "armctl.motion.reference", "armctl.motion.sampling", "armctl.envs.track")


def modules() -> dict[str, Path]:
    """Every module of the package by name."""
    found = {}
    for package, folder in SOURCES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def imports(path: Path, top_level: bool = False) -> set[str]:
    """Names of the modules that a file imports; with top_level only those that are imported as it is imported."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    if top_level:
        inner = {id(n) for f in nodes if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
        nodes = [n for n in nodes if id(n) not in inner]
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def layer(name: str) -> int | None:
    """Where in the house a module of the library stands; the longest matching entry decides."""
    fits = []
    for level, parts in enumerate(LAYERS):
        for part in parts:
            full = f"armctl.{part}"
            # urdf_parse.py and its like belong to urdf.py
            if name == full or name.startswith((f"{full}.", f"{full}_")):
                fits.append((len(part), level))
    return max(fits)[1] if fits else None


def test_every_module_has_its_place():
    library = [name for name in modules() if not name.startswith(("armctl.envs", "armctl.assets")) and name != "armctl"]
    assert [name for name in library if layer(name) is None] == []


def test_arrows_point_one_way():
    wrong = []
    for name, path in modules().items():
        here = layer(name)
        if here is not None:
            above = [other for other in imports(path, top_level=True) if (layer(other) or 0) > here]
            wrong += [f"{name} imports {other}" for other in above]
    assert wrong == []


def test_environments_and_the_library_meet_by_name_or_inside_functions():
    for name, path in modules().items():
        used = imports(path, top_level=True)
        if name.startswith("armctl.envs"):
            assert not {other for other in used if other.split(".")[0] in HEAVY}, name
        else:
            assert not {other for other in used if other.startswith("armctl.envs")}, name


def test_files_are_short():
    long = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: lines for name, lines in long.items() if lines > 250} == {}


@pytest.mark.parametrize("name", NO_JAX)
def test_modules_for_numpy_users_do_not_load_jax(name, loaded):
    assert name in loaded
    assert not loaded[name]


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """The heavy modules that are in memory after each import, in the order of NO_JAX."""
    lines = [f"import {name}; print({name!r}, *(m for m in {HEAVY!r} if m in sys.modules))" for name in NO_JAX]
    said = run("import sys\n" + "\n".join(lines))
    return {line.split()[0]: line.split()[1:] for line in said.splitlines()}


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [("-c", "import armctl"), ("-m", "armctl.cli", "--help")])
def test_the_package_starts_within_a_second(words):
    """Processor time, not wall time, so that a busy machine does not fail the test; the best of three."""
    code = (
        "import resource, subprocess, sys\n"
        f"subprocess.run([sys.executable, *{words!r}], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    seconds = []
    while len(seconds) < 3 and min(seconds, default=2.0) > 1.0:
        seconds.append(float(run(code)))
        time.sleep(0.1)
    assert min(seconds) < 1.0
