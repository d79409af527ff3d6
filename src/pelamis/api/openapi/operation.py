"""The operations on a kind: paths, methods, parameters, bodies, answers; both dialects are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pelamis.api.custom import Custom
from pelamis.api.kind import Kind, Subresource
from pelamis.api.openapi import schema as s

PARAMETERS: dict[str, dict[str, Any]] = {
    "allowWatchBookmarks": {"type": "boolean", "description": "Ask for BOOKMARK events in a watch."},
    "command": {"type": "string", "description": "What to run, one parameter for each argument."},
    "container": {"type": "string", "description": "The container; needed where the pod has more than one."},
    "continue": {"type": "string", "description": "The token of the page before, as its list metadata has it."},
    "dryRun": {"type": "string", "description": "All: do everything but store the result."},
    "fieldManager": {"type": "string", "description": "Who makes the change, as managedFields will record it."},
    "fieldSelector": {"type": "string", "description": "Keep objects whose fields match."},
    "fieldValidation": {
        "type": "string",
        "description": "On unknown and duplicate fields: Ignore, Warn, Strict.",
    },
    "follow": {"type": "boolean", "description": "Go on as the log grows."},
    "force": {"type": "boolean", "description": "Take over fields that others own; for apply patches."},
    "gracePeriodSeconds": {"type": "integer", "description": "Seconds until the object is deleted; 0 at once."},
    "ignoreStoreReadErrorWithClusterBreakingPotential": {
        "type": "boolean",
        "description": "Delete even an object that cannot be read from the store.",
    },
    "insecureSkipTLSVerifyBackend": {"type": "boolean", "description": "Do not check the kubelet's certificate."},
    "labelSelector": {"type": "string", "description": "Keep objects whose labels match."},
    "limit": {"type": "integer", "description": "At most so many objects in one answer; the rest by continue."},
    "limitBytes": {"type": "integer", "description": "At most so many bytes of the log."},
    "orphanDependents": {"type": "boolean", "description": "Deprecated: use propagationPolicy."},
    "path": {"type": "string", "description": "The path to ask for behind the proxy."},
    "ports": {"type": "integer", "description": "The ports to forward."},
    "pretty": {"type": "string", "description": "true: indent the answer."},
    "previous": {"type": "boolean", "description": "The log of the container's run before."},
    "propagationPolicy": {
        "type": "string",
        "description": "For dependents: Orphan, Background or Foreground.",
    },
    "resourceVersion": {"type": "string", "description": "The state to answer from, together with its match."},
    "resourceVersionMatch": {"type": "string", "description": "Exact or NotOlderThan."},
    "sendInitialEvents": {"type": "boolean", "description": "Begin a watch with the objects that exist."},
    "shardSelector": {"type": "string", "description": "Keep the objects of one shard."},
    "sinceSeconds": {"type": "integer", "description": "The log of the last so many seconds."},
    "stderr": {"type": "boolean", "description": "Pass standard error on."},
    "stdin": {"type": "boolean", "description": "Pass standard input on."},
    "stdout": {"type": "boolean", "description": "Pass standard output on."},
    "stream": {"type": "string", "description": "Which stream of the log: All, Stdout, Stderr."},
    "tailLines": {"type": "integer", "description": "The last so many lines of the log."},
    "timeoutSeconds": {"type": "integer", "description": "End a list or watch after so many seconds."},
    "timestamps": {"type": "boolean", "description": "Begin each line of the log with its time."},
    "tty": {"type": "boolean", "description": "Give the process a terminal."},
    "watch": {"type": "boolean", "description": "Send the changes as they happen, instead of a list."},
}
"""Query parameters, by name."""

PATH = {
    "name": {"type": "string", "description": "The object's name."},
    "namespace": {"type": "string", "description": "The object's namespace."},
    "path": {"type": "string", "description": "The path to ask for behind the proxy."},
}

_LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
)
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
_STREAMS = ("container", "stderr", "stdin", "stdout", "tty")
_CONNECT: dict[str, tuple[str, ...]] = {
    "attach": _STREAMS,
    "exec": ("command", *_STREAMS),
    "portforward": ("ports",),
    "proxy": ("path",),
}
_LOG = (
    "container",
    "follow",
    "insecureSkipTLSVerifyBackend",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "stream",
    "tailLines",
    "timestamps",
)
JSON_PATCH, MERGE, STRATEGIC, APPLY = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
MEDIA = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
WATCH_MEDIA = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
)
_VERBS = {
    "get": "read",
    "list": "list",
    "post": "create",
    "put": "replace",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "deleteCollection",
    "connect": "connect",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """body, answers: definition names; an answer "" is plain text. query: names in PARAMETERS."""

    method: str
    action: str
    id: str
    description: str
    tag: str
    gvk: dict[str, str]
    query: tuple[str, ...] = ()
    body: str = ""
    body_required: bool = True
    consumes: tuple[str, ...] = ("*/*",)
    produces: tuple[str, ...] = MEDIA
    answers: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """path: with {placeholders}; parameters: their names."""

    path: str
    parameters: tuple[str, ...]
    operations: tuple[Operation, ...]


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def group_title(kind: Kind) -> str:
    """``AppsV1``, ``RbacAuthorizationV1``, ``CoreV1``."""
    words = (kind.group or "core").removesuffix(".k8s.io").split(".")
    return "".join(map(_title, words)) + _title(kind.version)


def tag(kind: Kind) -> str:
    """``apps_v1``, ``rbacAuthorization_v1``."""
    first, *rest = (kind.group or "core").removesuffix(".k8s.io").split(".")
    return first + "".join(map(_title, rest)) + "_" + kind.version


def prefix(kind: Kind) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


class _Maker:
    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.custom = kind.type is Custom
        self.media = MEDIA[:2] if self.custom else MEDIA
        self.watch_media = (*MEDIA[:2], "application/json;stream=watch") if self.custom else WATCH_MEDIA
        self.patches = (JSON_PATCH, MERGE, APPLY) if self.custom else (JSON_PATCH, MERGE, STRATEGIC, APPLY)
        self.scope = "Namespaced" if kind.namespaced else ""

    def op(self, method: str, action: str, what: str, description: str, **more: Any) -> Operation:
        verb = _VERBS[action]
        kind = more.pop("gvk", None) or s.gvk(self.kind)
        more.setdefault("produces", self.media)
        return Operation(
            method=method,
            action=action,
            id=verb + group_title(self.kind) + what,
            description=description,
            tag=tag(self.kind),
            gvk=kind,
            **more,
        )

    def collection(self) -> Iterator[Operation]:
        kind, name = self.kind, s.kind_name(self.kind)
        if "list" in kind.verbs:
            yield self.op(
                "get",
                "list",
                self.scope + kind.kind,
                f"list or watch objects of kind {kind.kind}",
                query=_LIST,
                produces=self.watch_media,
                answers=((200, s.list_name(kind)),),
            )
        if "create" in kind.verbs:
            yield self.op(
                "post",
                "post",
                self.scope + kind.kind,
                f"create a {kind.kind}",
                query=_WRITE,
                body=name,
                answers=((200, name), (201, name), (202, name)),
            )
        if "deletecollection" in kind.verbs:
            yield Operation(
                method="delete",
                action="deletecollection",
                id="delete" + group_title(kind) + "Collection" + self.scope + kind.kind,
                description=f"delete collection of {kind.kind}",
                tag=tag(kind),
                gvk=s.gvk(kind),
                query=tuple(sorted({*_DELETE, *_LIST} - {"allowWatchBookmarks", "watch"})),
                body=s.DELETE_OPTIONS,
                body_required=False,
                produces=self.media,
                answers=((200, s.STATUS),),
            )

    def item(self) -> Iterator[Operation]:
        kind, name = self.kind, s.kind_name(self.kind)
        what = self.scope + kind.kind
        if "get" in kind.verbs:
            yield self.op("get", "get", what, f"read the specified {kind.kind}", answers=((200, name),))
        yield from self.writes(kind.verbs, what, f"the specified {kind.kind}", name, s.gvk(kind))
        if "delete" in kind.verbs:
            answer = name if kind.plural in ("pods", "services", "persistentvolumes") else s.STATUS
            yield self.op(
                "delete",
                "delete",
                what,
                f"delete a {kind.kind}",
                query=_DELETE,
                body=s.DELETE_OPTIONS,
                body_required=False,
                answers=((200, answer), (202, answer)),
            )

    def writes(
        self, verbs: tuple[str, ...], what: str, description: str, name: str, gvk: dict[str, str]
    ) -> Iterator[Operation]:
        if "update" in verbs:
            yield self.op(
                "put",
                "put",
                what,
                f"replace {description}",
                query=_WRITE,
                body=name,
                answers=((200, name), (201, name)),
                gvk=gvk,
            )
        if "patch" in verbs:
            yield self.op(
                "patch",
                "patch",
                what,
                f"partially update {description}",
                query=(*_WRITE, "force"),
                body=s.PATCH,
                consumes=self.patches,
                answers=((200, name), (201, name)),
                gvk=gvk,
            )

    def subresource(self, sub: Subresource) -> Iterator[Operation]:
        kind = self.kind
        what = self.scope + kind.kind + _title(sub.name)
        described = f"{sub.name} of the specified {kind.kind}"
        gvk = {"group": sub.group, "kind": sub.kind, "version": sub.version}
        if sub.name in _CONNECT:
            methods = ("delete", "get", "patch", "post", "put") if sub.name == "proxy" else ("get", "post")
            for method in methods:
                yield Operation(
                    method=method,
                    action="connect",
                    id=f"connect{group_title(kind)}{_title(method)}{what}",
                    description=f"connect {method.upper()} requests to {described}",
                    tag=tag(kind),
                    gvk=gvk,
                    query=_CONNECT[sub.name],
                    produces=("*/*",),
                    answers=((200, ""),),
                )
            return
        if sub.name == "log":
            yield self.op(
                "get",
                "get",
                what,
                f"read {described}",
                query=_LOG,
                answers=((200, ""),),
                produces=("text/plain", *self.media),
                gvk=gvk,
            )
            return
        name = body_name(kind, sub)
        if "get" in sub.verbs:
            yield self.op("get", "get", what, f"read {described}", answers=((200, name),), gvk=gvk)
        if "create" in sub.verbs:
            yield self.op(
                "post",
                "post",
                what,
                f"create {described}",
                query=_WRITE,
                body=name,
                answers=((200, name), (201, name), (202, name)),
                gvk=gvk,
            )
        yield from self.writes(sub.verbs, what, described, name, gvk)


def body_name(kind: Kind, sub: Subresource) -> str:
    """The definition of what a subresource reads and writes."""
    if sub.kind == kind.kind and sub.group == kind.group:
        return s.kind_name(kind)
    home = {"": "core", "authentication.k8s.io": "authentication"}.get(sub.group, sub.group)
    return f"io.k8s.api.{home}.{sub.version}.{sub.kind}"


def paths(kind: Kind) -> Iterator[Path]:
    """All paths of a kind."""
    maker = _Maker(kind)
    base = prefix(kind)
    inside = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
    scope: tuple[str, ...] = ("namespace",) if kind.namespaced else ()
    if kind.namespaced and "list" in kind.verbs:
        everywhere = maker.op(
            "get",
            "list",
            kind.kind + "ForAllNamespaces",
            f"list or watch objects of kind {kind.kind}",
            query=_LIST,
            produces=maker.watch_media,
            answers=((200, s.list_name(kind)),),
        )
        yield Path(f"{base}/{kind.plural}", (), (everywhere,))
    operations = tuple(maker.collection())
    if operations:
        yield Path(inside, scope, operations)
    operations = tuple(maker.item())
    if operations:
        yield Path(inside + "/{name}", ("name", *scope), operations)
    for sub in kind.subresources:
        operations = tuple(maker.subresource(sub))
        if operations:
            yield Path(f"{inside}/{{name}}/{sub.name}", ("name", *scope), operations)
        if sub.name == "proxy":
            longer = tuple(_with_path(op) for op in operations)
            yield Path(f"{inside}/{{name}}/proxy/{{path}}", ("name", *scope, "path"), longer)


def _with_path(op: Operation) -> Operation:
    return Operation(
        method=op.method,
        action=op.action,
        id=op.id + "WithPath",
        description=op.description,
        tag=op.tag,
        gvk=op.gvk,
        query=op.query,
        produces=op.produces,
        answers=op.answers,
    )
