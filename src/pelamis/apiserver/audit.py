"""The audit log: audit.k8s.io/v1 Events, a line of JSON for each stage of each request.

Off unless the server is given a sink. A policy says what is noted; without one it is the metadata of each finished
request, but for health checks and metrics. Bodies are taken from the request and from the answer as it is sent, so
nothing is made for them that is not asked for. What the server's own components do in process is not noted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.api import codec, loosen
from pelamis.apiserver.auditpolicy import LEVELS, METADATA, NONE, REQUEST, RESPONSE, Judgment, Policy
from pelamis.apiserver.authz.attributes import Authorizer
from pelamis.apiserver.negotiate import JSON, PROTOBUF, YAML, body_media
from pelamis.apiserver.pipeline import attributes
from pelamis.base.clock import rfc3339_micro
from pelamis.base.errors import StatusError
from pelamis.net.http1 import Response

if TYPE_CHECKING:
    from pelamis.api.field import Tree
    from pelamis.apiserver.call import Call

log = logging.getLogger("pelamis.apiserver")
Sink = Callable[[bytes], None]
_SILENT = frozenset(("/healthz", "/livez", "/readyz", "/version", "/metrics"))
_PLAIN = Judgment(METADATA, frozenset(("ResponseComplete",)), managed=True)
_NOTHING = Judgment(NONE, frozenset(), managed=True)
_WITH_BODY = frozenset(("create", "update", "patch", "delete", "deletecollection"))
_encode = msgspec.json.Encoder().encode


class Audit:
    """sink: gets each line, with its newline."""

    def __init__(self, sink: Sink, authorizer: Authorizer, policy: Policy | None = None) -> None:
        self._sink = sink
        self._authorizer = authorizer
        self._policy = policy

    def received(self, call: Call, now: float) -> None:
        """A request has come, and it is known from whom."""
        if self._policy is None:
            judgment = _NOTHING if call.request.path in _SILENT else _PLAIN
        else:
            judgment = self._policy.judge(call.authenticated, call.info)
        call.audited = judgment, now
        self._stage(call, "RequestReceived", now, 0.0)

    def started(self, call: Call, now: float, took: float) -> None:
        """Of a request that runs for long: the head of the answer is sent."""
        self._stage(call, "ResponseStarted", now, took, 200)

    def note(self, call: Call, code: int, now: float, took: float, answer: Response | Tree | None = None) -> None:
        """It is finished at ``now``, ``took`` seconds after it came."""
        self._stage(call, "ResponseComplete", now, took, code, answer)

    def _stage(
        self, call: Call, stage: str, now: float, took: float, code: int = 0, answer: Response | Tree | None = None
    ) -> None:
        if call.audited is None:
            return
        judgment, came = call.audited
        if judgment.level == NONE or stage not in judgment.stages:
            return
        event = self._event(call, judgment, stage, came, max(now, came + took))
        if code:
            self._complete(call, judgment, event, code, answer)
        self._sink(_encode(event) + b"\n")

    def _event(self, call: Call, judgment: Judgment, stage: str, came: float, now: float) -> dict[str, Any]:
        request, info = call.request, call.info
        out: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": LEVELS[judgment.level],
            "auditID": call.audit_id,
            "stage": stage,
            "requestURI": request.raw_path + (f"?{request.query}" if request.query else ""),
            "verb": info.verb,
            "user": call.authenticated.tree(),
        }
        if call.user is not call.authenticated:
            out["impersonatedUser"] = call.user.tree()
        out["sourceIPs"] = [request.remote_ip]
        out["userAgent"] = request.headers.get("user-agent", "")
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
        out["requestReceivedTimestamp"] = rfc3339_micro(came)
        out["stageTimestamp"] = rfc3339_micro(now)
        return out

    def _complete(
        self, call: Call, judgment: Judgment, event: dict[str, Any], code: int, answer: Response | Tree | None
    ) -> None:
        status: dict[str, Any] = {"metadata": {}}
        if isinstance(answer, dict):
            status |= {k: answer[k] for k in ("status", "message", "reason", "details") if answer.get(k)}
            if code == 401:
                bearer = "bearer" if "authorization" in call.request.headers else "x509"
                status["message"] = f"Authentication failed, attempted: {bearer}"
        event["responseStatus"] = {**status, "code": code}
        if judgment.level >= REQUEST and call.info.verb in _WITH_BODY:
            sent = _sent(call)
            if sent is not None:
                event["requestObject"] = _shown(sent, judgment)
                if isinstance(sent, dict) and "objectRef" in event:
                    _refer(event["objectRef"], sent)
        if judgment.level >= RESPONSE and event["stage"] == "ResponseComplete" and call.info.is_resource:
            given = answer if isinstance(answer, dict) else _given(call, answer) if answer is not None else None
            if given is not None:
                event["responseObject"] = _shown(given, judgment)
        notes = dict(call.notes or {})
        if code != 401:
            decision = self._authorizer.authorize(call.user, attributes(call.info))
            notes["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
            notes["authorization.k8s.io/reason"] = decision.reason
        if notes:
            event["annotations"] = dict(sorted(notes.items()))


def _refer(about: dict[str, Any], tree: Tree) -> None:
    meta = tree.get("metadata")
    if isinstance(meta, dict):
        for name in ("name", "uid", "resourceVersion"):
            if meta.get(name) and name not in about:
                about[name] = meta[name]


def _sent(call: Call) -> Any:
    """The body of the request; None where there is none that can be read."""
    body = call.request.body
    if not body:
        return None
    media = call.request.headers.get("content-type", "")
    try:
        if call.info.verb == "patch":
            return loosen.read_yaml(body, []) if "apply" in media else msgspec.json.decode(body)
        return _decoded(call, body, body_media(media))
    except (ValueError, RecursionError, StatusError):
        return None


def _given(call: Call, answer: Response) -> Any:
    if answer.headers and any(name == "Content-Encoding" for name, _ in answer.headers):
        return None
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    try:
        return _decoded(call, body, answer.content_type.partition(";")[0])
    except (ValueError, RecursionError, StatusError):
        return None


def _decoded(call: Call, body: bytes, media: str) -> Any:
    if media == PROTOBUF:
        return codec.read_body(call.kind, body, media)[0] if call.kind is not None else None
    if media == YAML:
        return loosen.read_yaml(body, [])
    return msgspec.json.decode(body) if media == JSON else None


def _shown(value: Any, judgment: Judgment) -> Any:
    """Without managedFields where the policy says so."""
    if judgment.managed or not isinstance(value, dict):
        return value
    items = value.get("items")
    if isinstance(items, list):
        return {**value, "items": [_shown(item, judgment) for item in items]}
    meta = value.get("metadata")
    if isinstance(meta, dict) and "managedFields" in meta:
        return {**value, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}
    return value
