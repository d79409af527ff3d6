"""The cache beside naive twins: order, snapshots, indexes, the ring of the past, views."""

from __future__ import annotations

import dataclasses
import gc
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.api import protobuf
from pelamis.api.apiextensions.customresourcedefinition import KIND as DEFINITION
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.pod.kind import KIND as PLAIN_POD
from pelamis.apiserver.selection import Selection
from pelamis.base.errors import StatusError
from pelamis.cache.cache import Cache
from pelamis.cache.collection import Collection
from pelamis.cache.entry import ROUND_S, Decoder, canonical, respliced, spliced
from pelamis.cache.ordered import LOAD, OrderedMap
from pelamis.cache.view import View
from pelamis.store.types import Event, Item

POD = dataclasses.replace(
    PLAIN_POD,
    indexes={"node": lambda pod: [pod.spec.nodeName] if pod.spec.nodeName else []},
    selectable={"spec.nodeName": lambda pod: pod.spec.nodeName},
)


def pod(namespace: str, name: str, *, node: str = "", owner: str = "", labels: dict[str, str] | None = None) -> bytes:
    meta: dict[str, Any] = {"name": name, "namespace": namespace}
    if labels:
        meta["labels"] = labels
    if owner:
        meta["ownerReferences"] = [{"kind": "R", "name": "r", "uid": owner, "apiVersion": "v1", "controller": True}]
    spec = {"containers": [], **({"nodeName": node} if node else {})}
    return msgspec.json.encode({"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec})


class Feed:
    """Writes pods into a cache as a store would."""

    def __init__(self, cache: Cache | None = None) -> None:
        self.cache = cache or Cache([POD, NAMESPACE])
        self.rev = 1
        self.cache.begin_load()
        self.cache.end_load(self.rev)
        self.pods = self.cache.collection(POD)

    def put(self, namespace: str, name: str, **more: Any) -> int:
        self.rev += 1
        event = Event(self.rev, f"/registry/pods/{namespace}/{name}", pod(namespace, name, **more), None, 0, 0)
        self.cache.apply([event])
        return self.rev

    def delete(self, namespace: str, name: str) -> int:
        self.rev += 1
        self.cache.apply([Event(self.rev, f"/registry/pods/{namespace}/{name}", None, b"", 0, 0)])
        return self.rev


@given(seed=st.integers(0, 10_000), size=st.sampled_from([5, 3000]), spread=st.sampled_from([1, 4]))
@settings(max_examples=25, deadline=None)
def test_ordered_map_is_a_sorted_dict_with_snapshots(seed: int, size: int, spread: int) -> None:
    entropy = random.Random(seed)
    real: OrderedMap[int] = OrderedMap()
    twin: dict[tuple[str, str], int] = {}
    held: list[tuple[Any, list[int]]] = []
    real.fill([])
    for step in range(size):
        key = (entropy.choice("abc"), str(entropy.randrange(size // spread)))
        if entropy.random() < 0.3 / spread**2:
            assert real.remove(key) == twin.pop(key, None)
        else:
            assert real.set(key, step) == twin.get(key)
            twin[key] = step
        if step % (size // 5) == 0:
            namespace = entropy.choice(["", "a", "b", "zz"])
            after = entropy.choice([None, key])
            expected = [
                twin[k] for k in sorted(twin) if (not namespace or k[0] == namespace) and (after is None or k > after)
            ]
            held.append((real.snapshot(namespace, after), expected))
            assert real.page(namespace, after, 0) == (expected, 0)
            page, left = real.page(namespace, after, 3)
            assert (page, left) == (expected[:3], max(len(expected) - 3, 0))
    for snapshot, expected in held:
        assert list(snapshot) == expected
        assert len(snapshot) == len(expected)
        assert all(len(chunk) <= 2 * LOAD for chunk in snapshot.chunks())


@pytest.mark.parametrize("metadata", [b"{}", b'{"name":"a\\"resourceVersion\\":\\"7\\""}'])
def test_resource_versions_are_spliced(metadata: bytes) -> None:
    stored = b'{"kind":"X","apiVersion":"v1","metadata":' + metadata + b',"data":{"metadata":{}}}'
    served = spliced(stored, 7)
    assert respliced(served, 7, 12) == spliced(stored, 12)
    tree = msgspec.json.decode(served)
    assert tree["metadata"].pop("resourceVersion") == "7"
    assert tree == msgspec.json.decode(stored)


def test_what_other_servers_stored_is_read() -> None:
    feed = Feed()
    ours = pod("a", "x", node="n", labels={"a": "b"})
    encoded = protobuf.encode(POD, msgspec.json.decode(ours, type=POD.type))
    assert encoded.startswith(b"k8s\0")
    feed.cache.apply([Event(2, "/registry/pods/a/x", encoded, None, 2, 0)])
    shuffled = msgspec.json.encode(
        {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "n"}, "metadata": {"name": "y"}}
    )
    feed.cache.apply([Event(3, "/registry/pods/a/y", shuffled, None, 3, 0)])
    first, second = feed.pods.range()[0]
    assert first.data.startswith(b'{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"2","name":"x"')
    assert (first.obj.spec.nodeName, first.labels, second.obj.spec.nodeName) == ("n", {"a": "b"}, "n")


def test_events_carry_what_a_watch_needs() -> None:
    feed = Feed()
    seen: list[Any] = []
    cancel = feed.pods.subscribe(seen.append)
    added, modified = feed.put("a", "x"), feed.put("a", "x", node="n")
    deleted = feed.delete("a", "x")
    feed.delete("a", "x")
    assert [(e.type, e.rev, e.key) for e in seen] == [
        ("ADDED", added, ("a", "x")),
        ("MODIFIED", modified, ("a", "x")),
        ("DELETED", deleted, ("a", "x")),
    ]
    assert seen[0].shown.obj.metadata.resourceVersion == str(added)
    assert seen[1].gone.obj.spec.nodeName == ""
    assert seen[1].gone.obj.metadata.resourceVersion == str(modified)
    assert msgspec.json.decode(seen[2].shown.data)["metadata"]["resourceVersion"] == str(deleted)
    assert (seen[2].new, seen[2].shown.obj.spec.nodeName) == (None, "n")
    cancel()
    feed.put("a", "y")
    assert len(seen) == 3
    assert (feed.pods.rev, feed.cache.collection(NAMESPACE).rev) == (feed.rev, feed.rev)


def test_the_past_is_bounded_and_says_so() -> None:
    collection = Collection(POD, ring_events=10)
    collection.begin_load()
    collection.end_load(1)
    events = [Event(i, f"/registry/pods/a/{i}", pod("a", str(i)), None, i, 0) for i in range(2, 40)]
    collection.apply(events)
    collection.progress.advance(39)
    assert [e.rev for e in collection.since(35) or ()] == [36, 37, 38, 39]
    assert [e.rev for e in collection.since(29) or ()] == list(range(30, 40))
    assert (collection.since(28), collection.oldest, collection.since(39)) == (None, 29, [])
    collection.trim(37)
    assert collection.since(36) is None
    assert [e.rev for e in collection.since(37) or ()] == [38, 39]


def test_a_subscriber_that_fails_costs_the_others_nothing() -> None:
    feed = Feed()
    seen: list[Any] = []
    feed.pods.subscribe(lambda event: 1 // 0)
    feed.pods.subscribe(seen.append)
    with pytest.raises(ZeroDivisionError):
        feed.put("a", "x")
    assert (len(seen), feed.pods.rev) == (1, feed.rev)


def test_indexes_follow_the_objects() -> None:
    feed = Feed()
    feed.put("b", "x", node="n1", owner="u1")
    feed.put("a", "y", node="n1", owner="u2")
    names = lambda index, value: [e.name for e in feed.pods.by_index(index, value)]  # noqa: E731
    assert (names("node", "n1"), names("owner", "u1")) == (["y", "x"], ["x"])
    feed.put("b", "x", node="n2")
    feed.delete("a", "y")
    assert (names("node", "n1"), names("node", "n2"), names("owner", "u1")) == ([], ["x"], [])
    with pytest.raises(KeyError):
        names("nothing", "")


def test_loading_holds_events_back() -> None:
    cache = Cache([NAMESPACE])
    feed = Feed(Cache([POD, NAMESPACE]))
    cache.begin_load()
    cache.end_load(3)
    pods = cache.add(POD, loading=True)
    cache.apply([Event(4, "/registry/pods/a/x", pod("a", "x"), None, 4, 0)])
    cache.apply([Event(6, "/registry/pods/a/y", pod("a", "y"), None, 6, 0)])
    assert (len(pods), pods.synced) == (0, False)
    pods.load([Item("/registry/pods/a/x", pod("a", "x"), 4, 4), Item("/registry/pods/a/z", pod("a", "z"), 5, 5)], 5)
    assert [e.name for e in pods.range()[0]] == ["x", "y", "z"]
    assert [e.rev for e in pods.since(5) or ()] == [6]
    assert pods.since(4) is None
    cache.remove(POD)
    cache.apply([Event(7, "/registry/pods/a/q", pod("a", "q"), None, 7, 0)])
    assert cache.rev == 7
    assert feed.cache.find("/registry/pods/a/b") is feed.pods


def test_decoded_objects_are_bounded_but_the_used_ones_stay() -> None:
    size = len(pod("a", "000")) + 30
    cache = Cache([PLAIN_POD], budget=size * 20)
    cache.begin_load()
    cache.load_page(Item(f"/registry/pods/a/{i:03}", pod("a", f"{i:03}"), 1, 1) for i in range(200))
    cache.end_load(1)
    pods = cache.collection(PLAIN_POD)
    hot = [pods.get("a", f"{i:03}") for i in range(5)]
    for entry in pods.range()[0]:
        assert entry.obj.metadata.name == entry.name
        assert all(h is not None and h.obj for h in hot)
    assert cache.decoder.weight <= cache.decoder.budget
    first = [h.obj for h in hot if h is not None]
    assert all(h is not None and h.obj is o for h, o in zip(hot, first, strict=True))
    cache.apply([Event(2, "/registry/pods/a/000", None, b"", 1, 1)])
    assert hot[0] is not None and hot[0]._obj is None
    assert sum(e._obj is not None for e in pods.range()[0]) <= 20


def test_the_budget_of_decoded_objects_follows_the_work() -> None:
    size = len(pod("a", "000")) + 30
    cache = Cache([PLAIN_POD], budget=size * 20, most=size * 110)
    cache.begin_load()
    cache.load_page(Item(f"/registry/pods/a/{i:03}", pod("a", f"{i:03}"), 1, 1) for i in range(400))
    cache.end_load(1)
    pods = cache.collection(PLAIN_POD)
    decoded = 0

    def counting(data: bytes, decode: Any = pods.shape.decode) -> Any:
        nonlocal decoded
        decoded += 1
        return decode(data)

    pods.shape.decode = counting

    def walk(count: int) -> int:
        nonlocal decoded
        decoded = 0
        for entry in pods.range()[0][:count]:
            assert entry.obj.metadata.name == entry.name
        return decoded

    assert walk(60) == 60  # the first walk says nothing about the next
    assert cache.decoder.budget == size * 20
    assert [walk(60) > 0 for _ in range(4)][-1] is False
    assert cache.decoder.weight <= cache.decoder.budget <= size * 110
    # no budget that is allowed would help a walk over all: it costs what it costs, and no more is kept for it
    for _ in range(3):
        walk(400)
    assert cache.decoder.budget < size * 60
    assert sum(e._obj is not None for e in pods.range()[0]) < 60


def test_what_is_read_no_more_is_forgotten_after_two_rounds() -> None:
    size = len(pod("a", "000")) + 30
    cache = Cache([PLAIN_POD], budget=size * 20, most=size * 2000)
    due: list[tuple[float, Callable[[], None]]] = []
    decoder = cache.decoder
    decoder.later = lambda delay, fn: due.append((delay, fn))
    cache.begin_load()
    cache.load_page(Item(f"/registry/pods/a/{i:03}", pod("a", f"{i:03}"), 1, 1) for i in range(600))
    cache.end_load(1)
    entries = cache.collection(PLAIN_POD).range()[0]

    def walk(count: int) -> None:
        for entry in entries[:count]:
            assert entry.obj.metadata.name == entry.name

    def next_round() -> int:
        """Carries one out and returns the number of its turns."""
        turns = 0
        while due:
            delay, turn = due.pop()
            assert (delay == ROUND_S) == (turns == 0)
            turn()
            turns += 1
            if due and due[0][0] == ROUND_S:
                break
        return turns

    walk(15)
    assert not due  # less than the least budget needs no timer
    for _ in range(40):
        walk(600)  # all of it is in use, and the budget has followed
    assert sum(e._obj is not None for e in entries) == 600 and len(due) == 1
    assert next_round() == 3 and sum(e._obj is not None for e in entries) == 600
    walk(100)
    assert next_round() == 3 and sum(e._obj is not None for e in entries) == 100 and len(due) == 1
    next_round()
    next_round()
    assert decoder.weight <= decoder.budget == size * 20 and not due
    walk(600)
    assert len(due) == 1


def test_a_version_that_was_replaced_can_be_read_but_is_not_kept() -> None:
    cache = Cache([PLAIN_POD])
    pods = cache.collection(PLAIN_POD)
    for rev in (1, 2):
        cache.apply([Event(rev, "/registry/pods/a/x", pod("a", "x", node=f"n{rev}"), None, 1, rev - 1)])
    first, second = (event.new for event in pods.since(0) or ())
    assert first is not None and second is pods.get("a", "x") and second is not None
    assert second.obj is second.obj and cache.decoder.weight == len(second.data)
    assert first.obj.spec.nodeName == "n1" and first._obj is None
    assert cache.decoder.weight == len(second.data)
    pods.redeclare(PLAIN_POD)
    assert second.obj is second.obj and cache.decoder.weight == len(second.data)


def test_facts_are_made_once_for_each_version() -> None:
    cache = Cache([PLAIN_POD], budget=1)
    cache.apply([Event(i + 1, f"/registry/pods/a/{i}", pod("a", str(i), owner="o"), None, i + 1, 0) for i in range(3)])
    view = View(cache.collection(PLAIN_POD))
    made: list[str] = []

    def make(obj: Any, labels: Any) -> str:
        made.append(obj.metadata.name)
        return f"{obj.metadata.name} {labels}"

    assert sorted(view.facts("owner", "o", make)) == sorted(view.facts("owner", "o", make))
    assert sorted(made) == ["0", "1", "2"]
    cache.apply([Event(9, "/registry/pods/a/1", pod("a", "1", owner="o"), b"", 2, 2)])
    view.facts("owner", "o", make)
    assert made[3:] == ["1"]
    assert view.facts("owner", "nobody", make) == []


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        ("", "", ["x", "y", "z"]),
        ("app=a", "", ["x", "z"]),
        ("", "spec.nodeName=n1", ["x", "y"]),
        ("", "metadata.name!=x,metadata.namespace=ns", ["y", "z"]),
        ("app=a", "spec.nodeName=n1", ["x"]),
        ("app notin (a)", "", ["y"]),
    ],
)
def test_selectors(labels: str, fields: str, expected: Sequence[str]) -> None:
    feed = Feed()
    feed.put("ns", "x", node="n1", labels={"app": "a"})
    feed.put("ns", "y", node="n1")
    feed.put("ns", "z", labels={"app": "a"})
    view = View(feed.pods, match=Selection(POD, "", labels, fields).matches)
    assert [key[1] for key in view.keys()] == expected  # noqa: SIM118
    for bad in (("a in", ""), ("", "spec.no=1")):
        with pytest.raises(StatusError):
            Selection(POD, "", *bad)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from("xyz"),
            st.sampled_from(["put", "delete"]),
            st.sampled_from(["n1", "n2"]),
            st.sampled_from(["", "web"]),
        ),
        max_size=30,
    ),
    namespace=st.sampled_from(["", "a"]),
    labels=st.sampled_from(["", "app=web"]),
    fields=st.sampled_from(["", "spec.nodeName=n1"]),
)
@settings(max_examples=60, deadline=None)
def test_views_are_what_a_filter_over_everything_gives(
    steps: Sequence[tuple[str, str, str, str, str]], namespace: str, labels: str, fields: str
) -> None:
    feed = Feed()
    feed.put("a", "old", node="n1", labels={"app": "web"})
    view = View(feed.pods, namespace=namespace, match=Selection(POD, "", labels, fields).matches)
    told: dict[Any, Any] = {}

    def listen(key: Any, old: Any, new: Any) -> None:
        assert told.get(key) == old
        if new is None:
            del told[key]
        else:
            told[key] = new

    view.subscribe(listen)
    reached: list[int] = []
    for ns, name, what, node, app in steps:
        view.when_reached(feed.rev + 1, lambda: reached.append(view.revision))
        if what == "put":
            feed.put(ns, name, node=node, labels={"app": app} if app else None)
        else:
            feed.delete(ns, name)
        everything = [e.obj for e in feed.pods.range()[0]]
        expected = [
            o
            for o in everything
            if (not namespace or o.metadata.namespace == namespace)
            and (not labels or o.metadata.labels.get("app") == "web")
            and (not fields or o.spec.nodeName == "n1")
        ]
        assert list(view.list()) == expected == [told[k] for k in sorted(told)]
        assert list(view.list("a")) == [o for o in expected if o.metadata.namespace == "a"]
        assert list(view.by_index("node", "n1")) == [o for o in expected if o.spec.nodeName == "n1"]
        assert all(view.get(*key) == told[key] for key in told)
    assert reached == list(range(3, 3 + len(steps)))


def test_another_servers_list_is_told_as_the_difference() -> None:
    pods = Collection(POD, decoder=Decoder())
    told: list[Any] = []
    view = View(pods, match=Selection(POD, "", "", "spec.nodeName=n").matches)
    view.subscribe(lambda key, old, new: told.append((key[1], old is not None, new is not None)))
    serve = lambda name, rev: ("a", name, rev, spliced(pod("a", name, node="n"), rev))  # noqa: E731
    pods.replace([serve("x", 1), serve("y", 2)], 5)
    assert (view.synced, view.revision, told) == (True, 5, [("x", False, True), ("y", False, True)])
    pods.apply_served("MODIFIED", "a", "x", 6, serve("x", 6)[3])
    told.clear()
    pods.replace([serve("x", 6), serve("z", 7)], 9)
    assert told == [("y", True, False), ("z", False, True)]
    assert pods.since(8) is None
    pods.apply_served("DELETED", "a", "x", 10, serve("x", 10)[3])
    assert [(e.type, e.rev) for e in pods.since(9) or ()] == [("DELETED", 10)]


def test_a_changed_declaration_decodes_and_indexes_anew() -> None:
    feed = Feed()
    feed.put("a", "x", node="n1")
    changed = dataclasses.replace(POD, indexes={"name": lambda o: [o.metadata.name]}, selectable={})
    assert feed.cache.swap(changed) is feed.pods
    assert [e.name for e in feed.pods.by_index("name", "x")] == ["x"]
    entry = feed.pods.get("a", "x")
    assert entry is not None
    with pytest.raises(KeyError):
        entry.field("spec.nodeName")


def test_definitions_in_the_version_that_upstream_stores_are_read() -> None:
    """Upstream keeps CustomResourceDefinitions in v1beta1, with what all versions share beside them."""
    schema = {"openAPIV3Schema": {"type": "object"}}
    own = {"openAPIV3Schema": {"type": "object", "description": "its own"}}
    client = {"url": "https://x.test/"}
    spec = {
        "group": "x.test",
        "version": "v1",
        "names": {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"},
        "scope": "Cluster",
        "validation": schema,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "N", "type": "integer", "JSONPath": ".spec.n"}],
        "selectableFields": [{"jsonPath": ".spec.n"}],
        "versions": [
            {"name": "v1", "served": True, "storage": True},
            {"name": "v2", "served": True, "storage": False, "schema": own},
        ],
        "conversion": {"strategy": "Webhook", "webhookClientConfig": client, "conversionReviewVersions": ["v1"]},
        "preserveUnknownFields": False,
    }
    tree = {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1beta1",
        "metadata": {"name": "boxes.x.test"},
        "spec": spec,
    }
    found = msgspec.json.decode(canonical(DEFINITION, msgspec.json.encode(tree)), type=DEFINITION.type)
    assert found.apiVersion == "apiextensions.k8s.io/v1"
    first, second = found.spec.versions
    assert [v.additionalPrinterColumns[0].jsonPath for v in (first, second)] == [".spec.n"] * 2
    assert [v.selectableFields[0].jsonPath for v in (first, second)] == [".spec.n"] * 2
    assert first.subresources.status is not None
    assert second.schema.openAPIV3Schema.description == "its own"
    assert found.spec.conversion.webhook.clientConfig.url == "https://x.test/"
    assert found.spec.conversion.webhook.conversionReviewVersions == ("v1",)
    assert not found.spec.preserveUnknownFields

    del spec["versions"], spec["preserveUnknownFields"], spec["conversion"]
    alone = msgspec.json.decode(canonical(DEFINITION, msgspec.json.encode(tree)), type=DEFINITION.type)
    assert [(v.name, v.served, v.storage) for v in alone.spec.versions] == [("v1", True, True)]
    assert alone.spec.preserveUnknownFields


def test_a_cache_that_nobody_has_any_more_leaves_nothing_behind() -> None:
    """Entries are not looked at by the garbage collector, so nothing may form a cycle through them."""
    feed = Feed()
    feed.put("default", "a", labels={"app": "web"})
    entry = feed.pods.get("default", "a")
    assert entry is not None
    assert entry.obj.metadata.name == "a"
    gone = weakref.ref(feed.cache.decoder)
    del feed
    gc.collect()
    assert gone() is None
    assert entry.labels == {"app": "web"}
    assert entry.obj.metadata.name == "a"
