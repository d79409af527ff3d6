"""A reflector against a scripted source: how it goes on after failures, and what it says of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from pelamis.api.core.configmap import KIND as CONFIG_MAP
from pelamis.base.errors import Forbidden
from pelamis.cache.collection import Collection
from pelamis.cache.entry import Decoder
from pelamis.client.reflector import Reflector

EMPTY = b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'


class Refusing:
    """Refuses the first lists, then has nothing to tell."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.watched = asyncio.Event()

    async def list_raw(self) -> bytes:
        self.refusals -= 1
        if self.refusals >= 0:
            raise Forbidden("configmaps", "", "", "not yet")
        return EMPTY

    async def watch_raw(self, rev: str, timeout_s: int) -> AsyncIterator[bytes]:
        self.watched.set()
        await asyncio.Event().wait()
        yield b""


@pytest.mark.parametrize(
    ("refusals", "warnings", "waited"), [(3, 0, [0.2, 0.4, 0.8]), (5, 2, [0.2, 0.4, 0.8, 1.6, 3.2])]
)
def test_only_a_failure_that_lasts_is_a_warning(
    refusals: int, warnings: int, waited: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def main() -> Collection:
        collection, source = Collection(CONFIG_MAP, decoder=Decoder()), Refusing(refusals)
        running = asyncio.ensure_future(Reflector(collection, source, entropy=lambda: 0.0, sleep=sleep).run())
        await source.watched.wait()
        running.cancel()
        return collection

    with caplog.at_level(logging.DEBUG, "pelamis.client.reflector"):
        assert asyncio.run(main()).rev == 5
    assert waits == pytest.approx(waited)
    assert [r.levelno for r in caplog.records].count(logging.WARNING) == warnings
    assert len(caplog.records) == refusals
