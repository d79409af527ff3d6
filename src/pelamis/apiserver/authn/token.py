"""Service account tokens: JSON Web Tokens that this cluster issues and checks.

A token is valid when its signature, issuer, audience and times are right and the objects that it is bound to still
exist with the same uid. The signature is checked once per token and remembered; the live objects are looked at on every
request, so deleting a service account or a pod ends its tokens at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from pelamis.apiserver.user import User, service_account_user, split_service_account
from pelamis.base.clock import parse_rfc3339, rfc3339

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
_LEGACY = "kubernetes.io/serviceaccount/"
_REMEMBERED = 20_000
_LEEWAY_S = 60
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Lookup = Callable[[str, str, str], Any]
"""(plural of a core kind, namespace, name) to the object or None."""


class InvalidToken(Exception):
    """Why a token of ours is refused."""


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def load_private(pem: bytes) -> PrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("a service account key must be RSA or ECDSA")
    return key


def load_public(pem: bytes) -> PublicKey:
    key = serialization.load_pem_public_key(pem) if b"PUBLIC" in pem else load_private(pem).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("a service account key must be RSA or ECDSA")
    return key


def key_id(key: PublicKey) -> str:
    """As upstream: the SHA-256 of the public key in DER form."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _b64(hashlib.sha256(der).digest())


def _int(value: int, length: int = 0) -> str:
    return _b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def jwk(key: PublicKey) -> dict[str, str]:
    """The public key as a member of a JSON Web Key Set."""
    common = {"use": "sig", "kid": key_id(key)}
    if isinstance(key, rsa.RSAPublicKey):
        n = key.public_numbers()
        return {"use": "sig", "kty": "RSA", "kid": common["kid"], "alg": "RS256", "n": _int(n.n), "e": _int(n.e)}
    e = key.public_numbers()
    return {
        "use": "sig",
        "kty": "EC",
        "kid": common["kid"],
        "crv": "P-256",
        "alg": "ES256",
        "x": _int(e.x, 32),
        "y": _int(e.y, 32),
    }


class Issuer:
    """Signs tokens with ``key``."""

    def __init__(self, key: PrivateKey, issuer: str = ISSUER) -> None:
        self._key = key
        self.issuer = issuer
        self._alg = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        head = {"alg": self._alg, "kid": key_id(key.public_key())}
        self._head = _b64(msgspec.json.encode(head))

    def issue(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        audiences: Sequence[str],
        now: float,
        expires_s: int,
        token_id: str,
        bound: dict[str, dict[str, str]] | None = None,
        warn_after_s: int = 0,
    ) -> str:
        """bound: ``{"pod": {"name", "uid"}, "node": {…}}`` or ``{"secret": {…}}``."""
        iat = int(now)
        private: dict[str, Any] = {
            "namespace": namespace,
            **(bound or {}),
            "serviceaccount": {"name": name, "uid": uid},
        }
        if warn_after_s:
            private["warnafter"] = iat + warn_after_s
        claims = {
            "aud": list(audiences),
            "exp": iat + expires_s,
            "iat": iat,
            "iss": self.issuer,
            "jti": token_id,
            "kubernetes.io": private,
            "nbf": iat,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        signed = f"{self._head}.{_b64(msgspec.json.encode(claims))}"
        return f"{signed}.{_b64(self._sign(signed.encode()))}"

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def issue_legacy(self, namespace: str, secret: str, name: str, uid: str) -> str:
        """A token that a Secret holds: valid for as long as that is there."""
        claims = {
            "iss": LEGACY_ISSUER,
            f"{_LEGACY}namespace": namespace,
            f"{_LEGACY}secret.name": secret,
            f"{_LEGACY}service-account.name": name,
            f"{_LEGACY}service-account.uid": uid,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        signed = f"{self._head}.{_b64(msgspec.json.encode(claims))}"
        return f"{signed}.{_b64(self._sign(signed.encode()))}"


class Validator:
    """Checks tokens against ``keys`` and the live objects that ``lookup`` finds."""

    def __init__(
        self, keys: Sequence[PublicKey], lookup: Lookup, *, issuer: str = ISSUER, audiences: Sequence[str] = (ISSUER,)
    ) -> None:
        self._keys = {key_id(k): k for k in keys}
        self._lookup = lookup
        self._issuer = issuer
        self.audiences = tuple(audiences)
        self._checked: dict[str, dict[str, Any]] = {}
        self.used: Callable[[Any, float], None] | None = None
        """Told of a Secret whose token is used for the first time on a day."""

    def validate(self, token: str, now: float, audiences: Sequence[str] = ()) -> tuple[User, list[str]] | None:
        """The user, and the audiences that fit. None = not one of our tokens; InvalidToken = ours, but not good."""
        claims = self._checked.get(token)
        if claims is None:
            claims = self._verified(token)
            if claims is None:
                return None
            if len(self._checked) >= _REMEMBERED:
                self._checked.clear()
            self._checked[token] = claims
        if claims["iss"] == LEGACY_ISSUER:
            wanted = audiences or self.audiences
            fit = [a for a in wanted if a in self.audiences]
            if not fit:
                raise InvalidToken(
                    f"token audiences {list(self.audiences)!r} is invalid for the target audiences {list(wanted)!r}"
                )
            return self._legacy_user(claims, token, now), fit
        if claims.get("exp", 0) <= now:
            raise InvalidToken("service account token has expired")
        if claims.get("nbf", 0) > now + _LEEWAY_S:
            raise InvalidToken("service account token is not valid yet")
        aud = claims.get("aud", ())
        if isinstance(aud, str):
            aud = (aud,)
        wanted = audiences or self.audiences
        fit = [a for a in wanted if a in aud]
        if not fit:
            raise InvalidToken(f"token audiences {list(aud)!r} is invalid for the target audiences {list(wanted)!r}")
        return self._user(claims, now), fit

    def _verified(self, token: str) -> dict[str, Any] | None:
        parts = token.split(".")
        if len(parts) != 3:
            return None
        try:
            head = msgspec.json.decode(_unb64(parts[0]))
            claims = msgspec.json.decode(_unb64(parts[1]))
            signature = _unb64(parts[2])
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return None
        if (
            not isinstance(claims, dict)
            or not isinstance(head, dict)
            or claims.get("iss") not in (self._issuer, LEGACY_ISSUER)
        ):
            return None
        key = self._keys.get(head.get("kid", ""))
        candidates = [key] if key is not None else list(self._keys.values())
        data = f"{parts[0]}.{parts[1]}".encode()
        for candidate in candidates:
            if head.get("alg") == ("RS256" if isinstance(candidate, rsa.RSAPublicKey) else "ES256") and _good(
                candidate, signature, data
            ):
                return claims
        raise InvalidToken("invalid signature")

    def _user(self, claims: dict[str, Any], now: float) -> User:
        private = claims.get("kubernetes.io") or {}
        namespace = private.get("namespace", "")
        account = private.get("serviceaccount") or {}
        name, uid = account.get("name", ""), account.get("uid", "")
        if split_service_account(claims.get("sub", "")) != (namespace, name):
            raise InvalidToken("invalid subject")
        self._alive("serviceaccounts", namespace, name, uid, now, "service account")
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra["authentication.kubernetes.io/credential-id"] = (f"JTI={claims['jti']}",)
        for what, plural in (("pod", "pods"), ("secret", "secrets"), ("node", "nodes")):
            bound = private.get(what)
            if not bound:
                continue
            place = "" if what == "node" else namespace
            # A node named beside a pod is told, not checked; alone it is what the token is bound to.
            if what != "node" or "pod" not in private:
                self._alive(plural, place, bound.get("name", ""), bound.get("uid", ""), now, what)
            if what != "secret":
                extra[f"authentication.kubernetes.io/{what}-name"] = (bound.get("name", ""),)
                if bound.get("uid"):
                    extra[f"authentication.kubernetes.io/{what}-uid"] = (bound["uid"],)
        return service_account_user(namespace, name, uid, extra or None)

    def _legacy_user(self, claims: dict[str, Any], token: str, now: float) -> User:
        """A token out of a Secret, which must still hold it."""
        namespace, secret = claims.get(f"{_LEGACY}namespace", ""), claims.get(f"{_LEGACY}secret.name", "")
        name, uid = claims.get(f"{_LEGACY}service-account.name", ""), claims.get(f"{_LEGACY}service-account.uid", "")
        if not secret or split_service_account(claims.get("sub", "")) != (namespace, name):
            raise InvalidToken("invalid subject")
        found = self._lookup("secrets", namespace, secret)
        if found is None or found.metadata.deletionTimestamp is not None:
            raise InvalidToken("service account token has been invalidated")
        if found.data.get("token", b"").decode("ascii", "replace") != token:
            raise InvalidToken("service account token does not match server's copy")
        since = found.metadata.labels.get(INVALID_SINCE)
        if since is not None:
            raise InvalidToken(f"the token in secret {namespace}/{secret} for service account {namespace}/{name} has "
                               "been marked invalid. Use tokens from the TokenRequest API or manually created secret-"
                               "based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label from the "
                               "secret to temporarily allow use of this token")  # fmt: skip
        self._alive("serviceaccounts", namespace, name, uid, now, "service account")
        if self.used is not None and found.metadata.labels.get(LAST_USED) != rfc3339(now)[:10]:
            self.used(found, now)
        return service_account_user(namespace, name, uid, None)

    def _alive(self, plural: str, namespace: str, name: str, uid: str, now: float, shown: str) -> None:
        found = self._lookup(plural, namespace, name)
        if found is None:
            raise InvalidToken(f"{shown} token has been invalidated: {name} not found")
        if found.metadata.uid != uid:
            raise InvalidToken(f"the {shown} UID ({found.metadata.uid}) does not match the claim ({uid})")
        gone_at = found.metadata.deletionTimestamp
        if gone_at and parse_rfc3339(gone_at) < now - _LEEWAY_S:
            raise InvalidToken(f"{shown} has been deleted")


def _good(key: PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            if len(signature) != 64:
                return False
            der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            key.verify(der, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
