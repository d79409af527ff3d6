"""What a write leaves behind when it is over."""

from __future__ import annotations

import asyncio
import gc

import pytest

from pelamis.api.core.configmap import KIND
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Patch, Write
from pelamis.base.errors import StatusError
from pelamis.client import types
from tests.apiserver.harness import running


def _left() -> int:
    return sum(1 for o in gc.get_objects() if type(o) is Write)


def test_the_name_that_a_create_made_is_known_without_the_object() -> None:
    async def main() -> None:
        async with running() as h:
            client = h.server.client("admin", "system:masters")
            body = {"metadata": {"generateName": "a-", "namespace": "default"}}
            (made,) = await client.commit([types.Create(KIND, body)])
            (entry,) = [e for e in h.server.objects.collection(KIND).range("default")[0] if e.name.startswith("a-")]
            assert made.name == entry.name and entry._obj is None
            assert made.obj.metadata.name == made.name == types.Outcome(made.rev, made.obj).name
            assert types.Answered(1, lambda: made.obj).name == made.name

    asyncio.run(main())


def test_a_refused_write_is_gone_without_a_search_for_cycles() -> None:
    async def main() -> None:
        async with running() as h:
            client = h.server.client("admin", "system:masters")

            async def refused(name: str) -> None:
                (outcome,) = await client.commit([types.Patch(KIND, "default", name, {"data": {"a": "b"}})])
                assert outcome.error is not None
                write = Write("patch", KIND, LOOPBACK_USER, "default", name)
                write.patch = Patch("merge", {"data": {"a": "b"}})
                with pytest.raises(StatusError, match=name):
                    await h.server.rest.one(write)

            await refused("first")
            gc.collect()
            gc.disable()
            try:
                before = _left()
                for i in range(5):
                    await refused(f"none-{i}")
                assert _left() == before
            finally:
                gc.enable()

    asyncio.run(main())
