"""Who makes a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ANONYMOUS = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"
SERVICE_ACCOUNTS = "system:serviceaccounts"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """The outcome of authentication. ``groups`` already hold ``system:authenticated`` (or unauthenticated)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] | None = None

    @property
    def node(self) -> str:
        """The node's name when this is a kubelet, else empty."""
        if self.name.startswith(NODE_PREFIX) and NODES in self.groups:
            return self.name[len(NODE_PREFIX) :]
        return ""

    def tree(self) -> dict[str, Any]:
        """As reviews, webhooks and audit events tell it."""
        out: dict[str, Any] = {"username": self.name} if self.name else {}
        if self.uid:
            out["uid"] = self.uid
        if self.groups:
            out["groups"] = list(self.groups)
        if self.extra:
            out["extra"] = {k: list(v) for k, v in self.extra.items()}
        return out

    @property
    def service_account(self) -> tuple[str, str] | None:
        """(namespace, name) when this is a service account."""
        return split_service_account(self.name)


def split_service_account(name: str) -> tuple[str, str] | None:
    if not name.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    parts = name[len(SERVICE_ACCOUNT_PREFIX) :].split(":")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def service_account_user(
    namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None
) -> User:
    groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)
    return User(f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}", groups, uid, extra)


def component_user(name: str, *groups: str) -> User:
    """A control-plane component in this process."""
    parts = split_service_account(name)
    if parts is not None:
        return service_account_user(*parts)
    return User(name, (*groups, AUTHENTICATED))


ANONYMOUS_USER = User(ANONYMOUS, (UNAUTHENTICATED,))
LOOPBACK_USER = User("system:apiserver", (MASTERS, AUTHENTICATED))
