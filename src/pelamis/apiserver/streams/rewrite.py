"""Links of what is behind a proxy name, made to lead through the proxy again: redirects and the links in HTML pages.

A page is scanned for tags by RE2, in time linear in its length. Tags whose links stay the same are passed on as they
are; so is a page that is longer than ``LONGEST`` or compressed in a way that is not known here.
"""

from __future__ import annotations

import html
import posixpath
import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

LONGEST = 16 << 20
"""Bytes of a page, compressed or not, that are held to rewrite its links."""

_LINKS = {
    b"a": "href",
    b"applet": "codebase",
    b"area": "href",
    b"audio": "src",
    b"base": "href",
    b"blockquote": "cite",
    b"body": "background",
    b"button": "formaction",
    b"command": "icon",
    b"del": "cite",
    b"embed": "src",
    b"form": "action",
    b"frame": "longdesc src",
    b"head": "profile",
    b"html": "manifest",
    b"iframe": "longdesc src",
    b"img": "longdesc src usemap",
    b"input": "src usemap formaction",
    b"ins": "cite",
    b"link": "href",
    b"object": "classid codebase data usemap",
    b"q": "cite",
    b"script": "src",
    b"source": "src",
    b"video": "poster src",
}
"""Attributes that hold an address, by element."""
_ATTRIBUTES = {element: frozenset(names.encode().split()) for element, names in _LINKS.items()}
_TEXT_ONLY = (b"script", b"style", b"textarea", b"title", b"iframe", b"noembed", b"noframes", b"xmp")
"""Elements whose content has no tags."""


@lru_cache(1)
def _patterns() -> tuple[Any, Any]:
    """(a comment or a start tag, an attribute with a value)."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    tag = re2.compile(rb"""(?s)<!--.*?-->|<([a-zA-Z][^\s/>]*)((?:"[^"]*"|'[^']*'|[^"'>])*)>""", options)
    attribute = re2.compile(rb"""([^\s"'<>/=]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", options)
    return tag, attribute


def link(address: str, prefix: str, hosts: tuple[str, str]) -> str:
    """The address as a client of the proxy has to ask for it.

    hosts: of the answering end, and as the client named the proxy. Addresses of other hosts and relative ones stay.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if (parts.netloc and parts.netloc not in hosts) or not parts.path.startswith("/"):
        return address
    if parts.netloc != hosts[1]:
        parts = parts._replace(scheme="", netloc="")
    if not parts.path.startswith(prefix):
        path = posixpath.normpath(f"{prefix}/{parts.path}")
        parts = parts._replace(path=path + "/" if parts.path.endswith("/") else path)
    return urlunsplit(parts)


def links(page: bytes, prefix: str, hosts: tuple[str, str]) -> Iterator[bytes]:
    """The page, in pieces, with its links made to lead through the proxy."""
    tags, attributes = _patterns()
    wanted: frozenset[bytes] = frozenset()

    def attribute(found: Any) -> bytes:
        name, raw = found.group(1), found.group(2)
        if name.lower() in wanted:
            bare = raw[1:-1] if raw[:1] in (b'"', b"'") else raw
            before = html.unescape(bare.decode("utf-8", "surrogateescape"))
            after = link(before, prefix, hosts)
            if after != before:
                return bytes(name) + b'="' + html.escape(after).encode("utf-8", "surrogateescape") + b'"'
        return bytes(found.group(0))

    done = position = 0
    while (tag := tags.search(page, position)) is not None:
        position = tag.end()
        element = (tag.group(1) or b"").lower()
        wanted = _ATTRIBUTES.get(element, frozenset())
        if wanted and b"=" in tag.group(2):
            start, end = tag.span(2)
            yield page[done:start]
            yield attributes.sub(attribute, tag.group(2))
            done = end
        if element in _TEXT_ONLY:
            closing = re.compile(b"</" + element, re.I).search(page, position)
            if closing is None:
                break
            position = closing.start()
    yield page[done:]


def pieces(data: bytes, encoding: str, prefix: str, hosts: tuple[str, str]) -> Iterator[bytes]:
    """As ``links``, of a page as it is transferred: plain, ``gzip`` or ``deflate``."""
    bits = {"": 0, "gzip": 31, "deflate": -15}.get(encoding)
    if bits == 0:
        yield from links(data, prefix, hosts)
        return
    page = None if bits is None else _opened(data, bits)
    if bits is None or page is None:
        yield data
        return
    packed = zlib.compressobj(wbits=bits)
    for piece in links(page, prefix, hosts):
        yield packed.compress(piece)
    yield packed.flush()


def _opened(data: bytes, bits: int) -> bytes | None:
    """None: not compressed that way, or too long."""
    opened = zlib.decompressobj(bits)
    try:
        page = opened.decompress(data, LONGEST)
    except zlib.error:
        return None
    return page if opened.eof else None
