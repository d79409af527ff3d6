"""What a patch or an update leaves as it is stored is taken over: outcomes are those of looking at everything anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pelamis.api import codec
from pelamis.apiserver import incoming, overlay, verbs
from pelamis.apiserver.request import WriteOptions
from pelamis.apiserver.write import Patch, Write
from tests.apiserver.test_overlay import ADMIN, LEASE, NODE, POD, World

Tree = dict[str, Any]
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
OBJECTS: dict[str, Tree] = {
    "configmaps": {"metadata": {"namespace": "default", "labels": {"a": "b"}}, "data": {"k": "v", "l": "w"}},
    "secrets": {"metadata": {"namespace": "default"}, "data": {"k": "dg=="}, "type": "Opaque"},
    "deployments.apps": {
        "metadata": {"namespace": "default", "annotations": {"x": "y"}, "finalizers": ["example.com/f"]},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
    },
    "jobs.batch": {
        "metadata": {"namespace": "default"},
        "spec": {"suspend": True, "template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
    },
    "services": {"metadata": {"namespace": "default"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}},
    "roles.rbac.authorization.k8s.io": {
        "metadata": {"namespace": "default"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    },
    "namespaces": {"metadata": {"labels": {"a": "b"}}},
    "pods": POD,
    "nodes": NODE,
    "leases.coordination.k8s.io": LEASE,
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.stop()


values = st.one_of(
    st.sampled_from((None, "", "text", 0, 1, 7, True, False, "100m", "2027-01-15T09:00:00+01:00")),
    st.sampled_from(([], {}, ["a"], {"a": "b"}, {"a": "c", "d": "e"}, [{"name": "c", "image": "j"}], {"unknown": 1})),
)
"""An edit: the choices on the way down, what becomes of the member that they lead to, and its new value."""
edits = st.tuples(
    st.lists(st.integers(0, 30), min_size=1, max_size=4), st.sampled_from(("set", "set", "drop", "add")), values
)
labels = st.sampled_from(({}, {}, {"n": "1"}, {"a": None}, {"a": "z"}))


def edit(tree: Any, steps: list[int], how: str, value: Any) -> None:
    while True:
        keys: list[Any] = list(range(len(tree))) if isinstance(tree, list) else sorted(tree)
        if not keys:
            return
        key = keys[steps[0] % len(keys)]
        if len(steps) > 1 and isinstance(tree[key], dict | list) and tree[key]:
            tree, steps = tree[key], steps[1:]
            continue
        if how == "add" and isinstance(tree, dict):
            tree["added"] = value
        elif how == "drop":
            del tree[key]
        else:
            tree[key] = value
        return


def pointed(tree: Tree, changed: Tree) -> Tree:
    """A merge patch between the two."""
    out: Tree = {}
    for key in {*tree, *changed}:
        if key not in changed:
            out[key] = None
        elif tree.get(key) != changed[key]:
            both = isinstance(tree.get(key), dict) and isinstance(changed[key], dict)
            out[key] = pointed(tree[key], changed[key]) if both else changed[key]
    return out


COUNT = [0]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.sampled_from(sorted(OBJECTS)),
    st.lists(
        st.tuples(
            st.lists(edits, max_size=2),
            labels,
            st.sampled_from(("update", "merge", "strategic")),
            st.sampled_from(("", "", "status")),
            st.sampled_from(("one", "two")),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_parts_are_taken_over(world: World, monkeypatch: pytest.MonkeyPatch, resource: str, script: Any) -> None:
    COUNT[0] += 1
    name = f"u{COUNT[0]}"
    kind = world.make(resource, name, OBJECTS[resource])
    namespace = "default" if kind.namespaced else ""
    for changes, marks, verb, sub, manager in script:
        world.now += 1
        if sub and kind.subresource(sub) is None:
            sub = ""

        def write(
            changes: Any = changes, marks: Tree = marks, verb: str = verb, sub: str = sub, manager: str = manager
        ) -> Write:
            entry = world.server.objects.collection(kind).get(namespace, name)
            assert entry is not None
            before, tree = codec.parse(entry.data), codec.parse(entry.data)
            for steps, how, value in changes:
                edit(tree, steps, how, codec.parse(codec.encode({"v": value}))["v"])
            write = Write("patch", kind, ADMIN, namespace, name, sub, user_agent=manager)
            write.options = WriteOptions(validation="Warn")
            if verb == "update":
                write.verb = "update"
                if isinstance(tree.get("metadata"), dict):
                    tree["metadata"].setdefault("labels", {}).update({k: v for k, v in marks.items() if v})
                write.tree = tree
            else:
                body = pointed(before, tree)
                if marks and isinstance(body.get("metadata", {}), dict):
                    body["metadata"] = {**body.get("metadata", {}), "labels": marks}
                write.patch = Patch(verb, body)
            return write

        with monkeypatch.context() as patch:
            patch.setattr(overlay, "laid", lambda write, mutate: None)
            seen, plan = world.plan(write())
            for module in (incoming, verbs):
                patch.setattr(module, "has_parts", lambda kind: False)
            wanted, _ = world.plan(write())
        assert seen == wanted
        if plan is not None:
            world.loop.run_until_complete(world.server.rest.execute((write(),)))
