"""What ``/debug/api_priority_and_fairness/`` shows of the levels, their queues and the requests in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pelamis.base.clock import rfc3339_micro

if TYPE_CHECKING:
    from pelamis.apiserver.flow.run import FlowControl

PATH = "/debug/api_priority_and_fairness/"
_NONE = "<none>"
_LEVELS = ("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests",
           "DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests")  # fmt: skip
_QUEUES = ("PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR",
           "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum")  # fmt: skip
_REQUESTS = ("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher",
             "ArriveTime", "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime")  # fmt: skip
_DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")


def render(flow: FlowControl, path: str, query: str) -> str | None:
    """None: there is no such page."""
    match path.removeprefix(PATH):
        case "dump_priority_levels":
            return _table(_LEVELS, _levels(flow))
        case "dump_queues":
            return _table(_QUEUES, _queues(flow))
        case "dump_requests":
            details = "includeRequestDetails=" in query and "includeRequestDetails=&" not in f"{query}&"
            return _table((*_REQUESTS, *_DETAILS) if details else _REQUESTS, _requests(flow, details=details))
    return None


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Cells end with a comma, but the last of a line, and are padded to eight characters at least."""
    cells = [[*(f"{c}," for c in row[:-1]), str(row[-1])] for row in (headers, *rows)]
    out = []
    for row in cells:
        shown = [
            cell.ljust(max(8, *(len(r[i]) + 1 for r in cells if i < len(r) - 1))) for i, cell in enumerate(row[:-1])
        ]
        out.append("".join(shown) + row[-1] + "\n")
    return "".join(out)


def _levels(flow: FlowControl) -> Iterable[Sequence[object]]:
    for name, level in sorted(flow.levels.levels.items()):
        if level.shape.exempt:
            yield name, *[_NONE] * 9
            continue
        idle = str(not level.waiting and not level.running).lower()
        active = sum(1 for q in level.queues if q.waiting)
        counts = {r: sum(n for (p, _, why), n in flow.rejected.items() if p == name and why == r) for r in _REASONS}
        refused = counts["queue-full"] + counts["concurrency-limit"]
        ended = (counts["time-out"], counts["cancelled"])
        yield name, active, idle, "false", level.waiting, level.running, level.dispatched, refused, *ended


_REASONS = ("queue-full", "concurrency-limit", "time-out", "cancelled")


def _queues(flow: FlowControl) -> Iterable[Sequence[object]]:
    for name, level in sorted(flow.levels.levels.items()):
        if level.shape.exempt:
            yield name, *[_NONE] * 8
        for i, queue in enumerate(level.queues):
            widths = [w.width for w in queue.waiting]
            work = sum(w.initial * level.guess_s + w.final * w.after_s for w in widths)
            yield (name, i, len(queue.waiting), queue.running, queue.used, f"{queue.service:.8f}ss",
                   sum(w.initial for w in widths), sum(w.most for w in widths), f"{work:.8f}ss")  # fmt: skip


def _requests(flow: FlowControl, *, details: bool) -> Iterable[Sequence[object]]:
    for name, level in sorted(flow.levels.levels.items()):
        for i, queue in enumerate(level.queues):
            for j, waiter in enumerate(queue.waiting):
                width, user, info = waiter.width, waiter.user, waiter.info
                after = f"{width.after_s * 1000:g}ms" if width.after_s else "0s"
                arrived = rfc3339_micro(waiter.since)
                row = (name, waiter.flow.schema, i, j, waiter.distinguisher, arrived, width.initial, width.final, after)
                zero = "0001-01-01T00:00:00Z"
                if not details:
                    yield *row, zero
                    continue
                version = f"{info.group}/{info.version}" if info.group else info.version
                about = (info.verb, info.path, info.namespace, info.name, version, info.resource, info.subresource)
                yield *row, zero, user.name, *about
