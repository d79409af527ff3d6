"""One request on its way through the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pelamis.api.kind import Kind
from pelamis.apiserver.auditpolicy import Judgment
from pelamis.apiserver.flow.rules import NONE as NO_FLOW
from pelamis.apiserver.metrics import Counted
from pelamis.apiserver.negotiate import PLAIN, Format
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User
from pelamis.net.headerlines import header_lines
from pelamis.net.http1 import Request, Response

Answered = Response | Awaitable[Response | None] | None
"""None: the answer is under way by itself."""
_NO_CACHE = ("Cache-Control", "no-cache, private")
_LINES = b"Audit-Id: %b\r\n" + header_lines((_NO_CACHE,)) + b"%b"


class Call:
    """One request on its way through the server."""

    # What few calls change is said once, by the class.
    audited: tuple[Judgment, float] | None = None
    """What the audit policy says of it, and when it came."""
    form: Format = PLAIN
    kind: Kind | None = None
    notes: dict[str, str] | None = None
    """Annotations for the audit log."""
    counted: Counted | None = None
    """Where the request counts; None: not known yet."""
    long = False
    """It runs for long: that it took long is no news."""
    flow = NO_FLOW
    seated_s = 0.0
    commit_s = 0.0

    def __init__(self, request: Request, info: RequestInfo, user: User, audit_id: str) -> None:
        self.request = request
        self.info = info
        self.user = self.authenticated = user
        self.audit_id = audit_id
        self.started = request.received_at
        self.warnings: list[str] = []

    def headers(self) -> tuple[tuple[str, str], ...]:
        out = (("Audit-Id", self.audit_id), _NO_CACHE, *self.flow.headers)
        if not self.warnings:
            return out
        return (*out, *((("Warning", f"299 - {_quoted(w)}")) for w in dict.fromkeys(self.warnings)))

    def lines(self) -> bytes:
        """The same as they are sent."""
        if self.warnings:
            return header_lines(self.headers())
        return _LINES % (self.audit_id.encode("latin-1", "replace"), self.flow.lines)


def _quoted(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def slow(call: Call, code: int, took: float) -> str:
    """Where the time of a request went, in milliseconds."""
    steps = []
    if call.seated_s:
        steps.append(f"waited for a seat {call.seated_s * 1000:.0f} ms")
    if call.commit_s:
        steps.append(f"committed to the store {call.commit_s * 1000:.0f} ms")
    rest = took - call.seated_s - call.commit_s
    steps.append(f"the rest {rest * 1000:.0f} ms")
    request = call.request
    return (
        f'Trace "{request.method} {request.raw_path}" by {call.user.name} (audit-id {call.audit_id}): {code} after '
        f"{took * 1000:.0f} ms: {', '.join(steps)}"
    )


class SlowLog:
    """Tells where the time of slow requests went, but of a few each second: a server that falls behind has no time to
    explain itself to all. The others are counted.
    """

    most = 10

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._second = self._told = self._untold = 0

    def note(self, call: Call, code: int, took: float) -> None:
        second = int(call.started + took)
        if second != self._second:
            if self._untold:
                self._tell(f"{self._untold} more requests were as slow")
            self._second, self._told, self._untold = second, 0, 0
        if self._told < self.most:
            self._told += 1
            self._tell(slow(call, code, took))
        else:
            self._untold += 1
