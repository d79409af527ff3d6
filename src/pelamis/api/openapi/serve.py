"""Documents made when first asked for, kept compressed, answered with ETag.

A document is made in steps of a few milliseconds: who serves requests calls ``step`` until it returns False, letting
other requests run in between. Whoever asks for a document that is being made drives the same work. When the registry
changes, what depends on the changed kinds is made again at the next request.
"""

from __future__ import annotations

import hashlib
import weakref
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pelamis.api.openapi import gnostic, gnostic3, merge, v2, v3
from pelamis.api.registry import Registry

Answer = tuple[int, dict[str, str], bytes]
"""(status, headers, body)"""

JSON = "application/json"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF_NEW = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
PROTOBUF_V3 = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
PROTOBUF_V3_NEW = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
VERSION = "v1.37.0"
_STEP = 24
_GZIP = 31


class Document:
    """One OpenAPI document. ``step`` until it returns False, then ``answer``."""

    def __init__(self, content_type: str, chunks: Iterator[bytes]) -> None:
        self.content_type = content_type
        self._chunks: Iterator[bytes] | None = chunks
        self._zip = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._hash = hashlib.sha512()
        self._out: list[bytes] = []
        self._body = b""
        self._etag = ""

    def step(self) -> bool:
        """Does the next bit of the work; False: the document is complete."""
        if self._chunks is None:
            return False
        for _ in range(_STEP):
            chunk = next(self._chunks, None)
            if chunk is None:
                self._out.append(self._zip.flush())
                self._body = b"".join(self._out)
                self._etag = self._hash.hexdigest().upper()
                self._chunks = None
                self._out.clear()
                return False
            self._hash.update(chunk)
            self._out.append(self._zip.compress(chunk))
        return True

    def finish(self) -> Document:
        while self.step():
            pass
        return self

    @property
    def hash(self) -> str:
        return self._etag

    def answer(self, accept_encoding: str = "", if_none_match: str = "") -> Answer:
        """Of a complete document."""
        headers = {"Content-Type": self.content_type, "ETag": f'"{self._etag}"', "Vary": "Accept-Encoding, Accept"}
        if any(t.strip().removeprefix("W/").strip('"') == self._etag for t in if_none_match.split(",") if t.strip()):
            return 304, {k: v for k, v in headers.items() if k != "Content-Type"}, b""
        if "gzip" in accept_encoding:
            return 200, {**headers, "Content-Encoding": "gzip"}, self._body
        return 200, headers, zlib.decompress(self._body, _GZIP)


def _json(head: dict[str, Any], parts: Iterator[v2.Part], wrap: dict[str, str]) -> Iterator[bytes]:
    """A JSON document whose sections come part by part. ``wrap``: section to the member that encloses it."""
    yield msgspec.json.encode(head)[:-1]
    section = ""
    for here, name, value in parts:
        body = msgspec.json.encode(name) + b":" + msgspec.json.encode(value)
        if here != section:
            if section:
                yield b"}}" if section in wrap else b"}"
            outer = f'"{wrap[here]}":{{' if here in wrap else ""
            yield f',{outer}"{here}":{{'.encode() + body
            section = here
        else:
            yield b"," + body
    if section:
        yield b"}}" if section in wrap else b"}"
    yield b"}"


def _v2_json(registry: Registry, others: list[merge.Tree]) -> Iterator[bytes]:
    head = {"swagger": "2.0", "info": {"title": v2.TITLE, "version": VERSION}}
    return _json(head, merge.merged(v2.parts(registry), others), {})


def _v2_protobuf(registry: Registry, others: list[merge.Tree]) -> Iterator[bytes]:
    yield gnostic.head(v2.TITLE, VERSION)
    for section, name, value in merge.merged(v2.parts(registry), others):
        yield gnostic.part(section, name, value)


def _v3_json(registry: Registry, group: str, version: str) -> Iterator[bytes]:
    head = {"openapi": "3.0.0", "info": {"title": v2.TITLE, "version": VERSION}}
    return _json(head, v3.parts(registry, group, version), {"schemas": "components"})


def _v3_protobuf(registry: Registry, group: str, version: str) -> Iterator[bytes]:
    yield gnostic3.head(v2.TITLE, VERSION)
    for section, name, value in v3.parts(registry, group, version):
        yield gnostic3.part(section, name, value)


def _remote_protobuf(document: Document) -> Iterator[bytes]:
    body = document.finish().answer()[2]
    yield gnostic3.document(msgspec.json.decode(body))


class _Binary(Document):
    """A document as protobuf. Its hash is that of the JSON, which the index names."""

    def __init__(self, source: Document, chunks: Iterator[bytes]) -> None:
        super().__init__(PROTOBUF_V3_NEW, chunks)
        self._source = source

    def step(self) -> bool:
        if self._chunks is None:
            return False
        if self._source.step() or super().step():
            return True
        self._etag = self._source.hash
        return False


class _Index(Document):
    """The v3 index needs the hash of each document, so it makes them all."""

    def __init__(self, documents: dict[str, Document]) -> None:
        self._documents = documents
        super().__init__(JSON, iter(()))

    def step(self) -> bool:
        if self._chunks is None:
            return False
        for document in self._documents.values():
            if document.step():
                return True
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={document.hash}"}
            for path, document in self._documents.items()
        }
        self._chunks = iter([msgspec.json.encode({"paths": paths})])
        return super().step()


class OpenAPI:
    """The documents of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._revision = -1
        self._whole: dict[str, Document] = {}
        self._versions: dict[str, tuple[tuple[int, ...], Document]] = {}
        self._remote: dict[str, Document] = {}
        self._remote_v2: dict[str, merge.Tree] = {}
        self._binary: dict[str, tuple[Document, Document]] = {}
        """By path: the JSON document, and the same as protobuf."""

    def set_remote(self, path: str, body: bytes | None) -> None:
        """The document of a group-version that another server provides, at ``apis/<group>/<version>``; None: gone."""
        if body is None:
            self._remote.pop(path, None)
        else:
            self._remote[path] = Document(JSON, iter((body,)))
        self._whole.pop("v3", None)

    def set_remote_v2(self, path: str, document: Any) -> None:
        """What the server of a group-version says in its own v2 document; None: nothing."""
        before = self._remote_v2.pop(path, None)
        if document is not None:
            self._remote_v2[path] = merge.cut(document, f"/{path}")
        if before != self._remote_v2.get(path):
            self._whole.pop(JSON, None)
            self._whole.pop(PROTOBUF_NEW, None)

    def _fresh(self) -> None:
        if self._revision != self._registry.revision:
            self._revision = self._registry.revision
            self._whole.clear()

    def find(self, path: str, accept: str = "") -> Document | None:
        """The document at a path, perhaps not complete yet; None: there is none. Raises ValueError: not acceptable."""
        self._fresh()
        path = path.rstrip("/")
        if path == "/openapi/v2":
            form = _negotiate(accept, (PROTOBUF, PROTOBUF_NEW, JSON))
            others = list(self._remote_v2.values())
            if form == JSON:
                return self._get(form, lambda: Document(JSON, _v2_json(self._registry, others)))
            # clients ask by the old name, and cannot parse it as the type of an answer
            return self._get(PROTOBUF_NEW, lambda: Document(PROTOBUF_NEW, _v2_protobuf(self._registry, others)))
        if path == "/openapi/v3":
            _negotiate(accept, (JSON,))
            return self._get("v3", lambda: _Index(self._all()))
        if path.startswith("/openapi/v3/"):
            name = path[len("/openapi/v3/") :]
            found = self._all_paths().get(name)
            if found is None and name not in self._remote:
                return None
            if _negotiate(accept, (PROTOBUF_V3, PROTOBUF_V3_NEW, JSON)) == JSON:
                return self._remote[name] if found is None else self._version(*found)
            return self._protobuf(name, found)
        return None

    def _get(self, key: str, make: Callable[[], Document]) -> Document:
        document = self._whole.get(key)
        if document is None:
            document = self._whole[key] = make()
        return document

    def _all_paths(self) -> dict[str, tuple[str, str]]:
        out = {}
        for group in self._registry.groups():
            for version in group.versions:
                out[f"apis/{group.name}/{version}" if group.name else f"api/{version}"] = (group.name, version)
        return out

    def _version(self, group: str, version: str) -> Document:
        key = f"{group}/{version}"
        state = tuple(id(k) for k in self._registry.of(group, version))
        known = self._versions.get(key)
        if known is None or known[0] != state:
            document = Document(JSON, _v3_json(self._registry, group, version))
            known = self._versions[key] = (state, document)
        return known[1]

    def _protobuf(self, name: str, found: tuple[str, str] | None) -> Document:
        """The same document as protobuf; it is made anew when the other is."""
        source = self._remote[name] if found is None else self._version(*found)
        known = self._binary.get(name)
        if known is None or known[0] is not source:
            chunks = _remote_protobuf(source) if found is None else _v3_protobuf(self._registry, *found)
            known = self._binary[name] = (source, _Binary(source, chunks))
        return known[1]

    def _all(self) -> dict[str, Document]:
        documents = {path: self._version(*gv) for path, gv in sorted(self._all_paths().items())}
        served = {f"{g}/{v}" for g, v in self._all_paths().values()}
        for key in [k for k in self._versions if k not in served]:
            del self._versions[key]
        return {**self._remote, **documents}

    def answer(
        self, path: str, accept: str = "", accept_encoding: str = "", if_none_match: str = "", hash: str = ""
    ) -> Answer | None:
        """Answers at once, finishing the document first if need be. ``hash``: that query parameter of a v3 URL."""
        try:
            document = self.find(path, accept)
        except ValueError:
            return 406, {"Content-Type": JSON}, b""
        if document is None:
            return None
        document.finish()
        if hash and hash != document.hash:
            return 301, {"Location": f"{path}?hash={document.hash}"}, b""
        status, headers, body = document.answer(accept_encoding, if_none_match)
        if hash:
            headers["Cache-Control"] = "public, immutable, max-age=31536000"
        return status, headers, body


def _negotiate(accept: str, offered: tuple[str, ...]) -> str:
    """The first media type of the header that is offered; JSON where anything goes."""
    if not accept:
        return JSON
    for part in accept.split(","):
        media = part.split(";")[0].strip()
        if media in offered:
            return media
        if media in ("*/*", "application/*"):
            return JSON
    raise ValueError(accept)


_known: weakref.WeakKeyDictionary[Registry, OpenAPI] = weakref.WeakKeyDictionary()


def openapi(registry: Registry) -> OpenAPI:
    """The one OpenAPI of a registry."""
    found = _known.get(registry)
    if found is None:
        found = _known[registry] = OpenAPI(registry)
    return found
