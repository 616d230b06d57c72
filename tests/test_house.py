"""Rules of the house: what may import what, and how quickly the package starts. `python tests/house.py` prints them."""

import subprocess
import sys
import time

import pytest

from tests import house

HEAVY = ("jax", "flax", "optax")
NO_JAX = ("armctl", "armctl.envs", "armctl.geometry", "armctl.urdf", "armctl.rigid", "armctl.errors", "armctl.store")
NO_JAX += ("armctl.plant.scenario", "armctl.plant.servo", "armctl.plant.observe", "armctl.registration")
NO_JAX += ("armctl.motion.spline", "armctl.motion.reference", "armctl.motion.sampling", "armctl.motion.certificate")
NO_JAX += ("armctl.envs.reach", "armctl.envs.track", "armctl.envs.vector")


@pytest.fixture(scope="module")
def imports() -> list[house.Import]:
    return house.imports()


def test_every_module_has_its_place():
    assert [name for name in house.modules() if house.room(name) not in house.LEVEL] == []


def test_imports_point_one_way(imports):
    assert house.upward(imports) == []


def test_there_are_no_circles(imports):
    files = {(entry.source, entry.target) for entry in imports}
    rooms = {(house.room(a), house.room(b)) for a, b in files if house.room(a) != house.room(b)}
    assert house.circles(files) == []
    assert house.circles(rooms) == []


def test_circles_and_upward_imports_would_be_found():
    assert house.circles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == [["a", "b", "c"]]
    down, up = house.Import("armctl.arm", "armctl.urdf.read", False), house.Import("armctl.urdf", "armctl.arm", True)
    assert house.upward([down, up]) == [up]


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


@pytest.mark.parametrize("words", [("-c", "import armctl"), ("-m", "armctl", "--help")])
def test_the_package_starts_at_once(words):
    """Processor time, not wall time, so that a busy machine does not fail the test; the best of several."""
    code = (
        "import resource, subprocess, sys\n"
        f"subprocess.run([sys.executable, *{words!r}], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    seconds = []
    while len(seconds) < 5 and min(seconds, default=1.0) > 0.1:
        seconds.append(float(run(code)))
        time.sleep(0.1)
    assert min(seconds) < 0.2
