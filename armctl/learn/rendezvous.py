"""The processes of a run over several machines meet at the coordinator of `jax.distributed`.

`jax.distributed.initialize` (JAX 0.10) aborts the interpreter, with a C++ stack trace, where a process does not turn up
or two are the same. Here its service and its client are made one by one, so that it is one sentence that says which.
"""

import math
import re
import socket
import threading
from typing import Any, NamedTuple

from jax._src import distributed, xla_bridge
from jax._src.lib import _jax

from armctl.errors import UsageError

GRACE = 2
"""Seconds by which the coordinator is ahead of the others in giving up, so that it can tell them why."""
HEARTBEAT = 100
"""Seconds without a sign of life after which a process is taken for dead, as in JAX."""
KEY = "armctl/processes/"


class Meeting(NamedTuple):
    """A process's part in it."""

    service: Any
    """The coordinator, of process 0; else None."""
    client: Any

    def close(self) -> None:
        """Leave, when all do."""
        self.client.shutdown()
        if self.service is not None:
            self.service.shutdown()


def address(coordinator: str) -> tuple[str, int]:
    """HOST:PORT as a pair; UsageError where it is not one."""
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"The coordinator is {coordinator!r}; give HOST:PORT of process 0, such as node1:7654.")
    return host.strip("[]"), int(port)


def meet(coordinator: str, processes: int, process_id: int, timeout: float) -> Meeting:
    """When every process is there.

    coordinator: HOST:PORT at which process 0 listens; processes: how many there are; process_id: which this is;
    timeout: s to wait for all. Raises UsageError where one is missing, there twice, or of another opinion.
    """
    _, port = address(coordinator)
    wait = math.ceil(timeout)
    service = _service(port, processes, wait) if process_id == 0 else None
    # With a callback of any kind JAX raises where it would abort.
    client = _jax.get_distributed_runtime_client(
        coordinator, process_id, init_timeout=wait + (0 if service else GRACE), heartbeat_timeout=HEARTBEAT,
        use_compression=True, missed_heartbeat_callback=lambda *_: None,
    )  # fmt: skip
    if said := _connect(client):
        raise UsageError(_meaning(said, coordinator, processes, process_id, timeout))
    meeting = Meeting(service, client)
    if wrong := _disagreement(client, processes, process_id, wait):
        meeting.close()
        raise UsageError(wrong)
    return meeting


def join(meeting: Meeting, coordinator: str, processes: int, process_id: int) -> None:
    """Let JAX compute with all who have met, as after `jax.distributed.initialize`.

    Raises UsageError where it has computed already, which would leave this process alone.
    """
    if xla_bridge.backends_are_initialized():
        raise UsageError("JAX has computed before the processes met; call hosts.connect first.")
    state = distributed.global_state
    state.coordinator_address, state.num_processes, state.process_id = coordinator, processes, process_id
    state.service, state.client = meeting
    state.initialize_preemption_sync_manager()


def _service(port: int, processes: int, wait: int) -> Any:
    try:
        socket.create_server(("", port)).close()  # a port that is taken would end the interpreter
    except OSError as error:
        raise UsageError(f"Process 0 cannot listen at port {port} ({error.strerror}); choose another.") from None
    return _jax.get_distributed_runtime_service(
        f"[::]:{port}", processes, heartbeat_timeout=HEARTBEAT, cluster_register_timeout=wait
    )


def _connect(client: Any) -> str:
    """Connect, in a thread so that Ctrl-C is heard; what went wrong, in JAX's words, or nothing."""
    said: list[str] = []

    def connect() -> None:
        try:
            client.connect()
        except RuntimeError as error:
            said.extend([str(error), _reason(client)])

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    return "\n".join(said)


def _reason(client: Any) -> str:
    """Why a client could not connect, which it says only as it is shut down."""
    try:
        client.shutdown()
    except RuntimeError as error:
        return str(error)
    return ""


def _meaning(said: str, coordinator: str, processes: int, process_id: int, timeout: float) -> str:
    """JAX's words about who did not meet, in a sentence."""
    if missing := re.search(r"task names:\s*((?:\d+\s)+)", said):
        who = ", ".join(sorted(missing[1].split(), key=int))
        return f"Of {processes} processes, {who} did not come within {timeout:g} s; start all of them."
    if "Unexpected task" in said:
        return (
            f"Process {process_id} was started for {processes} processes, process 0 for fewer; give all the same "
            "number."
        )
    if "newer incarnation" in said:
        return f"Two processes are number {process_id}; give every process its own --process-id, 0 to {processes - 1}."
    return (
        f"The coordinator {coordinator} could not be reached within {timeout:g} s; start process 0 there, or correct "
        "--coordinator HOST:PORT."
    )


def _disagreement(client: Any, processes: int, process_id: int, wait: int) -> str:
    """What is wrong where some were started for another number of processes; the same for all, or nothing."""
    client.key_value_set(f"{KEY}{process_id}", str(processes))

    def opinion(which: int) -> int:
        return int(client.blocking_key_value_get(f"{KEY}{which}", 1000 * (wait + GRACE)))

    first = opinion(0)
    for which in range(1, first):
        if (count := opinion(which)) != first:
            return (
                f"Process {which} was started for {count} processes, process 0 for {first}; give all the same number."
            )
    return ""
