"""One way to run jobs: in this process, on processes of this machine, or on a Ray cluster."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from armctl.errors import UsageError, WorkerError
from armctl.jobs.cluster import Cluster, check_cluster
from armctl.jobs.desk import pack, read
from armctl.jobs.local import Machine
from armctl.jobs.worker import Crew, Lost

Item = TypeVar("Item")
Result = TypeVar("Result")
TRIES = 3
"""How often a job is given to a worker before its loss is the job's fault."""


class Where(NamedTuple):
    """Where jobs run; the results are the same everywhere."""

    jobs: int | None = None
    """Worker processes; None for this process alone or, on Ray, for one on each CPU of the cluster."""
    ray: str | None = None
    """Address of a Ray cluster, HOST:PORT or auto; None for this machine."""

    def here(self, items: int) -> bool:
        """Whether this process itself does so many items."""
        return self.ray is None and min(self.jobs or 1, items) <= 1

    def check(self) -> None:
        """Raise UsageError for a number that is none and for a cluster that cannot be reached; before work is done."""
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"jobs is {self.jobs}; give at least 1.")
        if self.ray is not None:
            check_cluster(self.ray)


def run_jobs(
    start: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    where: Where | None = None,
    *,
    again: Callable[[Item], Item] = lambda item: item,
) -> Iterator[tuple[Item, Result]]:
    """Do every item and yield it with its result as soon as there is one, in any order.

    start: called once in every worker, where it makes the function that does an item; again: what is given to another
    worker in place of an item whose worker was lost. What a job raises is raised here and ends the others.
    Raises UsageError for a cluster that cannot be reached and for what cannot be sent, WorkerError for an item that
    loses its worker three times.
    """
    where = where or Where()
    if where.ray is None:  # a cluster is met below
        where.check()
    if not items:
        return
    if where.here(len(items)):
        work = start()
        yield from ((item, work(item)) for item in items)
        return
    crew = _crew(pack(start), where, len(items))
    try:
        yield from _shared_out(crew, items, again)
    finally:
        crew.close()


def _crew(payload: bytes, where: Where, items: int) -> Crew[Any]:
    if where.ray is not None:
        return Cluster(payload, where.ray, where.jobs, items)
    return Machine(payload, min(where.jobs or 1, items))


def _shared_out(crew: Crew[Any], items: Sequence[Item], again: Callable[[Item], Item]) -> Iterator[tuple[Item, Any]]:
    """Give items to the workers of a crew, and those of workers that are lost to new ones."""
    left, lost = deque(range(len(items))), Counter[int | None]()
    starting, idle = [crew.hire() for _ in range(crew.workers)], list[Any]()
    at: dict[Any, int] = {}  # worker -> the item that it does
    done: list[tuple[Item, Any]] = []
    try:
        while True:
            while left and idle:
                worker, index = idle.pop(), left.popleft()
                worker.send(again(items[index]) if lost[index] else items[index])
                at[worker] = index
            yield from done  # while the workers go on
            if not (left or at):
                return
            worker = crew.first([*starting, *at])
            found, done = at.pop(worker, None), []
            if worker in starting:
                starting.remove(worker)
            idle.append(worker)
            try:
                result = read(worker.answer())
            except Lost as how:
                idle.remove(worker)
                worker.close()
                lost[found] += 1
                _check(lost[found], None if found is None else items[found], how)
                left.extendleft([] if found is None else [found])
                starting.append(crew.hire())
            else:
                lost[None] = 0
                done = [] if found is None else [(items[found], result)]
    finally:
        for worker in (*starting, *idle, *at):
            worker.close()


def _check(lost: int, item: Any, how: Lost) -> None:
    """Raise WorkerError where an item, or getting ready (None), has lost its worker too often."""
    if lost >= TRIES:
        what = "Getting ready" if item is None else f"The job '{item}'"
        raise WorkerError(f"{what} has lost its worker {lost} times, the last one {how}; the other jobs are left.")
