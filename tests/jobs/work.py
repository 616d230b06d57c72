"""Small jobs for the tests of jobs; each notes where it ran."""

import os
import signal
import time
from functools import partial
from pathlib import Path


def start(folder):
    """What does a number: its square, by whom."""
    return partial(square, folder)


def square(folder, number):
    with (Path(folder) / "done.txt").open("a") as file:
        file.write(f"{number}\n")
    return number**2, os.getpid()


def fragile(folder, deaths):
    """The same, but 3 kills its worker so many times."""
    return partial(_fragile, folder, deaths)


def _fragile(folder, deaths, number):
    before = len(list(Path(folder).glob("death-*")))
    if abs(number) == 3 and before < deaths:
        (Path(folder) / f"death-{before}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(folder, number)


def meeting(folder, count):
    """What waits for the others, of so many, and says where it is."""
    return partial(_meet, folder, count)


def _meet(folder, count, number):
    (Path(folder) / f"here-{number}").touch()
    deadline = time.monotonic() + 60
    while len(list(Path(folder).glob("here-*"))) < count:
        assert time.monotonic() < deadline, "the others do not come"
        time.sleep(0.01)
    if "RAY_JOB_ID" not in os.environ:
        return os.getpid()
    import ray

    return ray.get_runtime_context().get_node_id()


def inverse():
    """What fails at 0."""
    return lambda number: 1 / number


def done(folder):
    """How often each number was done."""
    return sorted(map(int, (Path(folder) / "done.txt").read_text().split()))
