"""From a connection and its headers to a ``User``: front proxy, client certificate, bearer token, anonymous.

The user of a certificate is kept with the connection. A token that is not valid is refused even where anonymous
requests are allowed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pelamis.apiserver.authn import bootstraptoken
from pelamis.apiserver.authn.frontproxy import FrontProxy, user_of
from pelamis.apiserver.authn.token import InvalidToken, Validator
from pelamis.apiserver.user import ANONYMOUS_USER, AUTHENTICATED, User
from pelamis.base.errors import Unauthorized
from pelamis.net.http1 import Request
from pelamis.net.tls import subject

log = logging.getLogger("pelamis.apiserver")


class Authenticator:
    """secret(name): a Secret of kube-system, for bootstrap tokens."""

    def __init__(
        self,
        tokens: Validator,
        secret: Callable[[str], Any],
        *,
        anonymous: bool = True,
        front_proxy: FrontProxy | None = None,
    ) -> None:
        self.tokens = tokens
        self._front_proxy = front_proxy
        self._secret = secret
        self._anonymous = anonymous

    def authenticate(self, request: Request, now: float) -> User:
        """Raises Unauthorized."""
        state = request.connection.state
        user: User | None = state.get("user", None)
        if user is not None:
            return user
        if "user" not in state:
            cert = request.peer_cert
            if cert is not None:
                user = self._certified(cert, state)
            state["user"] = user
            if user is not None:
                return user
        if "proxied" in state:
            found = user_of(request) or state["certified"]
            if found is None:
                raise Unauthorized()
            return found
        if "refused" in state and request.headers.get("authorization") is None:
            raise Unauthorized()
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            token = token.strip()
            if scheme.lower() == "bearer" and token:
                found = self.by_token(token, now)
                if found is None:
                    raise Unauthorized()
                return found
        elif (shown := self._socket_token(request)) is not None:
            found = self.by_token(shown, now)
            if found is None:
                raise Unauthorized()
            return found
        if self._anonymous:
            return ANONYMOUS_USER
        raise Unauthorized()

    def _certified(self, cert: bytes, state: dict[str, Any]) -> User | None:
        """Whom all requests of a connection are from; notes in ``state`` what else its certificate means."""
        proxy = self._front_proxy
        user: User | None = None
        if proxy is None or proxy.is_user(cert):
            name, organizations = subject(cert)
            if name:
                user = User(name, (*organizations, AUTHENTICATED))
        elif not proxy.is_proxy(cert):
            state["refused"] = True
        if proxy is None or not proxy.is_proxy(cert):
            return user
        # It may speak for somebody else with every request.
        state["proxied"] = True
        state["certified"] = user
        return None

    def _socket_token(self, request: Request) -> str | None:
        """Browsers cannot set headers on a WebSocket: the token comes as a subprotocol."""
        if request.upgrade != "websocket":
            return None
        import base64

        prefix = "base64url.bearer.authorization.k8s.io."
        for protocol in request.headers.get("sec-websocket-protocol", "").split(","):
            protocol = protocol.strip()
            if protocol.startswith(prefix):
                text = protocol[len(prefix) :]
                try:
                    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
                except ValueError:
                    return ""
        return None

    def by_token(self, token: str, now: float) -> User | None:
        try:
            found = self.tokens.validate(token, now)
        except InvalidToken as error:
            log.info("unable to authenticate the request: %s", error)
            return None
        if found is not None:
            return found[0]
        return bootstraptoken.authenticate(token, now, self._secret)
