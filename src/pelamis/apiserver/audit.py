"""The audit log: one line of JSON for each request, as audit.k8s.io/v1 Events at level Metadata.

Off unless the server is given a sink. Health checks and reads by the server's own components are not noted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.base.clock import rfc3339_micro

if TYPE_CHECKING:
    from pelamis.apiserver.http import Call

Sink = Callable[[bytes], None]
_SILENT = frozenset(("/healthz", "/livez", "/readyz", "/version", "/metrics"))
_encode = msgspec.json.Encoder().encode


class Audit:
    """sink: gets each line, with its newline."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def note(self, call: Call, code: int, now: float, took: float) -> None:
        if call.request.path in _SILENT:
            return
        self._sink(_encode(event(call, code, now, took)) + b"\n")


def event(call: Call, code: int, now: float, took: float) -> dict[str, Any]:
    """The Event of a request that is finished at ``now``, ``took`` seconds after it came."""
    request, info, user = call.request, call.info, call.user
    groups = {"groups": list(user.groups)} if user.groups else {}
    out: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": call.audit_id,
        "stage": "ResponseComplete",
        "requestURI": request.raw_path + (f"?{request.query}" if request.query else ""),
        "verb": info.verb,
        "user": {"username": user.name, **({"uid": user.uid} if user.uid else {}), **groups},
        "sourceIPs": [request.remote_ip],
        "userAgent": request.headers.get("user-agent", ""),
    }
    if info.is_resource:
        about = {
            "resource": info.resource,
            "namespace": info.namespace,
            "name": info.name,
            "apiGroup": info.group,
            "apiVersion": info.version,
            "subresource": info.subresource,
        }
        out["objectRef"] = {k: v for k, v in about.items() if v}
    out["responseStatus"] = {"metadata": {}, "code": code}
    out["requestReceivedTimestamp"] = rfc3339_micro(now - took)
    out["stageTimestamp"] = rfc3339_micro(now)
    if call.notes:
        out["annotations"] = dict(sorted(call.notes.items()))
    return out
