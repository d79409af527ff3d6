"""The steps of every request, in order: who is it, may it, do it.

authenticate -> audit id -> impersonate -> wait for a slot -> authorize -> verbs. The HTTP server and the in-process
client go through the same ``Gate``; only the first step differs, because a component in this process is known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from pelamis.apiserver.authz.attributes import Attributes, Authorizer, refusal
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User
from pelamis.base.errors import TooManyRequests

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
