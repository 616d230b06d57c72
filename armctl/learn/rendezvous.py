"""The processes of a run over several machines meet at the coordinator before JAX starts.

`jax.distributed` (JAX 0.10) aborts the interpreter, with a C++ stack trace, where a process does not turn up; here it
is one sentence that says which. Process 0 listens at the coordinator's port, the others say who they are, and all are
told to begin.
"""

import socket
import time
from contextlib import ExitStack

from armctl.errors import UsageError

LINE = 4096
GO = "go"


def address(coordinator: str) -> tuple[str, int]:
    """HOST:PORT as a pair; UsageError where it is not one."""
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"The coordinator is {coordinator!r}; give HOST:PORT of process 0, such as node1:7654.")
    return host.strip("[]"), int(port)


def meet(coordinator: str, processes: int, process_id: int, timeout: float) -> None:
    """When every process is there.

    coordinator: HOST:PORT at which process 0 listens; processes: how many there are; process_id: which this is;
    timeout: s to wait for all. Raises UsageError where one is missing, there twice, or of another opinion.
    """
    host, port = address(coordinator)
    deadline = time.monotonic() + timeout
    if process_id == 0:
        _call(port, processes, deadline, timeout)
    else:
        _answer(host, port, processes, process_id, deadline, timeout)


def _call(port: int, processes: int, deadline: float, timeout: float) -> None:
    """Process 0: wait for the others, then let all begin; what is wrong is told to all."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(socket.create_server(("", port), backlog=processes))
        except OSError as error:
            raise UsageError(f"Process 0 cannot listen at port {port} ({error.strerror}); choose another.") from None
        others: dict[int, socket.socket] = {}
        wrong = ""
        while len(others) < processes - 1 and not wrong:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                other = stack.enter_context(server.accept()[0])
            except TimeoutError:
                missing = ", ".join(str(i) for i in range(1, processes) if i not in others)
                wrong = f"Of {processes} processes, {missing} did not come within {timeout:g} s; start all of them."
                break
            wrong = _enrol(other, others, processes)
        for other in others.values():
            other.sendall(f"{wrong or GO}\n".encode())
    if wrong:
        raise UsageError(wrong)


def _enrol(other: socket.socket, others: dict[int, socket.socket], processes: int) -> str:
    """Note who has connected; what is wrong with that, or nothing. Strangers are ignored."""
    said = _line(other, 5.0).split()
    if len(said) != 3 or said[0] != "armctl" or not all(word.isdigit() for word in said[1:]):
        return ""
    who, count = int(said[1]), int(said[2])
    wrong = ""
    if count != processes:
        wrong = f"Process {who} was started for {count} processes, process 0 for {processes}; give all the same number."
    elif who in others:
        wrong = f"Two processes are number {who}; give every process its own --process-id, 0 to {processes - 1}."
    others[-len(others) - 1 if wrong else who] = other
    return wrong


def _answer(host: str, port: int, processes: int, process_id: int, deadline: float, timeout: float) -> None:
    """Another process: find the coordinator, say who this is, wait for the word."""
    with _connected(host, port, deadline, timeout) as coordinator:
        coordinator.sendall(f"armctl {process_id} {processes}\n".encode())
        said = _line(coordinator, max(deadline - time.monotonic(), 0.01) + 5.0)
    if said != GO:
        raise UsageError(said or f"The coordinator {host}:{port} went away before all processes had come; start again.")


def _connected(host: str, port: int, deadline: float, timeout: float) -> socket.socket:
    while True:
        try:
            return socket.create_connection((host, port), timeout=max(deadline - time.monotonic(), 0.01))
        except OSError as error:
            if time.monotonic() > deadline or isinstance(error, socket.gaierror):
                why = error.strerror or error
                raise UsageError(
                    f"The coordinator {host}:{port} could not be reached within {timeout:g} s ({why}); start process 0 "
                    "there, or correct --coordinator HOST:PORT."
                ) from None
            time.sleep(0.2)


def _line(connection: socket.socket, timeout: float) -> str:
    """One line; what had come of it where the other side is silent or gone."""
    connection.settimeout(timeout)
    text = b""
    try:
        while not text.endswith(b"\n") and len(text) < LINE:
            more = connection.recv(LINE)
            if not more:
                break
            text += more
    except OSError:
        pass
    return text.decode(errors="replace").strip()
