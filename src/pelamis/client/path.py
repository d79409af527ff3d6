"""URL paths of the API, and the bodies and content types of patches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, urlencode

from pelamis.api.kind import Kind

JSON = "application/json"
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
"""What nothing has to be done to, in a path."""


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """``/apis/apps/v1/namespaces/ns/deployments/web/status``; the namespace of a cluster-scoped kind is ignored."""
    out = _collection(kind.group, kind.version, kind.plural, namespace if kind.namespaced else "")
    if name:
        out += f"/{name if _PLAIN(name) else quote(name, safe='')}"
    return f"{out}/{subresource}" if subresource else out


@lru_cache(maxsize=1024)
def _collection(group: str, version: str, plural: str, namespace: str) -> str:
    out = f"/apis/{group}/{version}" if group else f"/api/{version}"
    if namespace:
        out += f"/namespaces/{quote(namespace, safe='')}"
    return f"{out}/{plural}"


def with_query(path: str, query: Mapping[str, str] | None) -> str:
    """Empty values are left out."""
    shown = _query(tuple(query.items())) if query else ""
    return f"{path}?{shown}" if shown else path


@lru_cache(maxsize=256)
def _query(items: tuple[tuple[str, str], ...]) -> str:
    return urlencode([(k, v) for k, v in items if v != ""])
