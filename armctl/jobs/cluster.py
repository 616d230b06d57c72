"""Workers that are actors on a Ray cluster, one for each CPU that it gives."""

import contextlib
import logging
import re
import socket
from typing import Any

from armctl.errors import UsageError
from armctl.jobs.desk import Desk
from armctl.jobs.worker import Lost

PATIENCE = 10.0
"""Seconds that the head of a cluster has to take a connection."""


class Actor:
    """A worker on one of the cluster's nodes."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self.answered = actor.ready.remote()

    def send(self, item: Any) -> None:
        """Give it an item."""
        import cloudpickle

        self.answered = self._actor.do.remote(cloudpickle.dumps(item))

    def answer(self) -> bytes:
        """Its answer: that it is ready, then one for each item.

        Raises Lost once it, or its node, is gone, and UsageError where armctl cannot run there.
        """
        try:
            answer: bytes = self._ray.get(self.answered)
        except self._ray.exceptions.RayError as error:
            raise _lost(str(error)) from None
        return answer

    def close(self) -> None:
        """End it, whatever it is at."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)


def _lost(said: str) -> Exception:
    """What Ray's text about a worker that is gone means."""
    lines = said.strip().splitlines()
    if "creation task" in said:
        return UsageError(f"A node of Ray cannot run armctl ({lines[-1]}); install the same version on every node.")
    why = re.search(r"The actor (?:is dead|died) because (.+?)\.", said)
    return Lost(f"on Ray, where {why[1] if why else lines[0]}")


class Cluster:
    """The workers of a Ray cluster."""

    def __init__(self, payload: bytes, address: str, workers: int | None, most: int) -> None:
        """workers: how many are wanted, None for one on each CPU; most: how many there is work for."""
        self._ray, self._joined = connect(address)
        cpus = int(self._ray.cluster_resources().get("CPU", 0))
        self.workers = min(workers or max(1, cpus), most)
        self._payload = self._ray.put(payload)
        self._desk = self._ray.remote(num_cpus=1)(Desk)

    def hire(self) -> Actor:
        """A new worker, which answers when a node has taken it and it is ready."""
        return Actor(self._ray, self._desk.remote(self._payload, 1))

    def first(self, workers: list[Actor]) -> Actor:
        """One that has answered, or is gone; waits for it."""
        (ready, *_), _ = self._ray.wait([worker.answered for worker in workers], num_returns=1)
        return next(worker for worker in workers if worker.answered == ready)

    def close(self) -> None:
        """Leave the cluster, unless the caller had been connected to it before."""
        if self._joined:
            self._ray.shutdown()


def connect(address: str) -> tuple[Any, bool]:
    """The library, connected to a cluster, and whether it was connected here.

    address: HOST:PORT, ray://HOST:PORT, or auto for the cluster that runs on this machine or is named by RAY_ADDRESS.
    Raises UsageError where the library is not installed or no cluster is to be reached.
    """
    try:
        import ray
    except ImportError:
        raise UsageError('--ray needs Ray: pip install "armctl[ray]", here and on every node.') from None
    if ray.is_initialized():
        return ray, False
    _check_reachable(address)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, namespace="armctl")
    except (ConnectionError, RuntimeError, ValueError) as error:
        none = "none runs on this machine" if address == "auto" else str(error).splitlines()[0]
        raise _unreachable(address, none) from None
    return ray, True


def check_cluster(address: str) -> None:
    """Raise UsageError where `connect` would."""
    ray, joined = connect(address)
    if joined:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse at once what Ray would look for over a minute and then end the process."""
    if address == "auto":
        return
    found = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)
    if found is None:
        raise UsageError(f"--ray is {address!r}; give auto or HOST:PORT of the cluster's head, such as node1:6379.")
    try:
        socket.create_connection((found[1], int(found[2])), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, why: str) -> UsageError:
    return UsageError(
        f"No Ray cluster can be reached at {address!r} ({why.rstrip('.')}); start one with 'ray start --head', or "
        "correct --ray HOST:PORT."
    )
