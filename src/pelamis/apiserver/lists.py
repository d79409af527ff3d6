"""Lists from the cache: every form of resourceVersion, pages on a stable snapshot, selectors, any shape.

The cache is as new as every acknowledged write of this process. An older revision is rebuilt from the ring of recent
events (the newest state with the later changes taken back); beyond the ring the store is asked. The body is a sequence
of byte strings, mostly the cached ones; a long list is made in steps that let other requests run in between.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge

import msgspec

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.negotiate import JSON, PROTOBUF
from pelamis.apiserver.present import Presenter, tree_to_protobuf
from pelamis.apiserver.request import ListOptions
from pelamis.apiserver.selection import Selection
from pelamis.base import gojson
from pelamis.base.errors import BadRequest, Gone, StatusError, wrong_revision
from pelamis.cache.collection import Collection
from pelamis.cache.entry import Entry, Key, served_of
from pelamis.store.types import Compacted, Store

SLICE_S = 0.004
"""How long a list works before it lets others run."""
_AT_ONCE = 400
"""So many entries are looked at without a thought about yielding."""
_JOINED = 64
WAIT_S = 3.0
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Token:
    """Where a paged list goes on. rev -1: no snapshot is asked for, whatever is there now."""

    rev: int
    start: str


def encode_token(rev: int, after: Key) -> str:
    start = "/".join(after) if after[0] else after[1]
    text = _encode({"v": "meta.k8s.io/v1", "rv": rev, "start": start + "\0"})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_token(text: str) -> Token:
    data = b""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        tree = msgspec.json.decode(data)
    except (binascii.Error, ValueError) as error:
        why = gojson.complaint(data) or str(error)
        raise BadRequest(f"invalid continue token: continue key is not valid: {why}") from None
    if not isinstance(tree, dict) or tree.get("v") != "meta.k8s.io/v1" or not isinstance(tree.get("start"), str):
        why = 'server does not recognize this encoded version ""'
        raise BadRequest(f"invalid continue token: continue key is not valid: {why}")
    return Token(int(tree.get("rv", 0)), tree["start"].rstrip("\0"))


def too_large(wanted: int, current: int) -> StatusError:
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return StatusError(504, "Timeout", message, details={"causes": causes, "retryAfterSeconds": 1})


_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class Lister:
    """shared: other processes write to the store too, so a consistent read asks it for its newest revision."""

    def __init__(self, store: Store, *, shared: bool = False) -> None:
        self._store = store
        self._shared = shared
        self.oldest = 0
        """Where the store was compacted: a page of before is refused, also where the cache could still make it."""

    def body(
        self, collection: Collection, selection: Selection, options: ListOptions, presenter: Presenter
    ) -> list[bytes] | Awaitable[list[bytes]]:
        """The parts of the body. Raises StatusError."""
        if (
            not options.token
            and not self._shared
            and (not options.resource_version or options.resource_version == "0" or options.limit)
            and options.match != "Exact"
            and (not options.resource_version or options.resource_version == "0")
        ):
            return self._now(collection, selection, options, presenter)
        return self._later(collection, selection, options, presenter)

    async def _later(
        self, collection: Collection, selection: Selection, options: ListOptions, presenter: Presenter
    ) -> list[bytes]:
        text = options.resource_version
        if options.token:
            if text and text != "0":
                raise BadRequest("specifying resource version is not allowed when using continue")
            return await self._page(collection, selection, options, presenter, decode_token(options.token))
        if text and not text.isdigit():
            raise wrong_revision(text)
        rev = int(text or 0)
        if options.match == "Exact" or (rev and options.limit and not options.match):
            if rev > collection.rev:
                await self.reach(collection, rev)
            return await self._page(collection, selection, options, presenter, Token(rev, ""))
        if not text and self._shared:
            rev = await self._store.current_rev()
        if rev > collection.rev:
            await self.reach(collection, rev)
        answer = self._now(collection, selection, options, presenter)
        return answer if isinstance(answer, list) else await answer

    async def reach(self, collection: Collection, rev: int) -> None:
        """Wait a little for a revision that is still to come. Raises 504."""
        reached = asyncio.get_running_loop().create_future()
        collection.progress.when_reached(rev, lambda: _set(reached))
        try:
            await asyncio.wait_for(reached, WAIT_S)
        except TimeoutError:
            raise too_large(rev, collection.rev) from None

    def _now(
        self, collection: Collection, selection: Selection, options: ListOptions, presenter: Presenter
    ) -> list[bytes] | Awaitable[list[bytes]]:
        rev = collection.rev
        limit = 0 if options.resource_version == "0" and not options.limit else options.limit
        if selection.name and selection.namespace:
            entry = collection.get(selection.namespace, selection.name)
            found = [entry] if entry is not None and selection.matches(entry) else []
            return self._whole(found, rev, presenter, {})
        if selection.everything and limit and limit <= _AT_ONCE:
            entries, left = collection.range(selection.namespace, None, limit)
            return self._whole(entries, rev, presenter, self._meta(entries, rev, left, exact=True))
        if len(collection) <= _AT_ONCE and not limit:
            entries = list(collection.range(selection.namespace)[0])
            if not selection.everything:
                entries = [e for e in entries if selection.matches(e)]
            return self._whole(entries, rev, presenter, {})
        snapshot = collection.snapshot(selection.namespace)
        return self._walk(snapshot, rev, selection, limit, presenter, snapshot.count)

    def _meta(self, entries: list[Entry], rev: int, left: int, *, exact: bool) -> Tree:
        if not left:
            return {}
        out: Tree = {"continue": encode_token(rev, entries[-1].key)}
        if exact:
            out["remainingItemCount"] = left
        return out

    # -- making the body

    def _whole(self, entries: list[Entry], rev: int, presenter: Presenter, more: Tree) -> list[bytes]:
        pieces = [presenter.piece(e) for e in entries] if not presenter.plain else [e.data for e in entries]
        return finish(presenter, rev, more, [b",".join(pieces)] if pieces else [])

    async def _walk(
        self,
        entries: Iterable[Entry],
        rev: int,
        selection: Selection,
        limit: int,
        presenter: Presenter,
        total: int = -1,
    ) -> list[bytes]:
        """Entry after entry, yielding to the loop; total: how many there are, -1 = unknown."""
        parts: list[bytes] = []
        batch: list[bytes] = []
        plain = presenter.plain
        everything = selection.everything
        matches = selection.matches
        taken = seen = 0
        last: Key | None = None
        more: Tree = {}
        clock = time.perf_counter
        until = clock() + SLICE_S
        for entry in entries:
            seen += 1
            if not seen & 63 and clock() > until:
                await asyncio.sleep(0)
                until = clock() + SLICE_S
            if not everything and not matches(entry):
                continue
            if limit and taken == limit:
                assert last is not None
                more["continue"] = encode_token(rev, last)
                if everything and total >= 0:
                    more["remainingItemCount"] = total - taken
                break
            taken += 1
            last = entry.key
            batch.append(entry.data if plain else presenter.piece(entry))
            if len(batch) == _JOINED:
                parts.append(b",".join(batch))
                batch = []
        if batch:
            parts.append(b",".join(batch))
        return finish(presenter, rev, more, parts)

    # -- the past

    async def _page(
        self, collection: Collection, selection: Selection, options: ListOptions, presenter: Presenter, token: Token
    ) -> list[bytes]:
        after = _key_of(collection.kind, token.start)
        if token.rev < 0:
            rev = collection.rev
            snapshot = collection.snapshot(selection.namespace, after)
            return await self._walk(snapshot, rev, selection, options.limit, presenter, snapshot.count)
        rev = token.rev
        if rev < self.oldest:
            raise _expired(options, after)
        past = collection.since(rev)
        if past is not None:
            snapshot = collection.snapshot(selection.namespace, after)
            if not past:
                return await self._walk(snapshot, rev, selection, options.limit, presenter, snapshot.count)
            undone: dict[Key, Entry | None] = {}
            for event in reversed(past):
                undone[event.key] = event.old
            entries: Iterable[Entry] = _undo(snapshot, undone, selection.namespace, after)
            total = -1
            if selection.everything:
                entries = list(entries)
                total = len(entries)
            return await self._walk(entries, rev, selection, options.limit, presenter, total)
        try:
            return await self._walk(
                await self._stored(collection, rev, after), rev, selection, options.limit, presenter
            )
        except Compacted:
            raise _expired(options, after) from None

    async def _stored(self, collection: Collection, rev: int, after: Key | None) -> list[Entry]:
        kind = collection.kind
        start = kind.key(*after) if after is not None else ""
        page = await self._store.range(kind.prefix, after=start, rev=rev)
        out: list[Entry] = []
        for item in page.items:
            rest = item.key[len(kind.prefix) :]
            namespace, _, name = rest.rpartition("/")
            data = served_of(kind, item.value, item.mod_rev)
            out.append(Entry(collection.shape, (namespace, name), item.mod_rev, data))
        return out


def _expired(options: ListOptions, after: Key | None) -> StatusError:
    """A page's refusal has a token to go on with from what there is now."""
    if not options.token:
        return Gone("The resourceVersion for the provided list is too old.")
    error = Gone(_TOO_OLD)
    error.metadata = {"continue": encode_token(-1, after or ("", ""))}  # type: ignore[attr-defined]
    return error


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _key_of(kind: Kind, start: str) -> Key | None:
    if not start:
        return None
    if not kind.namespaced:
        return "", start
    namespace, _, name = start.partition("/")
    return namespace, name


def _undo(
    snapshot: Iterable[Entry], undone: dict[Key, Entry | None], namespace: str, after: Key | None
) -> Iterator[Entry]:
    """The snapshot with later changes taken back, in key order."""
    old = sorted(
        (
            e
            for e in undone.values()
            if e is not None and (not namespace or e.key[0] == namespace) and (after is None or e.key > after)
        ),
        key=_entry_key,
    )
    kept = (e for e in snapshot if e.key not in undone)
    return iter(merge(kept, old, key=_entry_key))


def _entry_key(entry: Entry) -> Key:
    return entry.key


def finish(presenter: Presenter, rev: int, more: Tree, parts: list[bytes]) -> list[bytes]:
    """Head and tail around the members."""
    kind = presenter.kind
    metadata: Tree = {"resourceVersion": str(rev), **more}
    if presenter.format.shown == "Table":
        head = (
            b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":' % presenter.format.version.encode()
            + _encode(metadata)
            + b',"columnDefinitions":'
            + _encode(presenter.columns())
            + b',"rows":['
        )
    elif presenter.format.shown:
        head = (
            b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%b","metadata":'
            % presenter.format.version.encode()
            + _encode(metadata)
            + b',"items":['
        )
    else:
        head = b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[' % (
            kind.kind.encode(),
            kind.api_version.encode(),
            _encode(metadata),
        )
    out = [head]
    for i, part in enumerate(parts):
        if i:
            out.append(b",")
        out.append(part)
    out.append(b"]}")
    if presenter.media == JSON and not presenter.format.pretty:
        return out
    body = b"".join(out)
    if presenter.media == PROTOBUF:
        return [tree_to_protobuf(body)]
    return [presenter.dressed(body)]
