"""Which images exist for hollow nodes. Pure.

All do, but for those of the registry ``missing.invalid`` and of the tags ``does-not-exist`` and
``non-existent``: what reads them gets the
answer of a registry that knows nothing of them. A rule of one's own may say otherwise.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from pelamis.kubelet.pullrecords import registry

SIZE = 64 << 20
"""Bytes that every image has."""


def exists(reference: str) -> bool:
    """reference: with its tag."""
    return registry(reference)[0] != "missing.invalid" and not reference.endswith((":does-not-exist", ":non-existent"))


@lru_cache(maxsize=4096)
def full_name(reference: str) -> str:
    """``nginx:1`` as ``docker.io/library/nginx:1``."""
    host, path = registry(reference)
    return f"{host}/{path}" if not reference.startswith(f"{host}/") else reference


@lru_cache(maxsize=4096)
def digest(reference: str) -> str:
    """As a runtime names the image: ``docker.io/library/nginx@sha256:…``."""
    name = full_name(reference).partition("@")[0]
    head, _, tail = name.rpartition("/")
    return f"{head}/{tail.partition(':')[0]}@sha256:{sha256(reference.encode()).hexdigest()}"


def not_found(reference: str) -> str:
    """What containerd says when a registry does not know an image."""
    name = full_name(reference)
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{name}": failed to resolve reference'
        f' "{name}": {name}: not found'
    )
