"""Runs in folders of their own, as of several seeds, as jobs."""

import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from armctl.commands.console import say
from armctl.errors import UsageError
from armctl.jobs import Where, run_jobs

T = TypeVar("T")


class Run(NamedTuple):
    """A run as a job."""

    folder: Path
    config: Any
    overwrite: bool
    resume: bool
    here: bool
    """Whether the process of the command itself does it, and so may show progress."""

    def __str__(self) -> str:
        return f"run into {self.folder}"

    def again(self) -> "Run":
        """The same after its worker was lost: it goes on."""
        return self._replace(overwrite=False, resume=True)


def run_in_folders(
    do: Callable[[Run], T], configs: Mapping[Path, Any], where: Where, *, overwrite: bool, resume: bool
) -> list[T]:
    """What is made of every run, in the order of the folders; elsewhere with a sentence about each that is finished.

    do: what does one; configs: folder -> settings. Of several runs, those without a folder are begun when resumed.
    """
    here, runs = where.here(len(configs)), []
    for folder, config in configs.items():
        if not here:
            folder = folder.absolute()
            folder.parent.mkdir(parents=True, exist_ok=True)
        goes_on = resume and (folder.exists() or len(configs) == 1)
        runs.append(Run(folder, config, overwrite, goes_on, here))
    found = {}
    for run, result in run_jobs(partial(_doing, do), runs, where, again=Run.again):
        found[run.folder] = result
        if not here:
            say(f"finished: {run.folder}")
    return [found[run.folder] for run in runs]


def _doing(do: Callable[[Run], T]) -> Callable[[Run], T]:
    """The same, where the folder can be written for others to see."""

    def checked(run: Run) -> T:
        if not run.here and not run.folder.parent.is_dir():
            raise UsageError(
                f"'{run.folder.parent}' is not to be seen from {socket.gethostname()}; name a folder that all nodes of "
                "the cluster share with --out."
            )
        return do(run)

    return checked
