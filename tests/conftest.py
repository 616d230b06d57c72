"""Fixtures shared by all tests; while tests run, the shapes in the library's signatures are checked at every call."""

import gc
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads wait for one another; read by NumPy
gc.set_threshold(50_000, 20, 50)  # tracing makes many objects that stay; Python's 700 looks through them all the time

from jaxtyping import install_import_hook  # noqa: E402

CHECKED = ("geometry", "rigid", "kinematics", "dynamics", "twin.step", "plant.observe", "controllers.tip_errors")
CHECKED += ("motion.collision", "learn.losses")
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"  # an int is a float, as for mypy
install_import_hook([f"armctl.{name}" for name in CHECKED], CHECKER)  # before anything imports them

from tests.quick import XLA_FLAGS  # noqa: E402

os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)  # read when the first function is compiled
# what one test has compiled serves the others, other workers, the processes that they start, and the next run
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import jax  # noqa: E402
import pytest  # noqa: E402

COMPILING = {
    "audit",
    "bench",
    "cli",
    "controllers",
    "cotrain",
    "experiments",
    "generator",
    "identify",
    "learn",
    "recursions",
}
COMPILING |= {"twin"}
"""Rooms whose tests compile or train."""


def pytest_configure(config):
    """Several workers take files in the order below, not those with most tests first, which are the quickest ones."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_addoption(parser):
    """--slow also runs what compiles or trains for long."""
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    """Rooms that compile come first, so that quick files are left to fill the end of a run on several workers."""
    items.sort(key=lambda item: item.path.relative_to(Path(__file__).parent).parts[0] not in COMPILING)
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes long; --slow runs it"))


@pytest.fixture
def x64():
    """Run a test in double precision."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def urdf(tmp_path):
    """Write URDF text to a file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "robot.urdf"
        path.write_text(text)
        return path

    return write
