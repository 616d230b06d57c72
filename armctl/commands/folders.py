"""Runs in folders of their own, as of several seeds, as jobs."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from armctl.commands.console import say
from armctl.commands.parsing import Address, Flag, Limit
from armctl.errors import UsageError
from armctl.jobs import Where, run_jobs

T = TypeVar("T")


@dataclass(frozen=True)
class SeedArguments:
    """What commands have in common that train several seeds, each in a folder of its own."""

    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    resume: Flag = False
    """Continue an interrupted run with the same settings."""
    json: Flag = False
    """Print JSON instead of a table."""
    jobs: Limit = None
    """Processes among which the seeds are shared out; this process trains one after the other if absent."""
    ray: Address = None
    """Train on a Ray cluster, a job for each seed: HOST:PORT of its head, or auto for the one that runs on this
    machine. Its nodes share the run folder."""


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
