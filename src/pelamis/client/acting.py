"""A client that acts as somebody else over the connections of another, by impersonation."""

from __future__ import annotations

import copy

from pelamis.client.http import HttpClient
from pelamis.net.httpclient import block


def acting_as(client: HttpClient, user: str, *groups: str) -> HttpClient:
    """It shares connections, slots and decoders with ``client``, whose identity must be allowed to impersonate.

    Its views are its own. Costs about a kilobyte. Closing ``client`` closes it.
    """
    acting = ("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)
    other = copy.copy(client)
    own = client.headers
    lines = block(acting)
    own_lines = client.identity
    other._identity = lambda: (*own(), *acting)
    other.identity = lambda: own_lines() + lines  # type: ignore[method-assign]
    other._views, other._feeds, other._reflectors = {}, {}, set()
    return other
