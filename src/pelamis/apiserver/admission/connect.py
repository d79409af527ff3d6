"""CONNECT: exec, attach, port-forward and proxies as policies and webhooks see them."""

from __future__ import annotations

from collections.abc import Sequence

from pelamis.api.custom import Custom
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.user import User
from pelamis.apiserver.write import Write

_OPTIONS = {
    ("pods", "exec"): "PodExecOptions",
    ("pods", "attach"): "PodAttachOptions",
    ("pods", "portforward"): "PodPortForwardOptions",
    ("pods", "proxy"): "PodProxyOptions",
    ("services", "proxy"): "ServiceProxyOptions",
    ("nodes", "proxy"): "NodeProxyOptions",
}
_FLAGS = ("stdin", "stdout", "stderr", "tty")


def _options(name: str, info: RequestInfo, query: Sequence[tuple[str, str]]) -> Tree:
    out: Tree = {"kind": name, "apiVersion": "v1"}
    if name.endswith("ProxyOptions"):
        return {**out, "path": "/".join(info.parts)} if info.parts else out
    if name == "PodPortForwardOptions":
        ports = [int(p) for k, v in query if k == "ports" for p in v.split(",") if p.isdigit()]
        return {**out, "ports": ports} if ports else out
    for flag in _FLAGS:
        given = next((v for k, v in query if k == flag), "")
        if given.lower() in ("true", "1", "t"):
            out[flag] = True
    for key, value in query:
        if key == "container" and value:
            out["container"] = value
        elif key == "command" and name == "PodExecOptions":
            out.setdefault("command", []).append(value)
    return out


def connection(info: RequestInfo, kind: Kind, user: User, query: Sequence[tuple[str, str]]) -> Write | None:
    """What admission is to be asked; None for a request that is no connection (``log``)."""
    name = _OPTIONS.get((info.resource, info.subresource))
    if name is None:
        return None
    write = Write("connect", kind, user, info.namespace, info.name, info.subresource)
    write.operation = "CONNECT"
    body = Kind(
        group="", version="v1", type=Custom, kind=name, plural="", singular="", namespaced=kind.namespaced, verbs=()
    )
    write.shown = (body, _options(name, info, query))
    return write
