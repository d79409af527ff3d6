"""URL paths of the API, and the bodies and content types of patches."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from pelamis.api.kind import Kind

JSON = "application/json"
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """``/apis/apps/v1/namespaces/ns/deployments/web/status``; the namespace of a cluster-scoped kind is ignored."""
    out = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    if kind.namespaced and namespace:
        out += f"/namespaces/{quote(namespace, safe='')}"
    out += f"/{kind.plural}"
    if name:
        out += f"/{quote(name, safe='')}"
    return f"{out}/{subresource}" if subresource else out


def with_query(path: str, query: Mapping[str, str] | None) -> str:
    """Empty values are left out."""
    shown = {k: v for k, v in (query or {}).items() if v != ""}
    return f"{path}?{urlencode(shown)}" if shown else path
