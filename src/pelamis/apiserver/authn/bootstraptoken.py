"""Bootstrap tokens: ``<id>.<secret>``, kept in a Secret of kube-system, for nodes that join."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any

from pelamis.apiserver.user import AUTHENTICATED, User
from pelamis.base.clock import parse_rfc3339

_SHAPE = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def authenticate(token: str, now: float, secret: Callable[[str], Any]) -> User | None:
    """secret(name) finds a Secret of kube-system. None = not a valid bootstrap token."""
    match = _SHAPE.fullmatch(token)
    if match is None:
        return None
    found = secret(f"bootstrap-token-{match[1]}")
    if found is None or found.type != "bootstrap.kubernetes.io/token" or found.metadata.deletionTimestamp:
        return None
    data = {k: v.decode("utf-8", "replace") for k, v in found.data.items()}
    if data.get("token-id") != match[1] or not hmac.compare_digest(
        data.get("token-secret", "").encode(), match[2].encode()
    ):
        return None
    if data.get("expiration"):
        try:
            if parse_rfc3339(data["expiration"]) <= now:
                return None
        except ValueError:
            return None
    if data.get("usage-bootstrap-authentication") != "true":
        return None
    groups = ["system:bootstrappers"]
    for group in filter(None, data.get("auth-extra-groups", "").split(",")):
        if not _GROUP.fullmatch(group):
            return None
        groups.append(group)
    return User(f"system:bootstrap:{match[1]}", (*sorted(groups), AUTHENTICATED))
