"""From a connection and its headers to a ``User``: front proxy, client certificate, bearer token, anonymous.

The user of a certificate is kept with the connection, as long as the certificate is valid. A certificate or a token
that is not valid is refused even where anonymous requests are allowed; a valid token outweighs a bad certificate.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from typing import Any

from pelamis.apiserver.authn import bootstraptoken
from pelamis.apiserver.authn.frontproxy import FrontProxy, user_of
from pelamis.apiserver.authn.token import InvalidToken, Validator
from pelamis.apiserver.user import ANONYMOUS_USER, AUTHENTICATED, User
from pelamis.base.errors import Unauthorized
from pelamis.net import tls
from pelamis.net.http1 import Request

log = logging.getLogger("pelamis.apiserver")

CREDENTIAL = "authentication.kubernetes.io/credential-id"


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
        if user is not None and now < state["until"]:
            return user
        if "until" not in state:
            self._inspect(request, state)
            user = state["user"]
        shown = now < state["until"]
        if shown and "proxied" in state:
            user = user_of(request) or state["certified"]
        if shown and user is not None:
            return user
        token = self._token(request)
        if token is not None:
            found = self.by_token(token, now)
            if found is None:
                raise Unauthorized()
            return found
        if self._anonymous and "refused" not in state and shown:
            return ANONYMOUS_USER
        raise Unauthorized()

    def _inspect(self, request: Request, state: dict[str, Any]) -> None:
        """Notes what the certificate of a connection means: ``user``, ``until`` when, ``proxied`` if it may speak for
        others with each request, ``refused`` if a request needs something else to be let in."""
        state["user"], state["until"] = None, math.inf
        cert, chain = request.connection.peer
        if cert is None:
            return
        if not chain:
            state["refused"] = True
            return
        state["until"] = min(tls.expires_at_der(one) for one in chain)
        proxy = self._front_proxy
        if proxy is None or proxy.is_user(chain):
            name, organizations = tls.subject(cert)
            if name:
                shown = {CREDENTIAL: (f"X509SHA256={hashlib.sha256(cert).hexdigest()}",)}
                state["user"] = User(name, (*organizations, AUTHENTICATED), extra=shown)
        else:
            state["refused"] = True
        if proxy is not None and proxy.is_proxy(chain):
            state["proxied"] = True
            # ``authenticate`` looks at the headers of each request first.
            state["certified"], state["user"] = state["user"], None

    def _token(self, request: Request) -> str | None:
        header = request.headers.get("authorization")
        if header is None:
            return self._socket_token(request)
        scheme, _, token = header.partition(" ")
        token = token.strip()
        return token if scheme.lower() == "bearer" and token else None

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
