"""The wheel: holds every package and arm, and works away from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("armctl", "assets", "envs", "pyproject.toml", "README.md", "LICENSE")
EVERY_ENVIRONMENT = """
import gymnasium as gym, armctl
from armctl.registration import env_ids
for name in env_ids():
    env = gym.make(name)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
print(armctl.__file__)
"""


def call(*words, **kwargs) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=180, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source / part)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_wheel_holds_every_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    installed = {"armctl": "armctl", "envs": "armctl/envs", "assets": "armctl/assets"}
    for folder, place in installed.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".urdf", ".typed", ".md", ".npz", ".json") and "__pycache__" not in path.parts:
                assert f"{place}/{path.relative_to(ROOT / folder)}" in names
    assert not {name.split("/")[0] for name in names} - {"armctl", f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_works_away_from_the_checkout(wheel, tmp_path):
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv/bin/python"
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
    # dependencies come from here; the path alone does not carry over this environment's own editable armctl
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    call(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = call(python, "-I", "-W", "error", "-c", EVERY_ENVIRONMENT, cwd=tmp_path, env=bare)
    assert Path(where.strip().splitlines()[-1]).is_relative_to(site)
    assert "usage: armctl" in call(tmp_path / "venv/bin/armctl", "--help", cwd=tmp_path, env=bare)
