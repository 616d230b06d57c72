"""The run that tests of training share."""

import shutil

import pytest

from armctl.learn import tune
from tests.learn.runs import CONFIG, SMALL, references


@pytest.fixture(scope="session")
def tuned(tmp_path_factory):
    """A run by one process that nothing interrupts: controller, rows of metrics, and a folder that holds it as `one`,
    and as `first` what there was of it after its first chunk."""
    folder, rows = tmp_path_factory.mktemp("runs"), []

    def note(row):
        rows.append(row)
        if row["update"] == SMALL.chunk:
            shutil.copytree(folder / "one", folder / "first")

    return tune.tune(CONFIG, references(), folder / "one", progress=note), rows, folder
