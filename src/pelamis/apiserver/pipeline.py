"""The steps of every request, in order: who is it, may it, do it.

authenticate -> audit id -> impersonate -> classify (flow) -> authorize -> wait for a seat -> verbs. The HTTP server and
the in-process client go through the same ``Gate``; only the first step differs: a component in this process is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pelamis.apiserver.authz.attributes import Attributes, Union, refusal
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User


class AuditIds:
    """Unique ids for requests: a random prefix and a counter in the form of a UUID; cheaper than entropy for each."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        text = entropy(10).hex()
        self._head = f"{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[15:18]}-"
        self._next = 0

    def new(self) -> str:
        self._next += 1
        return f"{self._head}{self._next:012x}"


class Deadline:
    """A time limit for many pieces of work, with one timer that is armed again only when it has fired.

    A timer of its own for each request (asyncio.timeout) costs as much as authorizing it.
    """

    __slots__ = ("_due", "_expired", "_timer", "limit_s")

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._due: dict[asyncio.Task[Any], float] = {}
        """In order of time, as the limit is the same for all."""
        self._expired: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, task: asyncio.Task[Any], now: float) -> _Within:
        """``with`` it the task does a piece of work from now on; one at a time in each. Raises TimeoutError."""
        self._due[task] = now + self.limit_s
        if self._timer is None:
            loop = task.get_loop()
            self._timer = loop.call_later(self.limit_s, self._check, loop)
        return _Within(self, task)

    def _end(self, task: asyncio.Task[Any], cancelled: bool) -> None:
        if self._due.pop(task, None) is not None or task not in self._expired:
            return
        self._expired.discard(task)
        if cancelled and not task.uncancel():  # because its time is over, and for nothing else
            raise TimeoutError from None

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for task, due in list(self._due.items()):
            if due > now:
                self._timer = loop.call_later(due - now, self._check, loop)
                return
            del self._due[task]
            self._expired.add(task)
            task.cancel()


class _Within:
    __slots__ = ("_deadline", "_task")

    def __init__(self, deadline: Deadline, task: asyncio.Task[Any]) -> None:
        self._deadline = deadline
        self._task = task

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._deadline._end(self._task, kind is not None and issubclass(kind, asyncio.CancelledError))


class Gate:
    """Authorization."""

    def __init__(self, authorizer: Union) -> None:
        self.authorizer = authorizer

    def authorize(self, user: User, a: Attributes) -> None:
        """Raises Forbidden."""
        decision = self.authorizer.authorize(user, a)
        if not decision.allowed:
            raise refusal(user, a, decision.reason)


def attributes(info: RequestInfo, field_selector: str = "", label_selector: str = "") -> Attributes:
    """What a request asks to be authorized for."""
    if not info.is_resource:
        return Attributes(info.verb, path=info.path)
    return Attributes(
        info.verb,
        info.group,
        info.version,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
        "",
        field_selector,
        label_selector,
    )
