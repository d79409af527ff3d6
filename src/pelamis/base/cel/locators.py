"""URLs and the names of images, for CEL (see values)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pelamis.base.cel.values import Made, Wrong, of_kind


def make_url(text: str) -> Made:
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise Wrong(f'URL parse error during conversion from string: parse "{text}": invalid control character in URL')
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise Wrong(f'URL parse error during conversion from string: parse "{text}": invalid URL') from None
    if " " in parts.netloc or not (parts.scheme or text.startswith("/")):
        raise Wrong(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {"$": "url", "text": text}


def is_url(text: str) -> bool:
    try:
        make_url(text)
    except Wrong:
        return False
    return True


def url_of(value: Made) -> Any:
    return urlsplit(of_kind("url", value)["text"])


def host(value: Made) -> str:
    netloc: str = url_of(value).netloc
    return netloc.rpartition("@")[2]


def hostname(value: Made) -> str:
    full = host(value)
    if full.startswith("["):
        return full[1 : full.find("]")]
    return full.partition(":")[0]


def port(value: Made) -> str:
    port = url_of(value).port
    return "" if port is None else str(port)


def escaped_path(value: Made) -> str:
    path: str = url_of(value).path
    return quote(path, safe="/%:@!$&'()*+,;=~-._")


def query(value: Made) -> dict[str, list[str]]:
    return parse_qs(url_of(value).query, keep_blank_values=True)


_REPOSITORY = re.compile(r"(?=.{2,255}\Z)[a-z0-9_.-]+(/[a-z0-9_.-]+)*\Z")
_REGISTRY = re.compile(r"(?i)(\[[0-9a-f:]+\]|[a-z0-9-]+(\.[a-z0-9-]+)*\.?)(:\d+)?\Z")
_HUB = "index.docker.io"


def make_image(text: str) -> Made:
    """Parts of an image's name, with what a missing registry and tag mean. A digest hides a tag."""
    wrong = Wrong(f"could not parse reference: {text}")
    base, at, digest = text.partition("@")
    if at and not re.match(r"sha256:[0-9a-f]{64}\Z", digest):
        raise wrong
    head, colon, tag = base.rpartition(":")
    if not colon or "/" in tag:
        head, tag = base, ""
    elif not re.match(r"[A-Za-z0-9_.-]{1,128}\Z", tag):
        raise wrong
    registry, slash, repository = head.partition("/")
    if not slash or not ("." in registry or ":" in registry):
        registry, repository = "", head
    if registry in ("", "docker.io"):
        registry = _HUB
    if not _REPOSITORY.match(repository) or not _REGISTRY.match(registry):
        raise wrong
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    tag = "" if at else tag or "latest"
    made = {"$": "image", "registry": registry, "repository": repository, "tag": tag, "digest": digest}
    return {**made, "identifier": digest or tag}


def is_image(text: str) -> bool:
    try:
        make_image(text)
    except Wrong:
        return False
    return True
