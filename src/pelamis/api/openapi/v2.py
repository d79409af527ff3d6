"""OpenAPI v2: one document for the whole server, as a stream of parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pelamis.api.custom import Custom
from pelamis.api.openapi import schema as s
from pelamis.api.openapi.operation import PARAMETERS, PATH, Operation, Path, paths
from pelamis.api.registry import Registry

Part = tuple[str, str, dict[str, Any]]
"""(section, name, value): one definition, path or parameter."""
TITLE = "Kubernetes"


def roots(registry: Registry) -> list[type[Any] | str]:
    """Types that operations need besides the kinds themselves."""
    from pelamis.api import meta
    from pelamis.api.authentication.tokenrequest import TokenRequest
    from pelamis.api.autoscaling.scale import Scale
    from pelamis.api.core.binding import Binding
    from pelamis.api.policy.eviction import Eviction

    return [
        TokenRequest,
        Scale,
        Binding,
        Eviction,
        meta.Status,
        meta.DeleteOptions,
        meta.APIVersions,
        meta.APIGroup,
        meta.APIGroupList,
        meta.APIResourceList,
        meta.WatchEvent,
        s.PATCH,
        s.INFO,
    ]


def shared_gvks(registry: Registry) -> dict[str, list[dict[str, str]]]:
    """Types that belong to every group-version."""
    versions = sorted({(g.name, v) for g in registry.groups() for v in g.versions})
    out = {}
    for kind in ("DeleteOptions", "WatchEvent"):
        out[s.META + kind] = [{"group": g, "kind": kind, "version": v} for g, v in versions]
    for kind in ("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"):
        out[s.META + kind] = [{"group": "", "kind": kind, "version": "v1"}]
    for group, kind in (("autoscaling", "Scale"), ("policy", "Eviction"), ("authentication.k8s.io", "TokenRequest")):
        name = f"io.k8s.api.{group.removesuffix('.k8s.io')}.v1.{kind}"
        out[name] = [{"group": group, "kind": kind, "version": "v1"}]
    return out


def parameter(name: str, place: str) -> dict[str, Any]:
    known = PATH[name] if place == "path" else PARAMETERS[name]
    out: dict[str, Any] = {"description": known["description"], "in": place, "name": name}
    if place == "path":
        out["required"] = True
    out["type"] = known["type"]
    out["uniqueItems"] = True
    return out


def operation(op: Operation) -> dict[str, Any]:
    out: dict[str, Any] = {
        "consumes": list(op.consumes),
        "description": op.description,
        "operationId": op.id,
        "produces": list(op.produces),
        "schemes": ["https"],
        "tags": [op.tag],
    }
    parameters: list[dict[str, Any]] = []
    if op.body:
        body: dict[str, Any] = {"in": "body", "name": "body"}
        if op.body_required:
            body["required"] = True
        parameters.append({**body, "schema": s.ref(op.body, 2)})
    parameters += [{"$ref": f"#/parameters/{name}"} for name in op.query]
    if parameters:
        out["parameters"] = parameters
    answers: dict[str, Any] = {}
    for code, name in op.answers:
        text = {200: "OK", 201: "Created", 202: "Accepted"}[code]
        answers[str(code)] = {"description": text, "schema": s.ref(name, 2) if name else {"type": "string"}}
    answers["401"] = {"description": "Unauthorized"}
    out["responses"] = answers
    out["x-kubernetes-action"] = op.action
    out["x-kubernetes-group-version-kind"] = op.gvk
    return out


def path_item(path: Path) -> dict[str, Any]:
    out: dict[str, Any] = {op.method: operation(op) for op in path.operations}
    parameters = [{"$ref": f"#/parameters/path-{name}"} for name in path.parameters]
    out["parameters"] = [*parameters, {"$ref": "#/parameters/pretty"}]
    return out


def _discovery_paths(registry: Registry) -> Iterator[tuple[str, dict[str, Any]]]:
    def get(id: str, tag: str, description: str, name: str) -> dict[str, Any]:
        media = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
        ok = {"description": "OK", "schema": s.ref(s.META + name if name != "Info" else s.INFO, 2)}
        return {
            "get": {
                "consumes": media,
                "description": description,
                "operationId": id,
                "produces": media if name != "Info" else ["application/json"],
                "responses": {"200": ok, "401": {"description": "Unauthorized"}},
                "schemes": ["https"],
                "tags": [tag],
            }
        }

    yield "/api/", get("getCoreAPIVersions", "core", "get available API versions", "APIVersions")
    yield "/apis/", get("getAPIVersions", "apis", "get available API versions", "APIGroupList")
    yield "/version/", get("getCodeVersion", "version", "get the version of this server", "Info")
    for group in registry.groups():
        first, *rest = (group.name or "core").removesuffix(".k8s.io").split(".")
        tag = first + "".join(w[:1].upper() + w[1:] for w in rest)
        title = tag[:1].upper() + tag[1:]
        if group.name:
            yield f"/apis/{group.name}/", get(f"get{title}APIGroup", tag, "get information of a group", "APIGroup")
        for version in group.versions:
            base = f"/apis/{group.name}/{version}/" if group.name else f"/api/{version}/"
            id = f"get{title}{version[:1].upper() + version[1:]}APIResources"
            yield base, get(id, f"{tag}_{version}", "get available resources", "APIResourceList")


def parts(registry: Registry) -> Iterator[Part]:
    """Everything in the document, in the order: definitions, parameters, paths."""
    kinds = list(registry.all())
    shared = shared_gvks(registry)
    for name, schema in s.definitions(kinds, roots(registry), registry.all(), 2):
        if name in shared:
            schema["x-kubernetes-group-version-kind"] = shared[name]
        yield "definitions", name, schema
    for name in PARAMETERS:
        yield "parameters", name, parameter(name, "query")
    for name in PATH:
        yield "parameters", f"path-{name}", parameter(name, "path")
    for name, item in _discovery_paths(registry):
        yield "paths", name, item
    for kind in kinds:
        for path in paths(kind):
            yield "paths", path.path, path_item(path)


__all__ = ["TITLE", "Custom", "Part", "parts", "roots", "shared_gvks"]
