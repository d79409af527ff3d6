"""Front proxies: a trusted server in front that has authenticated somebody, and says whom in headers.

What it says counts when its client certificate is signed by the front proxy's own authority and its common name is
allowed. Such a certificate stands for nobody by itself. Where a front proxy authority is set, the chain of a user's
certificate must end at one of the client authorities, so that neither can pass for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pelamis.apiserver.user import AUTHENTICATED, User
from pelamis.net.http1 import Request
from pelamis.net.tls import subject

ALLOWED = ("front-proxy-client",)
_EXTRA = "x-remote-extra-"


class FrontProxy:
    """ca, client_ca: PEM, one certificate or several. allowed: common names; empty = any."""

    def __init__(self, ca: bytes, client_ca: bytes = b"", allowed: Sequence[str] = ALLOWED) -> None:
        self._ca = _authorities(ca)
        self._client_ca = _authorities(client_ca)
        self._allowed = frozenset(allowed)

    def is_proxy(self, chain: Sequence[bytes]) -> bool:
        """chain: a verified one, DER, the peer's own certificate first."""
        name, _ = subject(chain[0])
        return (not self._allowed or name in self._allowed) and not self._ca.isdisjoint(chain[1:])

    def is_user(self, chain: Sequence[bytes]) -> bool:
        return not self._client_ca.isdisjoint(chain[1:])


def _authorities(pem: bytes) -> frozenset[bytes]:
    """Their certificates in DER form."""
    found = x509.load_pem_x509_certificates(pem) if pem else []
    return frozenset(cert.public_bytes(serialization.Encoding.DER) for cert in found)


def user_of(request: Request) -> User | None:
    """Whom the headers name. None when they name nobody."""
    name = next((v for v in request.all("x-remote-user") if v), "")
    if not name:
        return None
    groups = tuple(request.all("x-remote-group"))
    extra: dict[str, tuple[str, ...]] = {}
    for raw, _ in request.fields:
        header = raw.decode("latin-1").lower()
        if header.startswith(_EXTRA):
            extra[unquote(header[len(_EXTRA) :])] = tuple(request.all(header))
    if AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(name, groups, request.headers.get("x-remote-uid", ""), extra or None)
