"""Bound service account tokens for projected volumes, kept until 80 % of their life (at most a day) is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pelamis.base.clock import parse_rfc3339
from pelamis.base.errors import StatusError
from pelamis.client.types import Client
from pelamis.kubelet.volumes.payload import VolumeError

RENEW_AT = 0.8
RENEW_AFTER_S = 86400.0


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    renew_at: float
    expires_at: float


class Tokens:
    def __init__(self, client: Client, now: Callable[[], float]) -> None:
        self._client = client
        self._now = now
        self._tokens: dict[tuple[str, str, int], _Token] = {}

    async def get(self, pod: Any, audience: str, ttl_s: int) -> str:
        """Raises VolumeError."""
        key = (pod.metadata.uid, audience, ttl_s)
        now = self._now()
        known = self._tokens.get(key)
        if known is not None and now < known.renew_at:
            return known.text
        meta = pod.metadata
        account = pod.spec.serviceAccountName or "default"
        body = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account, "namespace": meta.namespace},
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": ttl_s,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": meta.name, "uid": meta.uid},
            },
        }
        path = f"/api/v1/namespaces/{meta.namespace}/serviceaccounts/{account}/token"
        try:
            answer = await self._client.post(path, body)
        except (StatusError, OSError) as error:
            if known is not None and now < known.expires_at:
                return known.text
            raise VolumeError(f"failed to fetch token: {error}") from error
        status = answer["status"]
        expires = parse_rfc3339(status["expirationTimestamp"])
        renew = min(now + (expires - now) * RENEW_AT, now + RENEW_AFTER_S)
        self._tokens[key] = _Token(status["token"], renew, expires)
        return str(status["token"])

    def renew_at(self, uid: str) -> float | None:
        """When the first token of a pod has to be renewed."""
        return min((token.renew_at for key, token in self._tokens.items() if key[0] == uid), default=None)

    def drop(self, uid: str) -> None:
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]
