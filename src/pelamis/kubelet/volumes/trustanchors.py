"""The certificates of ClusterTrustBundles as one file: each once, without what stands between them. Pure."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Iterable

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s(.*?)-----END \1-----", re.DOTALL)


def put_together(bundles: Iterable[str]) -> bytes:
    """bundles: PEM. Sorted, so that the file changes only with what is in it."""
    found = {"".join(block.split()) for bundle in bundles for _, block in _BLOCK.findall(bundle)}
    return b"".join(_pem(der) for der in sorted(base64.b64decode(text) for text in found))


def _pem(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", "")).encode()
