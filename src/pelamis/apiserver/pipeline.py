"""The steps of every request, in order: who is it, may it, do it.

authenticate -> audit id -> impersonate -> wait for a slot -> authorize -> verbs. The HTTP server and the in-process
client go through the same ``Gate``; only the first step differs, because a component in this process is known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pelamis.apiserver.authz.attributes import Attributes, Authorizer, refusal
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User
from pelamis.base.errors import TooManyRequests

T = TypeVar("T")
READING = 400
WRITING = 200
_QUEUE = 10_000


class AuditIds:
    """Unique ids for requests: a random prefix and a counter in the form of a UUID; cheaper than entropy for each."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        text = entropy(10).hex()
        self._head = f"{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[15:18]}-"
        self._next = 0

    def new(self) -> str:
        self._next += 1
        return f"{self._head}{self._next:012x}"


class Slots:
    """At most ``limit`` requests of a kind at once; the others wait in order of arrival, up to ``queue`` of them."""

    __slots__ = ("_queue", "_waiting", "limit", "used")

    def __init__(self, limit: int, queue: int = _QUEUE) -> None:
        self.limit = limit
        self.used = 0
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Raises TooManyRequests."""
        if self.used < self.limit:
            self.used += 1
            return
        if len(self._waiting) >= self._queue:
            raise TooManyRequests("The server has received too many requests and has asked us to try again later")
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.give()
            raise

    def give(self) -> None:
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self.used -= 1


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

    async def run(self, work: Awaitable[T]) -> T:
        """One at a time in each task. Raises TimeoutError."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._due[task] = loop.time() + self.limit_s
        if self._timer is None:
            self._timer = loop.call_later(self.limit_s, self._check, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._expired and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            self._due.pop(task, None)
            self._expired.discard(task)

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


class Gate:
    """Authorization and slots. ``reading`` and ``writing`` do not count watches and streams."""

    def __init__(self, authorizer: Authorizer, *, reading: int = READING, writing: int = WRITING) -> None:
        self.authorizer = authorizer
        self.reading = Slots(reading)
        self.writing = Slots(writing)

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
