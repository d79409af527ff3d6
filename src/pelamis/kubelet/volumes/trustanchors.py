"""The certificates of ClusterTrustBundles as one file: each once, without what stands between them. Pure."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterable

from pelamis.api.certificates.signer import pem_blocks


def put_together(bundles: Iterable[str]) -> bytes:
    """bundles: PEM. Sorted, so that the file changes only with what is in it."""
    found = {der for bundle in bundles for _, der in pem_blocks(bundle.encode())}
    return b"".join(map(_pem, sorted(found)))


def _pem(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", "")).encode()
