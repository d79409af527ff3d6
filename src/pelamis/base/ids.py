"""Names that the system makes up: uids, random suffixes, hashes. Entropy comes in as bytes."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes, so that a random suffix never spells a word."""
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_ENCODER = msgspec.json.Encoder(order="sorted")


def uid(entropy: bytes) -> str:
    """A version 4 UUID made of 16 random bytes."""
    h = entropy[:16].hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


def suffix(entropy: bytes, length: int = 5) -> str:
    """The random end of a generated name, of at least 8 random bytes."""
    number = int.from_bytes(entropy, "big")
    out = []
    for _ in range(length):
        number, digit = divmod(number, len(SAFE))
        out.append(SAFE[digit])
    return "".join(out)


def generate_name(prefix: str, entropy: bytes) -> str:
    """A name for ``metadata.generateName``: the prefix is cut so that the whole stays within 63 characters."""
    return prefix[:58] + suffix(entropy)


def safe_encode(text: str) -> str:
    """Each character replaced by one of SAFE: a hash's decimal digits become a label value."""
    return "".join(SAFE[ord(c) % len(SAFE)] for c in text)


def hash_of(value: Any, collision: int | None = None) -> str:
    """A short stable hash of a struct or tree, for ``pod-template-hash`` and ``controller-revision-hash``.

    collision: the owner's ``status.collisionCount``, which changes the outcome. Upstream hashes a Go-specific dump;
    only stability and spread matter, so canonical JSON and a C-speed hash serve.
    """
    data = _ENCODER.encode(value)
    if collision is not None:
        data += b"/%d" % collision
    return safe_encode(str(int.from_bytes(blake2b(data, digest_size=4).digest(), "big")))
