"""Front proxies: a trusted server in front that has authenticated somebody, and says whom in headers.

What it says counts when its client certificate is signed by the front proxy's own authority and its common name is
allowed. Such a certificate stands for nobody by itself. Where a front proxy authority is set, certificates of users
must be signed directly by one of the client authorities, so that neither can pass for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from pelamis.apiserver.user import AUTHENTICATED, User
from pelamis.net.http1 import Request
from pelamis.net.tls import subject

ALLOWED = ("front-proxy-client",)
_EXTRA = "x-remote-extra-"


class FrontProxy:
    """ca, client_ca: PEM, one certificate or several. allowed: common names; empty = any."""

    def __init__(self, ca: bytes, client_ca: bytes = b"", allowed: Sequence[str] = ALLOWED) -> None:
        self._ca = x509.load_pem_x509_certificates(ca)
        self._client_ca = x509.load_pem_x509_certificates(client_ca) if client_ca else []
        self._allowed = frozenset(allowed)

    def is_proxy(self, der: bytes) -> bool:
        name, _ = subject(der)
        return (not self._allowed or name in self._allowed) and _signed(der, self._ca)

    def is_user(self, der: bytes) -> bool:
        return _signed(der, self._client_ca)


def _signed(der: bytes, authorities: Sequence[x509.Certificate]) -> bool:
    cert = x509.load_der_x509_certificate(der)
    for authority in authorities:
        try:
            cert.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


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
