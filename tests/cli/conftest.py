"""Fixtures of the command line's tests."""

import jax
import pytest

from armctl import cli
from armctl.motion.files import save_reference
from tests.cli.cases import TUNE, motion


@pytest.fixture(autouse=True, scope="module")
def _compile_once(tmp_path_factory):
    """The cache of compiled programs that the command line turns on, for runs within this process: that of the whole
    run of tests where there is one."""
    from jax.experimental.compilation_cache import compilation_cache

    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_compilation_cache_dir", before[0] or str(tmp_path_factory.mktemp("cache")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before[0])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])
    compilation_cache.reset_cache()


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    """Processes that a command starts find what this one has compiled."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two references and a tuned run."""
    folder = tmp_path_factory.mktemp("made")
    for name, amplitude in (("near", 0.1), ("far", 0.2)):
        save_reference(motion(name, amplitude), folder / "motions" / f"{name}.npz")
    assert cli.main([*TUNE, "--data", str(folder / "motions"), "--out", str(folder / "tuned")]) == 0
    return folder
