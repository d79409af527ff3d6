"""EventRateLimit: how many events the server takes per second, in all, per namespace, per user or per source.

Off unless asked for. A token bucket for each key; the least recently used keys are forgotten. Pure: the time is that of
the write.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write
from pelamis.base.bucket import Bucket
from pelamis.base.errors import TooManyRequests

_CACHE = 4096


@dataclass(frozen=True, slots=True)
class Limit:
    """type: Server, Namespace, User or SourceAndObject. qps: events per second; burst: at once; cache: keys kept."""

    type: str = "Server"
    qps: float = 10.0
    burst: int = 50
    cache: int = _CACHE


def _key(limit: Limit, write: Write) -> Any:
    tree = write.tree
    match limit.type:
        case "Namespace":
            return write.namespace
        case "User":
            return write.user.name
        case "SourceAndObject":
            source, about = tree.get("source") or {}, tree.get("involvedObject") or {}
            names = ("kind", "namespace", "name", "uid", "apiVersion")
            return (source.get("component", ""), source.get("host", ""), *(about.get(n, "") for n in names))
    return ""


def plugin(limits: Sequence[Limit] = (Limit(),)) -> Plugin:
    buckets: list[OrderedDict[Any, Bucket]] = [OrderedDict() for _ in limits]

    def mutate(write: Write, objects: Objects) -> None:
        if write.operation == "DELETE" or write.dry_run:
            return
        refused = ""
        for limit, known in zip(limits, buckets, strict=True):
            key = _key(limit, write)
            bucket = known.get(key)
            if bucket is None:
                while len(known) >= limit.cache:
                    known.popitem(last=False)
                bucket = known[key] = Bucket(limit.burst, limit.qps, write.now)
            known.move_to_end(key)
            if not bucket.take(write.now):
                refused = refused or f"limit reached on type {limit.type} for key {key}"
        if refused:
            raise TooManyRequests(f"Too many requests, please try again later: {refused}")

    return Plugin("EventRateLimit", frozenset(("events",)), mutate=mutate)
