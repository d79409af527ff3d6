"""Keeps what many pods have alike once: a hundred thousand of them are held at a time.

A kubelet has no use for managedFields; owners, labels, tolerations and the sources of the token's volume are the same
for all pods of one owner or of the cluster.
"""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

T = TypeVar("T")
_LIMIT = 10_000
_alike: dict[Any, Any] = {}


def _same(value: T) -> T:
    """An equal value that was seen before, if there is one; what cannot be a key is left as it is."""
    try:
        found: T | None = _alike.get(value)
    except TypeError:
        return value
    if found is None:
        if len(_alike) >= _LIMIT:
            _alike.clear()
        found = _alike[value] = value
    return found


def _map(value: dict[str, str]) -> dict[str, str]:
    key = tuple(value.items())
    found: dict[str, str] | None = _alike.get(key)
    if found is None:
        if len(_alike) >= _LIMIT:
            _alike.clear()
        found = _alike[key] = value
    return found


def _volume(volume: Any) -> Any:
    return replace(volume, projected=_same(volume.projected)) if volume.projected is not None else volume


def slim(pod: Any) -> Any:
    """The same pod without managedFields, sharing what it can."""
    meta, spec = pod.metadata, pod.spec
    meta = replace(
        meta,
        managedFields=(),
        ownerReferences=_same(meta.ownerReferences),
        labels=_map(meta.labels) if meta.labels else {},
    )
    volumes = tuple(_volume(volume) for volume in spec.volumes)
    return replace(pod, metadata=meta, spec=replace(spec, tolerations=_same(spec.tolerations), volumes=volumes))
