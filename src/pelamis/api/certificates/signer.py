"""Checks that the certificate kinds share: names of signers, PEM data."""

from __future__ import annotations

import base64
import binascii
import re

from pelamis.api.check import Errors
from pelamis.base import names
from pelamis.base.errors import invalid, required, too_long

LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL)


def check_signer(name: str, path: str) -> Errors:
    """``example.com/signer``."""
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, detail)]
    errors: Errors = []
    if len(domain) > 253:
        errors.append(too_long(path, 253))
    for part in (domain, rest):
        for label in part.split("."):
            errors += [invalid(path, part, f'validating label "{label}": {m}') for m in names.is_dns1123_label(label)]
        if part is domain and "." not in domain:
            detail = "should be a domain with at least two segments separated by dots"
            errors.append(invalid(path, domain, detail))
    return errors


def pem_blocks(data: bytes) -> list[tuple[str, bytes]]:
    """Type and content of each block; broken ones are left out."""
    return [(kind, content) for kind, content, _ in pem_entries(data)]


def pem_entries(data: bytes) -> list[tuple[str, bytes, bool]]:
    """As ``pem_blocks``, and whether the block has headers."""
    out: list[tuple[str, bytes, bool]] = []
    for match in _PEM.finditer(data):
        head, blank, body = match[2].replace(b"\r\n", b"\n").partition(b"\n\n")
        headers = bool(blank) and b":" in head
        try:
            text = body if headers else match[2]
            out.append((match[1].decode(), base64.b64decode(b"".join(text.split()), validate=True), headers))
        except binascii.Error:
            continue
    return out
