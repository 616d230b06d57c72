"""The comparison of speed says how it wants to be run where it cannot."""

import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[2] / "experiments/twin_speed/run.py"


def test_run_as_a_file_it_names_the_command():
    """As a file, its mujoco.py would stand in the way of the package of that name."""
    done = subprocess.run([sys.executable, RUN], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "python -m experiments.twin_speed.run" in done.stderr
