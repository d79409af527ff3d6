"""``Impersonate-*`` headers: acting as somebody else, where the verb ``impersonate`` is allowed on each part."""

from __future__ import annotations

from urllib.parse import unquote

from pelamis.apiserver.authz.attributes import Attributes, Authorizer, Union, refusal
from pelamis.apiserver.user import (
    ANONYMOUS,
    AUTHENTICATED,
    SERVICE_ACCOUNTS,
    UNAUTHENTICATED,
    User,
    split_service_account,
)
from pelamis.base.errors import BadRequest
from pelamis.net.http1 import Request

_AUTHENTICATION = "authentication.k8s.io"
_REMEMBERED = 10_000


class Impersonation:
    """Remembers who was allowed to act as whom, for as long as nothing changes on which that depends."""

    def __init__(self, authorizer: Union) -> None:
        self._authorizer = authorizer
        self._allowed: dict[tuple[object, ...], tuple[object, User]] = {}

    def user(self, request: Request, user: User) -> User:
        """The user that the request acts as. Raises StatusError."""
        headers = request.headers
        groups = headers.get("impersonate-group", "")
        if "," in groups or "impersonate-extra-" in " ".join(headers):
            # What was sent apart looks the same joined.
            return impersonate(request, user, self._authorizer)
        key = (
            user.name, user.groups, headers.get("impersonate-user"), groups, headers.get("impersonate-uid"),
            "impersonate-group" in headers,
        )  # fmt: skip
        state = self._authorizer.state(user)
        known = self._allowed.get(key)
        if known is not None and known[0] == state is not None:
            return known[1]
        found = impersonate(request, user, self._authorizer)
        if state is not None and found is not user:
            if len(self._allowed) >= _REMEMBERED:
                self._allowed.clear()
            self._allowed[key] = state, found
        return found


def wanted(request: Request) -> bool:
    headers = request.headers
    return "impersonate-" in " ".join(headers) and any(name.startswith("impersonate-") for name in headers)


def impersonate(request: Request, user: User, authorizer: Authorizer) -> User:
    """The user that the request acts as. Raises StatusError."""
    name = request.headers.get("impersonate-user", "")
    uid = request.headers.get("impersonate-uid", "")
    groups = request.all("impersonate-group")
    extra: dict[str, tuple[str, ...]] = {}
    for raw, _ in request.fields:
        lower = raw.decode("latin-1").lower()
        if lower.startswith("impersonate-extra-"):
            extra[unquote(lower[len("impersonate-extra-") :])] = tuple(request.all(lower))
    if not name:
        if groups or extra or uid:
            raise BadRequest("requested impersonation without impersonating a user")
        return user
    account = split_service_account(name)

    def check(resource: str, value: str, *, group: str = "", namespace: str = "", sub: str = "") -> None:
        a = Attributes("impersonate", group, "v1", resource, sub, namespace, value)
        decision = authorizer.authorize(user, a)
        if not decision.allowed:
            raise refusal(user, a, decision.reason)

    if account is not None:
        check("serviceaccounts", account[1], namespace=account[0])
    else:
        check("users", name)
    for group in groups:
        check("groups", group)
    if uid:
        check("uids", uid, group=_AUTHENTICATION)
    for key, values in extra.items():
        for value in values:
            check("userextras", value, group=_AUTHENTICATION, sub=key)
    if not groups and account is not None:
        groups = [SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{account[0]}"]
    if name == ANONYMOUS:
        if UNAUTHENTICATED not in groups:
            groups.append(UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    return User(name, tuple(groups), uid, extra or None)
