"""Field ownership and server-side apply: upstream's behaviours one by one, and invariants over random objects."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.patchschema import of_custom, schema
from pelamis.base import fieldpath, ssa
from pelamis.base.errors import StatusError

Tree = dict[str, Any]
APPS = schema(DEPLOYMENT)
CUSTOM = of_custom(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "a": {"type": "integer"},
                    "b": {"type": "integer"},
                    "items": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": {"type": "string"},
                                "x": {"type": "integer"},
                                "y": {"type": "integer"},
                            },
                        },
                    },
                    "words": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "atomic": {"type": "array", "items": {"type": "string"}},
                    "whole": {
                        "type": "object",
                        "x-kubernetes-map-type": "atomic",
                        "additionalProperties": {"type": "string"},
                    },
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        },
    }
)
V = "example.com/v1"


def clone(tree: Tree) -> Tree:
    return copy.deepcopy(tree)  # noqa: TID251


def custom(spec: Tree | None = None, **metadata: Any) -> Tree:
    out: Tree = {"apiVersion": V, "kind": "Thing", "metadata": {"name": "n", "namespace": "ns", **metadata}}
    if spec is not None:
        out["spec"] = spec
    return out


def update(old: Tree | None, new: Tree, manager: str = "up", now: float = 0.0, **more: Any) -> Tree:
    """What is stored: the server's uid included."""
    before = clone(old) if old is not None else None
    out = clone(new)
    ssa.update_managed(old, out, manager, schema=CUSTOM, api_version=V, now=now, **more)
    assert old == before
    out["metadata"] = {**out["metadata"], "uid": "u"}
    return out


def apply(
    live: Tree | None, spec: Tree, manager: str = "ap", force: bool = False, now: float = 0.0, **more: Any
) -> Tree:
    before = clone(live) if live is not None else None
    applied = custom(spec) if "kind" not in spec else spec
    given_tree = clone(applied)
    out = ssa.apply(live, applied, manager, schema=CUSTOM, api_version=V, force=force, now=now, **more)
    assert (live, applied) == (before, given_tree)
    out["metadata"] = {**out["metadata"], "uid": "u"}
    return out


def owned(tree: Tree) -> dict[str, set[str]]:
    """Manager (with operation's first letter and subresource) to the paths it owns below spec."""
    out = {}
    for e in tree["metadata"].get("managedFields", ()):
        name = f"{e['manager']}/{e['operation'][0]}" + (f"/{e['subresource']}" if "subresource" in e else "")
        out[name] = {fieldpath.show(p).removeprefix(".spec") for p in fieldpath.paths(e["fieldsV1"])}
    return out


def deployment() -> Tree:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}, "creationTimestamp": "t"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "i",
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "resources": {},
                        }
                    ],
                    "securityContext": {},
                },
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
        },
        "status": {},
    }


def test_create_of_a_deployment() -> None:
    new = deployment()
    ssa.update_managed(None, new, "kubectl-create", schema=APPS, api_version="apps/v1", now=1_700_000_000.9)
    one = {".": {}}
    assert new["metadata"]["managedFields"] == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "time": "2023-11-14T22:13:20Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {**one, "f:app": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:strategy": {"f:rollingUpdate": {**one, "f:maxSurge": {}}, "f:type": {}},
                    "f:template": {
                        "f:metadata": {"f:labels": {**one, "f:app": {}}},
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"c"}': {
                                    **one,
                                    "f:image": {},
                                    "f:name": {},
                                    "f:ports": {
                                        **one,
                                        'k:{"containerPort":80,"protocol":"TCP"}': {
                                            **one,
                                            "f:containerPort": {},
                                            "f:protocol": {},
                                        },
                                    },
                                    "f:resources": {},
                                }
                            },
                            "f:securityContext": {},
                        },
                    },
                },
            },
        }
    ]


def test_absent_and_zero_are_the_same() -> None:
    """What Go writes without being set is no change when a tree lacks it, and null or an empty list is absent."""
    old = deployment()
    ssa.update_managed(None, old, "a", schema=APPS, api_version="apps/v1", now=0)
    new = clone(old)
    del new["spec"]["template"]["spec"]["containers"][0]["resources"], new["status"]
    new["spec"]["paused"] = False
    new["spec"]["template"]["spec"]["volumes"] = []
    new["spec"]["template"]["spec"]["nodeName"] = ""
    new["spec"]["minReadySeconds"] = None
    ssa.update_managed(old, new, "b", schema=APPS, api_version="apps/v1", now=9)
    assert new["metadata"]["managedFields"] == old["metadata"]["managedFields"]


def test_a_change_moves_ownership_and_stamps_only_the_changer() -> None:
    old = update(None, custom({"a": 1, "b": 1}), "one", now=1)
    new = update(old, {**old, "spec": {"a": 2, "b": 1}}, "two", now=2)
    assert owned(new) == {"one/U": {"", ".b"}, "two/U": {".a"}}
    assert [e["time"][-3:] for e in new["metadata"]["managedFields"]] == ["01Z", "02Z"]
    last = update(new, {**new, "spec": {"a": 2}}, "three", now=3)
    assert owned(last) == {"one/U": {""}, "two/U": {".a"}}


def test_emptied_entries_go_and_equal_updates_change_nothing() -> None:
    old = update(None, custom({"a": 1}, labels={"x": "1"}), "one")
    taken = update(old, {**old, "spec": {"a": 2}, "metadata": {"name": "n", "uid": "u"}}, "two", now=1)
    assert owned(taken) == {"one/U": {""}, "two/U": {".a"}}
    same = update(taken, clone(taken), "three", now=2)
    assert same["metadata"] == taken["metadata"]
    back = update(taken, {**taken, "spec": {"a": 2, "b": 1}}, "two", now=3)
    assert owned(back)["two/U"] == {".a", ".b"}


def test_entries_come_from_the_request_or_the_stored_object() -> None:
    old = update(None, custom({"a": 1}), "one")
    bare = {**old, "metadata": {k: v for k, v in old["metadata"].items() if k != "managedFields"}}
    assert owned(update(old, bare, "two")) == owned(old)
    for reset in ([], [{}]):
        cleared = update(old, {**old, "metadata": {**old["metadata"], "managedFields": reset}}, "two")
        assert "managedFields" not in cleared["metadata"]
    broken = {**old, "metadata": {**old["metadata"], "managedFields": [{"manager": "x", "operation": "?"}]}}
    assert owned(update(old, broken, "two")) == owned(old)
    edited = clone(old)
    edited["metadata"]["managedFields"][0]["manager"] = "renamed"
    assert list(owned(update(old, edited, "two"))) == ["renamed/U"]
    assert list(owned(update(old, edited, "two", subresource="status"))) == ["one/U"]


def test_an_object_without_entries_stays_without() -> None:
    old = custom({"a": 1}, uid="u")
    assert "managedFields" not in update(old, custom({"a": 2}, uid="u"), "one")["metadata"]


def test_subresources_and_reset_fields() -> None:
    old = update(None, custom({"a": 1}), "m")
    new = update(old, {**old, "spec": {"a": 2}, "status": {"x": 1}}, "m", subresource="status", ignored=("spec",))
    assert owned(new) == {"m/U": {"", ".a"}, "m/U/status": {".status", ".status.x"}}
    created = update(None, custom({"a": 1, "b": 2}), "m", ignored=("spec.b",))
    assert owned(created) == {"m/U": {"", ".a"}}


def test_old_updaters_are_merged() -> None:
    tree = update(None, custom({"any": {}}), "m0", now=0)
    for i in range(1, 15):
        spec = {"any": {**tree["spec"]["any"], f"f{i:02}": i}}
        tree = update(tree, {**tree, "spec": spec}, f"m{i:02}", now=i)
    entries = owned(tree)
    assert len(entries) == 10 and "ancient-changes/U" in entries and "m14/U" in entries
    assert set().union(*entries.values()) >= {f".any.f{i:02}" for i in range(1, 15)}


def test_manager_names() -> None:
    assert ssa.manager_name("", "kubectl/v1.30 (linux)") == "kubectl"
    assert ssa.manager_name("mine", "kubectl/v1.30") == "mine"
    assert ssa.manager_name("", "a\x07b" + "é" * 100) == "ab" + "é" * 63
    assert owned(update(None, custom({"a": 1}), "")) == {"unknown/U": {"", ".a"}}


def test_apply_creates_and_repeats_without_a_trace() -> None:
    first = apply(None, {"a": 1, "items": [{"name": "x", "x": 1}]}, now=1)
    assert owned(first) == {"ap/A": {".a", '.items[name="x"]', '.items[name="x"].name', '.items[name="x"].x'}}
    again = apply(first, {"a": 1, "items": [{"name": "x", "x": 1}]}, now=2)
    assert again == first


def test_apply_removes_what_it_no_longer_applies() -> None:
    full = {
        "a": 1,
        "b": 2,
        "items": [{"name": "x", "x": 1, "y": 2}, {"name": "z"}],
        "words": ["p", "q"],
        "atomic": ["r"],
        "whole": {"k": "v"},
        "labels": {"l": "1", "m": "2"},
        "any": {"deep": {"er": [1]}, "more": 1},
    }
    live = apply(None, full)
    less = {"a": 1, "items": [{"name": "x", "x": 1}], "words": ["q"], "labels": {"m": "2"}, "any": {"more": 1}}
    assert apply(live, less)["spec"] == less
    assert "spec" not in apply(live, custom())


def test_apply_keeps_what_others_own() -> None:
    live = apply(None, {"a": 1, "labels": {"l": "1"}, "items": [{"name": "x", "x": 1}]}, "one")
    both = apply(live, {"a": 1, "items": [{"name": "x", "y": 2}]}, "two")
    assert both["spec"] == {"a": 1, "labels": {"l": "1"}, "items": [{"name": "x", "x": 1, "y": 2}]}
    dropped = apply(both, {}, "one")
    assert dropped["spec"] == {"a": 1, "items": [{"name": "x", "y": 2}]}
    two = {".a", '.items[name="x"]', '.items[name="x"].name', '.items[name="x"].y'}
    assert owned(dropped) == {"one/A": {""}, "two/A": two}


def test_an_updaters_new_value_is_a_conflict_until_forced() -> None:
    live = apply(None, {"a": 1, "b": 1}, "one", now=1)
    live = update(live, {**live, "spec": {"a": 5, "b": 1}}, "kubectl-edit", now=2)
    assert owned(live) == {"one/A": {".b"}, "kubectl-edit/U": {".a"}}
    with pytest.raises(StatusError) as error:
        apply(live, {"a": 1, "b": 1}, "one")
    status = error.value
    assert (status.code, status.reason) == (409, "Conflict")
    assert status.message == f'Apply failed with 1 conflict: conflict with "kubectl-edit" using {V}: .spec.a'
    assert status.details == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "kubectl-edit" using {V}',
                "field": ".spec.a",
            }
        ]
    }
    forced = apply(live, {"a": 1, "b": 1}, "one", force=True, now=3)
    assert owned(forced) == {"one/A": {".a", ".b"}} and forced["spec"]["a"] == 1
    assert owned(apply(live, {"a": 5, "b": 1}, "one")) == {"one/A": {".a", ".b"}, "kubectl-edit/U": {".a"}}


def test_several_conflicts_are_listed_by_manager() -> None:
    live = apply(None, {"a": 1, "words": ["x"]}, "one")
    live = apply(live, {"b": 1}, "two")
    with pytest.raises(StatusError) as error:
        apply(live, {"a": 2, "b": 2}, "three")
    assert error.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.a\nconflicts with "two":\n- .spec.b'
    )


def test_atomic_values_conflict_as_a_whole() -> None:
    live = apply(None, {"atomic": ["a"], "whole": {"a": "1"}}, "one")
    with pytest.raises(StatusError, match=r"2 conflicts"):
        apply(live, {"atomic": ["b"], "whole": {"b": "1"}}, "two")
    forced = apply(live, {"atomic": ["b"], "whole": {"b": "1"}}, "two", force=True)
    assert forced["spec"] == {"atomic": ["b"], "whole": {"b": "1"}}
    assert list(owned(forced)) == ["two/A"]


def test_lists_keep_the_appliers_order() -> None:
    live = apply(None, {"items": [{"name": n} for n in "abc"], "words": ["1", "2", "3"]}, "one")
    new = apply(live, {"items": [{"name": n} for n in "cxa"], "words": ["3", "9"]}, "two")
    assert [i["name"] for i in new["spec"]["items"]] == ["b", "c", "x", "a"]
    assert new["spec"]["words"] == ["1", "2", "3", "9"]


def test_before_first_apply_and_client_side_apply() -> None:
    live = custom({"a": 1, "b": 1}, uid="u")
    with pytest.raises(StatusError, match="before-first-apply"):
        apply(live, {"a": 2})
    taken = apply(live, {"a": 1})
    assert owned(taken) == {"ap/A": {".a"}, "before-first-apply/U": {"", ".a", ".b"}}
    text = '{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"n","namespace":"ns"},"spec":{"a":1}}'
    note = {"kubectl.kubernetes.io/last-applied-configuration": text}
    client = update(None, custom({"a": 1, "b": 1}, annotations=note), "kubectl-client-side-apply")
    with pytest.raises(StatusError, match=r"\.spec\.b$"):
        apply(client, custom({"a": 2, "b": 2}), "kubectl")
    moved = apply(client, custom({"a": 2}), "kubectl")
    assert moved["spec"] == {"a": 2, "b": 1}
    assert '"a":2' in moved["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    with pytest.raises(StatusError, match=r"\.spec\.a$"):
        apply(client, custom({"a": 2}), "other")


def test_key_fields_with_a_default_may_be_left_out() -> None:
    node = schema(SERVICE)
    tree = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]},
    }
    out = ssa.apply(None, tree, "m", schema=node, force=False, api_version="v1", now=0)
    ports = out["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]
    assert list(ports) == ['k:{"port":53,"protocol":"TCP"}', 'k:{"port":53,"protocol":"UDP"}']


REFUSED: list[tuple[Tree, str]] = [
    ({"zz": 1}, ".spec.zz: field not declared in schema"),
    ({"a": "x"}, ".spec.a: expected numeric (int or float), got string"),
    ({"items": {"a": 1}}, ".spec.items: expected list, got &{map[a:1]}"),
    ({"labels": {"a": 1}}, ".spec.labels.a: expected string, got &value.valueUnstructured{Value:1}"),
    ({"items": [{"name": "x"}, {"name": "x"}]}, '.spec.items: duplicate entries for key [name="x"]'),
    (
        {"items": [{"x": 1}]},
        '.spec.items: element 0: associative list with keys has an element that omits key field "name"'
        " (and doesn't have default value)",
    ),
    ({"words": ["a", "a"]}, '.spec.words: duplicate entries for key [="a"]'),
    (
        {"a": "x", "zz": 1},
        "errors:\n  .spec.a: expected numeric (int or float), got string\n  .spec.zz: field not declared in schema\n",
    ),
]


@pytest.mark.parametrize(("spec", "text"), REFUSED)
def test_what_does_not_fit_is_refused(spec: Tree, text: str) -> None:
    with pytest.raises(ssa.ApplyError) as error:
        apply(None, spec)
    assert error.value.message == f"failed to create typed patch object (ns/n; example.com/v1, Kind=Thing): {text}"


def test_requests_that_cannot_be_applied() -> None:
    with pytest.raises(StatusError, match=r"metadata\.managedFields must be nil"):
        apply(None, custom({"a": 1}, managedFields=[]))
    with pytest.raises(StatusError, match="Incorrect version specified in apply patch"):
        apply(None, {**custom({"a": 1}), "apiVersion": "v9"})


def test_managers_of_other_versions() -> None:
    """``b`` is called ``c`` in v2; a version that is no longer served is forgotten."""

    def convert(tree: Tree, version: str) -> tuple[Tree, Any] | None:
        if version == "example.com/v0":
            return None
        spec = {("c" if k == "b" and version.endswith("v2") else k): v for k, v in tree.get("spec", {}).items()}
        return {**tree, "spec": spec}, CUSTOM

    old = update(None, custom({"a": 1, "b": 1}), "one")
    entries = old["metadata"]["managedFields"]
    entries.append(
        {**entries[0], "manager": "two", "apiVersion": "example.com/v2", "fieldsV1": {"f:spec": {"f:c": {}}}}
    )
    entries.append(
        {**entries[0], "manager": "old", "apiVersion": "example.com/v0", "fieldsV1": {"f:spec": {"f:a": {}}}}
    )
    new = update(old, {**old, "spec": {"a": 1, "b": 2}}, "three", convert=convert)
    assert owned(new) == {"one/U": {"", ".a"}, "three/U": {".b"}}


def test_a_list_that_becomes_or_stops_being_atomic() -> None:
    def under(list_type: str) -> Any:
        keys = {"x-kubernetes-list-map-keys": ["name"]} if list_type == "map" else {}
        element = {"type": "object", "properties": {"name": {"type": "string"}}}
        items = {"type": "array", "x-kubernetes-list-type": list_type, "items": element, **keys}
        return of_custom({"properties": {"spec": {"type": "object", "properties": {"items": items}}}})

    def applied(live: Tree | None, name: str, manager: str, list_type: str) -> Tree:
        tree = custom({"items": [{"name": name}]})
        return ssa.apply(live, tree, manager, schema=under(list_type), api_version=V, force=False, now=0)

    whole = applied(None, "x", "one", "atomic")
    assert owned(whole) == {"one/A": {".items"}}
    x, y = '.items[name="x"]', '.items[name="y"]'
    later = applied(whole, "y", "two", "map")
    assert owned(later) == {"one/A": {".items"}, "two/A": {y, y + ".name"}}
    granular = applied(None, "x", "one", "map")
    assert owned(granular) == {"one/A": {x, x + ".name"}}
    with pytest.raises(StatusError, match=r'conflict with "one": \.spec\.items$'):
        applied(granular, "z", "three", "atomic")


def test_resets() -> None:
    assert ssa.resets({"metadata": {"managedFields": []}}) and ssa.resets({"metadata": {"managedFields": [{}]}})
    assert (
        not ssa.resets({"metadata": {"managedFields": None}})
        and not ssa.resets({})
        and not ssa.resets({"metadata": {"managedFields": [{"manager": "x"}]}})
    )


names = st.sampled_from("pqr")
ints = st.integers(0, 2)
items = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"x": ints, "y": ints}), max_size=3, unique_by=lambda i: i["name"]
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "a": ints,
        "b": ints,
        "items": items,
        "words": st.lists(names, max_size=3, unique=True),
        "atomic": st.lists(names, max_size=2),
        "labels": st.dictionaries(names, names, max_size=2),
        "any": st.dictionaries(names, ints | st.dictionaries(names, ints, max_size=2), max_size=2),
    },
)


def resolves(tree: Any, path: tuple[str, ...]) -> bool:
    for element in path:
        if element.startswith("f:"):
            if not isinstance(tree, dict) or element[2:] not in tree:
                return False
            tree = tree[element[2:]]
        elif element.startswith("k:"):
            tree = next((i for i in tree if f'k:{{"name":"{i["name"]}"}}' == element), None)
            if tree is None:
                return False
        else:
            return f"{element[3:-1]}" in tree
    return True


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("uaf"), st.sampled_from(["one", "two"]), specs), min_size=1, max_size=5))
def test_every_owned_path_exists(steps: list[tuple[str, str, Tree]]) -> None:
    live: Tree | None = None
    for i, (how, manager, spec) in enumerate(steps):
        if how == "u":
            new = custom(spec, **({"uid": "u"} if live else {}))
            live = update(live, new, manager, now=i)
        else:
            try:
                live = apply(live, spec, manager, force=how == "f", now=i)
            except StatusError as error:
                assert error.code == 409 and how == "a"
                continue
            if f"{manager}/A" not in owned(live):
                continue  # an empty list alone owns nothing
            again = apply(live, spec, manager, now=i + 1)
            assert again["metadata"] == live["metadata"] and again.get("spec") == live.get("spec")
            for key, value in spec.items():
                if not isinstance(value, dict | list):
                    assert live["spec"][key] == value
        for entry in live["metadata"].get("managedFields", ()):
            for path in fieldpath.paths(entry["fieldsV1"]):
                assert resolves(live, path), (path, entry, live)
