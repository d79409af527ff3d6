"""What has changed, in order, for those who look now and then and want to know what is new since they last did."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class ChangeLog(Generic[T]):
    """most: so many are remembered at least half; beyond that the older half is forgotten."""

    __slots__ = ("_changes", "_forgotten", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._changes: list[T] = []
        self._forgotten = 0

    @property
    def position(self) -> int:
        """Of the present in the list of all that ever changed."""
        return self._forgotten + len(self._changes)

    def note(self, what: T) -> None:
        changes = self._changes
        changes.append(what)
        if len(changes) > self._most:
            half = self._most // 2
            del changes[:half]
            self._forgotten += half

    def since(self, position: int) -> list[T] | None:
        """What was noted after it; None = it is not remembered that far back."""
        if position < self._forgotten:
            return None
        return self._changes[position - self._forgotten :]
