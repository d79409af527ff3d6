"""Conversion webhooks of CustomResourceDefinitions.

Only the storage version is kept by the cache. For every other served version a *shadow* collection follows it: each
event goes through the webhook, in order and in batches, and the shadow holds the bytes that this version serves, at
the same revisions. Reads and watches of the version are reads and watches of its shadow, as fast as any other. A write
is answered when the shadows have it, so that its author finds it there.

A write in another version needs single conversions in the middle of a plan, which must not wait. They come from a memo;
what it lacks suspends the plan with ``Again``: the webhook is asked, the answer is kept, and the plan is made anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pelamis.api import codec
from pelamis.api.apiextensions.customresourcedefinition import CustomResourceDefinition
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.admission.webhookclient import CallFailed, Webhooks
from pelamis.apiserver.write import Again
from pelamis.base import ids
from pelamis.base.errors import Internal, StatusError
from pelamis.cache.collection import Collection, Event

log = logging.getLogger("pelamis.apiserver")

_TIMEOUT_S = 30.0
_BATCH = 500
_MEMO = 512
_RETRY_S = (0.2, 1.0, 5.0, 15.0)
_encode = msgspec.json.Encoder(order="sorted").encode
_KEPT = ("name", "generateName", "namespace", "labels", "annotations")


class Converter:
    """The webhook of one definition."""

    def __init__(self, crd: CustomResourceDefinition, client: Webhooks, entropy: Callable[[int], bytes]) -> None:
        conversion = crd.spec.conversion
        assert conversion is not None and conversion.webhook is not None
        self._webhook = conversion.webhook
        self._kind = crd.spec.names.kind
        self._client = client
        self._entropy = entropy
        self._memo: OrderedDict[tuple[str, bytes], Tree] = OrderedDict()

    def _failed(self, api_version: str, why: object) -> StatusError:
        return Internal(f"conversion webhook for {api_version}, Kind={self._kind} failed: {why}")

    async def convert(self, trees: Sequence[Tree], api_version: str) -> list[Tree]:
        """Objects of any version in another one. Raises StatusError."""
        if not trees:
            return []
        uid = ids.uid(self._entropy(16))
        version = next((v for v in self._webhook.conversionReviewVersions if v in ("v1", "v1beta1")), "v1")
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{version}",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": list(trees)},
        }
        source = str(trees[0].get("apiVersion", ""))
        try:
            answer = await self._client.ask(
                self._webhook.clientConfig, review, _TIMEOUT_S, f"timeout={_TIMEOUT_S:.0f}s"
            )
        except CallFailed as error:
            raise self._failed(source, str(error).removeprefix("failed to call webhook: ")) from None
        response = answer.get("response")
        if not isinstance(response, dict):
            raise self._failed(source, "no response provided")
        if response.get("uid") != uid:
            raise self._failed(source, f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        result = response.get("result") or {}
        if result.get("status") != "Success":
            raise self._failed(source, result.get("message") or "unknown error")
        made = response.get("convertedObjects")
        if not isinstance(made, list) or len(made) != len(trees):
            count = len(made) if isinstance(made, list) else 0
            raise self._failed(source, f"webhook returned {count} objects, expected {len(trees)}")
        return [self._restored(old, new, api_version) for old, new in zip(trees, made, strict=True)]

    def _restored(self, old: Tree, new: Any, api_version: str) -> Tree:
        """Of the metadata only labels and annotations may be converted."""
        source = str(old.get("apiVersion", ""))
        if not isinstance(new, dict) or new.get("apiVersion") != api_version or new.get("kind") != self._kind:
            raise self._failed(source, f"returned object is not of {api_version}, Kind={self._kind}")
        before, after = old.get("metadata") or {}, new.get("metadata") or {}
        for name in ("name", "namespace", "uid"):
            if before.get(name) != after.get(name) and after.get(name) is not None:
                raise self._failed(source, f"returned object has a different {name}")
        metadata = {k: v for k, v in before.items() if k not in ("labels", "annotations")}
        metadata |= {k: after[k] for k in ("labels", "annotations") if after.get(k)}
        return {**new, "metadata": metadata}

    # -- single conversions, for writes

    @staticmethod
    def _key(tree: Tree, api_version: str) -> tuple[str, bytes]:
        metadata = tree.get("metadata") or {}
        content = {**tree, "metadata": {k: metadata[k] for k in _KEPT if k in metadata}}
        return api_version, _encode(content)

    def known(self, tree: Tree, api_version: str) -> None:
        """The tree becomes one of that version, in place. Raises Again when the webhook must be asked first."""
        if tree.get("apiVersion") == api_version:
            return
        key = self._key(tree, api_version)
        made = self._memo.get(key)
        if made is None:
            source = codec.parse(codec.encode(tree))
            raise Again(lambda: self._learn(key, source, api_version))
        self._memo.move_to_end(key)
        new = codec.parse(codec.encode(made))
        changed = {k: v for k, v in (new.get("metadata") or {}).items() if k in ("labels", "annotations")}
        metadata = {k: v for k, v in (tree.get("metadata") or {}).items() if k not in ("labels", "annotations")}
        tree.clear()
        tree.update(new)
        tree["metadata"] = metadata | changed

    async def _learn(self, key: tuple[str, bytes], tree: Tree, api_version: str) -> None:
        (made,) = await self.convert([tree], api_version)
        self._memo[key] = made
        while len(self._memo) > _MEMO:
            self._memo.popitem(last=False)


class Shadow:
    """The objects of ``kind``, converted from its hub's. ``fault``: why it is behind, "" when all is well."""

    def __init__(self, kind: Kind, source: Collection, converter: Converter) -> None:
        self.collection = Collection(kind)
        self.fault = ""
        self._kind = kind
        self._source = source
        self._converter = converter
        self._waiting: list[Event] = []
        self._wake = asyncio.Event()
        self._stopped = False
        self._cancel: Callable[[], None] | None = None

    async def fill(self) -> None:
        """All that exists now. Raises StatusError; then ``run`` goes on trying."""
        if self._cancel is None:
            self._cancel = self._source.subscribe(self._on_event)
        self._waiting.clear()
        rev = self._source.rev
        entries = self._source.range("")[0]
        found: list[tuple[str, str, int, bytes]] = []
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            for entry, data in zip(part, await self._converted([e.data for e in part]), strict=True):
                found.append((*entry.key, entry.rev, data))
        self.collection.replace(found, rev)
        self._follow()

    async def _converted(self, served: Sequence[bytes]) -> list[bytes]:
        trees = [codec.parse(d) for d in served]
        wanted = self._kind.api_version
        others = [i for i, tree in enumerate(trees) if tree.get("apiVersion") != wanted]
        for i, tree in zip(others, await self._converter.convert([trees[i] for i in others], wanted), strict=True):
            trees[i] = tree
        out = []
        for tree in trees:
            if self._kind.prune is not None:
                self._kind.prune(tree)
            self._kind.default(tree)
            rev = int(tree["metadata"].pop("resourceVersion", 0) or 0)
            out.append(codec.served(self._kind, codec.stored(self._kind, tree), rev))
        return out

    def _on_event(self, event: Event) -> None:
        self._waiting.append(event)
        self._wake.set()

    def _follow(self) -> None:
        """Whatever happens to other kinds is progress here too, as long as nothing waits to be converted."""
        if self._stopped:
            return
        if not self._waiting and not self.fault:
            self.collection.progress.advance(self._source.rev)
        self._source.progress.when_reached(self._source.rev + 1, self._follow)

    async def run(self, filled: bool) -> None:
        attempt = 0
        while not self._stopped:
            try:
                if not filled:
                    await self.fill()
                    filled = True
                while self._waiting:
                    await self._step()
                self.fault, attempt = "", 0
                self.collection.progress.advance(self._source.rev)
                self._wake.clear()
                await self._wake.wait()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.fault = getattr(error, "message", str(error))
                log.warning("%s", self.fault)
                await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
                attempt += 1

    async def _step(self) -> None:
        part = self._waiting[:_BATCH]
        made = await self._converted([e.new.data if e.new is not None else e.gone.data for e in part])
        del self._waiting[: len(part)]
        for event, data in zip(part, made, strict=True):
            type_ = "DELETED" if event.new is None else "MODIFIED"
            self.collection.apply_served(type_, *event.key, event.rev, data)

    def stop(self) -> None:
        self._stopped = True
        if self._cancel is not None:
            self._cancel()
        self._wake.set()
