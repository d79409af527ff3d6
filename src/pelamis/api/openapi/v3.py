"""OpenAPI v3: a document for each group-version, as a stream of parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pelamis.api.kind import Kind
from pelamis.api.openapi import schema as s
from pelamis.api.openapi.operation import PARAMETERS, PATH, Operation, Path, body_name, paths
from pelamis.api.openapi.v2 import Part, roots, shared_gvks
from pelamis.api.registry import Registry


def parameter(name: str, place: str) -> dict[str, Any]:
    known = PATH[name] if place == "path" else PARAMETERS[name]
    out: dict[str, Any] = {"name": name, "in": place, "description": known["description"]}
    if place == "path":
        out["required"] = True
    out["schema"] = {"type": known["type"], "uniqueItems": True}
    return out


def operation(op: Operation) -> dict[str, Any]:
    out: dict[str, Any] = {"tags": [op.tag], "description": op.description, "operationId": op.id}
    if op.query:
        out["parameters"] = [parameter(name, "query") for name in op.query]
    if op.body:
        content = {media: {"schema": s.ref(op.body, 3)} for media in op.consumes}
        out["requestBody"] = {"content": content, "required": True} if op.body_required else {"content": content}
    answers: dict[str, Any] = {}
    for code, name in op.answers:
        schema = s.ref(name, 3) if name else {"type": "string"}
        text = {200: "OK", 201: "Created", 202: "Accepted"}[code]
        answers[str(code)] = {"description": text, "content": {media: {"schema": schema} for media in op.produces}}
    answers["401"] = {"description": "Unauthorized"}
    out["responses"] = answers
    out["x-kubernetes-action"] = op.action
    out["x-kubernetes-group-version-kind"] = op.gvk
    return out


def path_item(path: Path) -> dict[str, Any]:
    parameters = [parameter(name, "path") for name in path.parameters] + [parameter("pretty", "query")]
    return {"parameters": parameters, **{op.method: operation(op) for op in path.operations}}


def _needed(kinds: list[Kind], everything: dict[str, type[Any] | str]) -> list[type[Any] | str]:
    names = [s.STATUS, s.DELETE_OPTIONS, s.PATCH, s.META + "APIResourceList", s.META + "WatchEvent", s.LIST_META]
    for kind in kinds:
        names += [body_name(kind, sub) for sub in kind.subresources]
    return [everything[name] for name in names if name in everything]


def parts(registry: Registry, group: str, version: str) -> Iterator[Part]:
    """One group-version: schemas, then paths."""
    kinds = list(registry.of(group, version))
    everything = dict(s.reachable(roots(registry)))
    shared = shared_gvks(registry)
    for name, schema in s.definitions(kinds, _needed(kinds, everything), registry.all(), 3):
        if name in shared:
            schema["x-kubernetes-group-version-kind"] = shared[name]
        yield "schemas", name, schema
    base = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    ok = {"schema": s.ref(s.META + "APIResourceList", 3)}
    yield (
        "paths",
        base,
        {
            "get": {
                "tags": [(group or "core").removesuffix(".k8s.io") + "_" + version],
                "description": "get available resources",
                "operationId": "getAPIResources",
                "responses": {
                    "200": {"description": "OK", "content": {"application/json": ok}},
                    "401": {"description": "Unauthorized"},
                },
            }
        },
    )
    for kind in kinds:
        for path in paths(kind):
            yield "paths", path.path, path_item(path)
