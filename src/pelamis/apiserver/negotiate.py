"""Which form of an answer the client wants: the Accept header against what the server can write."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from pelamis.base.errors import NotAcceptable, StatusError, UnsupportedMediaType

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
_ALIASES = {"application/json": JSON, "application/yaml": YAML, PROTOBUF: PROTOBUF, "*/*": JSON, "application/*": JSON}
_SHOWN = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


class Format(NamedTuple):
    """media: one of MEDIA_TYPES. shown: "" (the object), Table, PartialObjectMetadata, …List; its version."""

    media: str = JSON
    shown: str = ""
    pretty: bool = False
    version: str = "v1"

    @property
    def content_type(self) -> str:
        return self.media


PLAIN = Format()


def _clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    out: list[tuple[float, int, str, dict[str, str]]] = []
    for i, clause in enumerate(accept.split(",")):
        media, *rest = clause.split(";")
        params = {k.strip(): v.strip() for k, _, v in (p.partition("=") for p in rest)}
        try:
            quality = float(params.pop("q", "1"))
        except ValueError:
            continue
        if quality > 0:
            out.append((-quality, i, media.strip().lower(), params))
    return [(media, params) for _, _, media, params in sorted(out, key=lambda c: c[:2])]


@lru_cache(maxsize=512)
def negotiate(accept: str, *, shown_allowed: bool = True) -> Format:
    """Raises NotAcceptable. shown_allowed: this endpoint can answer with tables and partial objects."""
    if not accept:
        return PLAIN
    for media, params in _clauses(accept):
        known = _ALIASES.get(media)
        if known is None:
            continue
        wanted = params.get("as", "")
        if wanted:
            version = params.get("v", "")
            if not shown_allowed or wanted not in _SHOWN or params.get("g") != "meta.k8s.io":
                continue
            if version not in ("v1", "v1beta1"):
                continue
            if known == PROTOBUF and (wanted == "Table" or version != "v1"):
                continue
            return Format(known, wanted, version=version)
        if params.get("stream") not in (None, "watch"):
            continue
        return PLAIN if known == JSON else Format(known)
    raise NotAcceptable(MEDIA_TYPES, shape=any(media in _ALIASES for media, _ in _clauses(accept)))


_PRETTY_AGENTS = ("curl", "Wget", "Mozilla/5.0")


def is_pretty(query_value: str | None, agent: str) -> bool:
    """``?pretty`` decides; without it, terminals and browsers get indented JSON."""
    if query_value is not None:
        return query_value not in ("0", "false")
    return agent.startswith(_PRETTY_AGENTS)


@lru_cache(maxsize=256)
def body_media(content_type: str) -> str:
    """The media type of a request body. Raises UnsupportedMediaType."""
    if not content_type:
        return JSON
    media = content_type.split(";", 1)[0].strip().lower()
    if media in MEDIA_TYPES:
        return media
    raise UnsupportedMediaType(MEDIA_TYPES)


PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}


@lru_cache(maxsize=256)
def patch_type(content_type: str, *, custom: bool = False) -> str:
    """json, merge, strategic or apply. Raises UnsupportedMediaType. custom: there is no strategic merge."""
    found = PATCH_TYPES.get(content_type.split(";", 1)[0].strip().lower())
    if found is None or (custom and found == "strategic"):
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    return found
