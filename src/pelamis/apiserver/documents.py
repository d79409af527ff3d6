"""What the server tells of itself: versions, discovery, OpenAPI, and the keys of its tokens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.apiserver.call import Answered
from pelamis.apiserver.discovery import version_info
from pelamis.base.tree import get as tree_get
from pelamis.net.http1 import Request, Response

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


class Documents:
    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def answer(self, request: Request) -> Answered:
        """Discovery, OpenAPI, version and keys; None = no such path."""
        path = request.path
        headers = request.headers
        if path in ("/version", "/version/"):
            return _json(version_info())
        if path == "/openid/v1/jwks":
            return _json(self._server.jwks, "application/jwk-set+json")
        if path == "/.well-known/openid-configuration":
            return _json(self._openid())
        if path == "/":
            return _json({"paths": self._paths()})
        if path.startswith("/openapi/"):
            return self._described(request)
        answer = self._server.discovery.answer(path, headers.get("accept", ""), headers.get("if-none-match", ""))
        if answer is None:
            return None
        status, out, body = answer
        return _response(status, out, body)

    def _described(self, request: Request) -> Answered:
        headers = request.headers
        try:
            document = self._server.openapi.find(request.path, headers.get("accept", ""))
        except ValueError:
            return Response(406, b"", "text/plain; charset=utf-8")
        if document is None:
            return None
        return self._made(request, document)

    async def _made(self, request: Request, document: Any) -> Response:
        """A document may take a second to make the first time: others run in between."""
        while document.step():  # noqa: ASYNC110
            await asyncio.sleep(0)
        headers = request.headers
        wanted = request.query_first("hash")
        if wanted and wanted != document.hash:
            return Response(301, b"", "", (("Location", f"{request.path}?hash={document.hash}"),))
        status, out, body = document.answer(headers.get("accept-encoding", ""), headers.get("if-none-match", ""))
        if wanted:
            out["Cache-Control"] = "public, immutable, max-age=31536000"
        return _response(status, out, body)

    def _openid(self) -> dict[str, Any]:
        issuer = self._server.config.issuer
        base = f"https://{self._server.advertise_address}:{self._server.port}"
        algorithms = sorted({tree_get(k, "alg") for k in self._server.jwks["keys"]})
        return {
            "issuer": issuer,
            "jwks_uri": f"{base}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }

    def _paths(self) -> list[str]:
        out = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis"]
        for group in self._server.registry.groups():
            if group.name:
                out.append(f"/apis/{group.name}")
                out.extend(f"/apis/{group.name}/{v}" for v in group.versions)
        out += [
            "/healthz",
            "/livez",
            "/metrics",
            "/metrics/slis",
            "/openapi/v2",
            "/openapi/v3",
            "/openid/v1/jwks",
            "/readyz",
            "/version",
        ]
        return sorted(out)


def _json(tree: Any, media: str = "application/json") -> Response:
    return Response(200, msgspec.json.format(msgspec.json.encode(tree), indent=2), media)


def _response(status: int, headers: dict[str, str], body: bytes) -> Response:
    media = headers.get("Content-Type", "")
    return Response(status, body, media, [(k, v) for k, v in headers.items() if k != "Content-Type"])
