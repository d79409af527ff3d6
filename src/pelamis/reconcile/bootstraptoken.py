"""Bootstrap tokens as Secrets, and the signatures made with them. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from pelamis.api.core.secret import Secret
from pelamis.base.clock import parse_rfc3339

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
PREFIX = "bootstrap-token-"
_NAME = re.compile(r"bootstrap-token-([a-z0-9]{6})")


def text(secret: Secret, key: str) -> str:
    return secret.data.get(key, b"").decode("utf-8", "replace")


def signer(secret: Secret, now: float) -> tuple[str, str] | None:
    """(id, secret) of a token that may sign; None for all others."""
    match = _NAME.fullmatch(secret.metadata.name)
    if secret.type != TYPE or match is None or secret.metadata.deletionTimestamp is not None:
        return None
    token_id, token_secret = text(secret, "token-id"), text(secret, "token-secret")
    if token_id != match[1] or not token_secret or text(secret, "usage-bootstrap-signing") != "true":
        return None
    expiration = expires(secret)
    return None if expiration is not None and expiration <= now else (token_id, token_secret)


def expires(secret: Secret) -> float | None:
    """0 where the time makes no sense, so that the token counts as expired."""
    found = text(secret, "expiration")
    try:
        return parse_rfc3339(found) if found else None
    except ValueError:
        return 0.0


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(content: str, token_id: str, token_secret: str) -> str:
    """A JSON Web Signature (HS256) of the content, which is left out of it."""
    head = _b64(b'{"alg":"HS256","kid":"%b"}' % token_id.encode())
    signed = f"{head}.{_b64(content.encode())}".encode()
    return f"{head}..{_b64(hmac.new(token_secret.encode(), signed, hashlib.sha256).digest())}"
