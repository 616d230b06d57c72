"""What workers have in common, wherever they are."""

from typing import Any, Protocol, TypeVar


class Lost(Exception):
    """A worker is gone, with what it was at; says how."""


class Worker(Protocol):
    """One that does an item at a time; its first answer says that it is ready."""

    def send(self, item: Any) -> None:
        """Give it an item."""

    def answer(self) -> bytes:
        """Its answer. Raises Lost where it is gone."""

    def close(self) -> None:
        """End it, whatever it is at."""


W = TypeVar("W", bound=Worker)


class Crew(Protocol[W]):
    """Where workers come from."""

    workers: int

    def hire(self) -> W:
        """A new worker."""

    def first(self, workers: list[W]) -> W:
        """One that has answered, or is gone; waits for it."""

    def close(self) -> None:
        """Leave the place as it was."""
